package flow

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/keyring"
)

const (
	logoutStateSuffix = "logout"         // the end of the name of the cookie with the state of a logout
	logoutStateLife   = 10 * time.Minute // how long the provider may take
)

// A logoutReturn gives the logout requests of a part a state, and checks it when the provider sends the browser back to
// logout_redirect_uri (RP-Initiated Logout §2, §3). The state stands in a sealed cookie. Two tabs that log out at once have the same state.
type logoutReturn struct {
	cookie  cookie
	keyring *keyring.Keyring
	targets []logoutTarget
	now     func() time.Time
}

// A logoutTarget is a logout_redirect_uri at which the gate can see that the browser comes back: on a path of the route.
type logoutTarget struct {
	uri    string
	origin string // empty: that of the request
	path   string
}

func newLogoutReturn(b *base) *logoutReturn {
	c := wholeSiteCookie(newLoginCookie(b))
	c.sameSite, c.httpOnly = http.SameSiteLaxMode, true // the browser comes from another site
	l := &logoutReturn{cookie: c, keyring: b.Keyring, now: b.Now}
	for _, uri := range of[LogoutSettings](b.view).LogoutRedirectURI {
		if t, ok := newLogoutTarget(uri, b.Paths); ok {
			l.targets = append(l.targets, t)
		}
	}
	return l
}

// newLogoutTarget reports false for a URI that the route doesn't serve, and for one that has a state of its own.
func newLogoutTarget(uri string, paths []string) (t logoutTarget, ok bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Query().Has("state") {
		return t, false
	}
	t = logoutTarget{uri: uri, path: cmp.Or(u.Path, "/")}
	if u.Host != "" {
		t.origin = u.Scheme + "://" + u.Host
	}
	return t, slices.ContainsFunc(paths, func(prefix string) bool { return check.PathCovers(prefix, t.path) })
}

// on reports whether the URI is on the origin of a request.
func (t *logoutTarget) on(r *auth.Request) bool { return t.origin == "" || t.origin == r.Origin }

func (l *logoutReturn) cookieName(r *auth.Request) string {
	return l.cookie.fullName(r) + logoutStateSuffix
}

// begin returns the state of a logout request, and the header that sets its cookie. It returns "" if the gate can't check the state at
// target.
func (l *logoutReturn) begin(r *auth.Request, target string) (state string, header http.Header, err error) {
	leadsHere := func(t logoutTarget) bool { return (t.uri == target || r.Origin+t.uri == target) && t.on(r) }
	if !slices.ContainsFunc(l.targets, leadsHere) {
		return "", nil, nil
	}
	if state = l.pending(r); state == "" {
		state = rand.Text()
	}
	name := l.cookieName(r)
	sealed, err := l.keyring.Seal(name, fmt.Appendf(nil, "%d %s", l.now().Unix(), state))
	if err != nil {
		return "", nil, err
	}
	header = http.Header{}
	l.cookie.set(header, r, name, sealed, int(logoutStateLife.Seconds()))
	return state, header, nil
}

// pending returns the state of the browser's logout; "" if none is under way.
func (l *logoutReturn) pending(r *auth.Request) string {
	name := l.cookieName(r)
	values := r.CookieValues(name)
	for _, value := range values[:min(len(values), maxCookies)] {
		plain, ok := l.keyring.Unseal(name, value)
		at, state, _ := strings.Cut(string(plain), " ")
		began, err := strconv.ParseInt(at, 10, 64)
		if ok && err == nil && l.now().Sub(time.Unix(began, 0)) < logoutStateLife {
			return state
		}
	}
	return ""
}

// isReturn reports whether a request is a browser that comes back from a logout. A link of the route's own pages isn't, unless it has a
// state.
func (l *logoutReturn) isReturn(r *auth.Request) bool {
	isTarget := func(t logoutTarget) bool { return t.path == r.Path && t.on(r) }
	if r.Method != http.MethodGet || !slices.ContainsFunc(l.targets, isTarget) || !r.Opened() || l.pending(r) == "" {
		return false
	}
	return r.Query().Has("state") || r.Header.Get("Sec-Fetch-Site") != "same-origin"
}

// logoutReturns are the logoutReturn of all parts of a route.
type logoutReturns []*logoutReturn

func (l logoutReturns) endpoint() auth.Endpoint {
	return auth.Endpoint{Name: "logout", Serve: l.serve, Matches: func(r *auth.Request) bool {
		return slices.ContainsFunc(l, func(one *logoutReturn) bool { return one.isReturn(r) })
	}}
}

// serve checks the state and sends the browser on to the same address without it. The logins here have ended already, so a wrong state
// undoes nothing: its page says that this answer belongs to another logout.
func (l logoutReturns) serve(r *auth.Request) (*auth.Result, error) {
	states, target := r.Query()["state"], r.Origin+returnTarget(r, []string{"state"})
	cleared := http.Header{}
	for _, one := range l {
		pending := one.pending(r)
		if pending == "" {
			continue
		}
		same := len(states) == 1 && subtle.ConstantTimeCompare([]byte(pending), []byte(states[0])) == 1
		if same {
			cleared = http.Header{}
		}
		one.cookie.set(cleared, r, one.cookieName(r), "", -1)
		if same {
			return &auth.Result{Header: cleared, Answer: &auth.Answer{Status: http.StatusSeeOther, Header: http.Header{
				"Location": {target}, "Cache-Control": {"no-store"}, "Referrer-Policy": {"no-referrer"},
			}}}, nil
		}
	}
	return nil, &auth.Error{Status: http.StatusBadRequest, Reason: "logout_state", Title: "Logged out, with a doubt", Header: cleared,
		Err: errors.New("the provider's answer to the logout has no state, more than one, or that of another logout"), Link: target,
		Description: "You are logged out here. But the answer of the login service doesn't belong to your logout, " +
			"so you may still be logged in there."}
}
