package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/auth"
)

const (
	maxRepeatedLogins   = 3                // logins in a row without a session, after which another is refused
	repeatedLoginWindow = 20 * time.Second // a user takes longer to log in, so older logins are no part of a loop
	loginCountSuffix    = "rounds"         // the end of the name of the cookie that counts logins
	redirectedSuffix    = "elsewhere"      // the end of the name of the cookie that marks a redirect to public_url
	redirectedMaxAge    = time.Minute      // the lifetime of that cookie
)

// A loginLoop detects logins that repeat because the browser never sends the session's cookie.
type loginLoop struct {
	cookies  *loginCookies
	sessions *sessionCookies
	paths    []string // of the redirection endpoints
	now      func() time.Time
}

// countLogin counts a successful login in a cookie, with the page to which the browser goes next; empty if that is unknown. If a page soon
// requires another login, the browser did not send the session's cookie. The logins would repeat without end, because the provider needs
// no input from a user who is logged in there.
//
// The count needs no request of its own to see whether the browser keeps cookies: a browser that keeps none has sent none to the
// redirection endpoint, where its login ends.
func (f *loginLoop) countLogin(h http.Header, r *auth.Request, next string) error {
	count, _ := f.recentLogins(r)
	return f.setCount(h, r, count+1, pageDigest(next))
}

// setCount sets the cookie that counts logins.
func (f *loginLoop) setCount(h http.Header, r *auth.Request, count int, page string) error {
	name := f.cookies.cookie.fullName(r) + loginCountSuffix
	sealed, err := f.cookies.keyring.Seal(name, fmt.Appendf(nil, "%d %d %s", count, f.now().Unix(), page))
	if err == nil {
		c := wholeSiteCookie(f.cookies.cookie)
		c.set(h, r, name, sealed, int(repeatedLoginWindow.Seconds()))
	}
	return err
}

// cookieCleared notes that the gate deletes the session's cookie, so the next request of the browser comes without it. The count stays.
func (f *loginLoop) cookieCleared(h http.Header, r *auth.Request) {
	if f == nil { // the route has no login
		return
	}
	if count, page := f.recentLogins(r); page != "" {
		f.setCount(h, r, count, "") // on an error the user sees a page that says to try again
	}
}

// wholeSiteCookie returns the cookie of logins for every path and without a domain, because the configured path or domain
// may be the mistake.
func wholeSiteCookie(c cookie) cookie {
	c.path, c.domain = "/", ""
	return c
}

// pageDigest returns a short name of the path of a page; empty for an address of another origin, or none.
func pageDigest(target string) string {
	path, _, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") {
		return ""
	}
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:stateDigestBytes])
}

// recentLogins returns the number of logins that succeeded within repeatedLoginWindow, and the pageDigest of the page that followed the
// last of them.
func (f *loginLoop) recentLogins(r *auth.Request) (count int, page string) {
	name := f.cookies.cookie.fullName(r) + loginCountSuffix
	values := r.CookieValues(name)
	for _, value := range values[:min(len(values), maxCookies)] {
		plain, ok := f.cookies.keyring.Unseal(name, value)
		parts := strings.Split(string(plain), " ")
		if !ok || len(parts) != 3 {
			continue
		}
		n, errCount := strconv.Atoi(parts[0])
		began, errAt := strconv.ParseInt(parts[1], 10, 64)
		if errCount == nil && errAt == nil && f.now().Sub(time.Unix(began, 0)) < repeatedLoginWindow {
			return n, parts[2]
		}
	}
	return 0, ""
}

// checkLoop refuses a login that would repeat without end. The error for the log names the likely causes, which only the
// operator can fix.
func (f *loginLoop) checkLoop(r *auth.Request, want auth.Login) error {
	query := r.Query()
	if state := query.Get("state"); state != "" && (query.Has("code") || query.Has("error")) &&
		f.cookies.unseal(r, f.cookies.cookieName(r, state)) != nil {
		return auth.NotSetUp(fmt.Errorf("redirect_uri leads to %s, which the gate forwards: the gate answers authorization "+
			"responses at %s, so write redirect_uri with that path, and register it at the issuer", r.Path, strings.Join(f.paths, " and ")))
	}
	if want.LoggedInAt != "" { // a user with a session is only asked for a stronger login
		return nil
	}
	switch count, page := f.recentLogins(r); {
	case count >= maxRepeatedLogins:
		return auth.NotSetUp(fmt.Errorf("%d logins in a row have succeeded, and no session was found afterwards: "+
			"replicas have different session_secret or no common storage, or %s", count, lostCookie))
	case page != "" && page == pageDigest(r.Target()) && !f.sessions.sentBy(r):
		h, c := http.Header{}, wholeSiteCookie(f.cookies.cookie)
		c.set(h, r, c.fullName(r)+loginCountSuffix, "", -1) // the user may try again at once
		return auth.WithHeader(noSessionCookie(r), h)
	}
	return nil
}

// lostCookie lists why a browser may come back from a login without the session's cookie.
const lostCookie = "session_cookie_path or session_cookie_domain don't cover this page, session_cookie_secure is true and the page is " +
	"http, or a proxy in front drops Set-Cookie"

// redirectToPublicURL redirects a browser that uses another host or scheme to public_url, because the redirection endpoint
// would not receive the login's cookie. If a proxy hides the host that the browser requested, the browser already uses
// public_url: then it returns with the cookie that this redirect sets, and the login begins.
func (f *loginLoop) redirectToPublicURL(r *auth.Request) *auth.Answer {
	name := f.cookies.cookie.name + redirectedSuffix // without a prefix, because it may be set over http and sent over https
	if r.AskedAt == "" || r.AskedAt == r.Origin || len(r.CookieValues(name)) > 0 {
		return nil
	}
	h := http.Header{"Location": {r.Origin + r.Target()}, "Cache-Control": {"no-store"}}
	sent := http.Cookie{
		Name: name, Value: "1", Path: "/", MaxAge: int(redirectedMaxAge.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	h.Add("Set-Cookie", sent.String())
	return &auth.Answer{Status: http.StatusFound, Header: h}
}
