package flow

import (
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
	cookies *loginCookies
	paths   []string // of the redirection endpoints
	now     func() time.Time
}

// countLogin counts a successful login in a cookie. If a page soon requires another login, the browser did not send the
// session's cookie. The logins would repeat without end, because the provider needs no input from a user who is logged in
// there.
func (f *loginLoop) countLogin(h http.Header, r *auth.Request) error {
	name := f.cookies.cookie.fullName(r) + loginCountSuffix
	sealed, err := f.cookies.keyring.Seal(name, fmt.Appendf(nil, "%d %d", f.recentLogins(r)+1, f.now().Unix()))
	if err == nil {
		c := wholeSiteCookie(f.cookies.cookie)
		c.set(h, r, name, sealed, int(repeatedLoginWindow.Seconds()))
	}
	return err
}

// wholeSiteCookie returns the cookie of logins for every path and without a domain, because the configured path or domain
// may be the mistake.
func wholeSiteCookie(c cookie) cookie {
	c.path, c.domain = "/", ""
	return c
}

// recentLogins returns the number of logins that succeeded within repeatedLoginWindow.
func (f *loginLoop) recentLogins(r *auth.Request) int {
	name := f.cookies.cookie.fullName(r) + loginCountSuffix
	values := r.CookieValues(name)
	for _, value := range values[:min(len(values), maxCookies)] {
		plain, ok := f.cookies.keyring.Unseal(name, value)
		count, at, _ := strings.Cut(string(plain), " ")
		n, errCount := strconv.Atoi(count)
		began, errAt := strconv.ParseInt(at, 10, 64)
		if ok && errCount == nil && errAt == nil && f.now().Sub(time.Unix(began, 0)) < repeatedLoginWindow {
			return n
		}
	}
	return 0
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
	if want.LoggedInAt != "" || f.recentLogins(r) < maxRepeatedLogins { // a user with a session is only asked for a stronger login
		return nil
	}
	return auth.NotSetUp(fmt.Errorf("%d logins in a row have succeeded, and the browser came back without the session's cookie: "+
		"session_cookie_path or session_cookie_domain don't cover this page, session_cookie_secure is true and the page is http, "+
		"a proxy in front drops Set-Cookie, or replicas have different session_secret or no common storage", maxRepeatedLogins))
}

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
