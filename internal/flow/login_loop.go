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
	maxRepeatedLogins   = 3                // logins in a row that the browser comes back from without a session
	repeatedLoginWindow = 20 * time.Second // a person is slower: what is older was no loop
	loginCountSuffix    = "rounds"         // ends the name of the cookie that counts
	redirectedSuffix    = "elsewhere"      // ends the name of the cookie of a browser that was sent to public_url
	redirectedMaxAge    = time.Minute      // how long it counts
)

// A loginLoop finds logins that end where they began.
type loginLoop struct {
	cookies *loginCookies
	paths   []string // of the redirection endpoints
	now     func() time.Time
}

// countRound counts a login that has succeeded, in a cookie of its own. A page that asks for another login soon after didn't get the
// session's cookie, and would ask for ever, because the provider lets the person through without a word.
func (f *loginLoop) countLogin(h http.Header, r *auth.Request) error {
	name := f.cookies.cookie.fullName(r) + loginCountSuffix
	sealed, err := f.cookies.keyring.Seal(name, fmt.Appendf(nil, "%d %d", f.recentLogins(r)+1, f.now().Unix()))
	if err == nil {
		c := wholeSiteCookie(f.cookies.cookie)
		c.set(h, r, name, sealed, int(repeatedLoginWindow.Seconds()))
	}
	return err
}

// marker is the cookie of logins, but for every path: the settings of the other may be what is wrong.
func wholeSiteCookie(c cookie) cookie {
	c.path, c.domain = "/", ""
	return c
}

// rounds is how many logins have succeeded just now.
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

// checkLoop refuses to begin a login that would end where it began. The log has the likely causes, which only an operator can mend.
func (f *loginLoop) checkLoop(r *auth.Request, want auth.Login) error {
	query := r.Query()
	if state := query.Get("state"); state != "" && (query.Has("code") || query.Has("error")) && f.cookies.unseal(r, f.cookies.cookieName(r, state)) != nil {
		return auth.NotSetUp(fmt.Errorf("redirect_uri leads to %s, which the gate forwards: the gate answers authorization responses at %s, "+
			"so write redirect_uri with that path, and register it at the issuer", r.Path, strings.Join(f.paths, " and ")))
	}
	if want.Again != "" || f.recentLogins(r) < maxRepeatedLogins { // who has a session is only asked for a stronger login
		return nil
	}
	return auth.NotSetUp(fmt.Errorf("%d logins in a row have succeeded, and the browser came back without the session's cookie: "+
		"session_cookie_path or session_cookie_domain don't cover this page, session_cookie_secure is true and the page is http, "+
		"a proxy in front drops Set-Cookie, or replicas have different session_secret or no common storage", maxRepeatedLogins))
}

// atPublicURL sends a browser that is at another host or scheme than public_url there: the login's cookie would be set where the
// redirection endpoint never sees it. Where a proxy in front hides the host that the browser asked for, the browser is at public_url
// already; it shows that by bringing the cookie which it got with this answer, and then the login begins.
func (f *loginLoop) redirectToPublicURL(r *auth.Request) *auth.Answer {
	name := f.cookies.cookie.name + redirectedSuffix // without a prefix: it may be set over http and come back over https
	if r.AskedAt == "" || r.AskedAt == r.Origin || len(r.CookieValues(name)) > 0 {
		return nil
	}
	h := http.Header{"Location": {r.Origin + r.Target()}, "Cache-Control": {"no-store"}}
	sent := http.Cookie{Name: name, Value: "1", Path: "/", MaxAge: int(redirectedMaxAge.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode}
	h.Add("Set-Cookie", sent.String())
	return &auth.Answer{Status: http.StatusFound, Header: h}
}
