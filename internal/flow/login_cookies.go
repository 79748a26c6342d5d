package flow

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/session"
)

// loginCookies are the cookies in which a browser keeps its pending logins.
type loginCookies struct {
	cookie  cookie
	keyring *keyring.Keyring
	timeout time.Duration // authorization_rolling_timeout
}

// newLoginCookie returns the cookie of logins. Its name is a prefix, to which cookieName adds a digest of the state.
func newLoginCookie(b *base) cookie {
	s := of[AuthorizationCodeSettings](b.view)
	attributes := s.AuthorizationCookie
	if s.isPosted() {
		attributes.SameSite = "None" // the page of the provider posts from another site
	}
	digest := loginDigest(b.issuer().URL(), b.Clients[0].ID, of[session.Settings](b.view).Audience)
	return newCookie(s.AuthorizationCookieName+"_"+digest+"_", attributes)
}

// cookieName returns the name of the cookie of the login with this state.
func (f *loginCookies) cookieName(r *auth.Request, state string) string {
	sum := sha256.Sum256([]byte(state))
	return f.cookie.fullName(r) + hex.EncodeToString(sum[:stateDigestBytes])
}

// stateDigestBytes is the length of the state's digest in the name of a cookie.
const stateDigestBytes = 6

func isHex(s string, digits int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == digits
}

// unseal opens the login's cookie of this name. It tries up to maxCookies values, because another host of the domain may
// have set cookies with this name.
func (f *loginCookies) unseal(r *auth.Request, name string) *login {
	values := r.CookieValues(name)
	for _, value := range values[:min(len(values), maxCookies)] {
		if l := f.unsealValue(name, value); l != nil {
			return l
		}
	}
	return nil
}

// A pendingLogin is the cookie of a login that the browser has begun.
type pendingLogin struct {
	name    string
	size    int   // in bytes
	started int64 // Unix seconds; zero if the cookie is invalid
}

// dropOldest returns the header that deletes the oldest pending logins of a browser with too many.
func (f *loginCookies) dropOldest(r *auth.Request) http.Header {
	all := f.pendingLogins(r)
	slices.SortFunc(all, func(a, b pendingLogin) int { return cmp.Compare(b.started, a.started) })
	h, total := http.Header{}, 0
	for n, k := range all {
		if total += k.size; n >= maxLogins-1 || total > maxLoginBytes || k.started == 0 {
			f.cookie.set(h, r, k.name, "", -1)
		}
	}
	return h
}

// pendingLogins returns the cookies of logins, each name once. It opens each cookie once, and at most 2*maxLogins of them.
func (f *loginCookies) pendingLogins(r *auth.Request) (all []pendingLogin) {
	prefix, place, opened := f.cookie.fullName(r), map[string]int{}, 0
	for _, c := range r.AllCookies() {
		if !isLoginName(c.Name, prefix) {
			continue
		}
		if opened++; opened > 2*maxLogins {
			break
		}
		n, known := place[c.Name]
		if !known {
			n, place[c.Name] = len(all), len(all)
			all = append(all, pendingLogin{name: c.Name, size: len(c.Name) + len(c.Value)})
		}
		if l := f.unsealValue(c.Name, c.Value); l != nil {
			all[n].started = l.Started
		}
	}
	return all
}

// store sets the cookie of a login. Its error is errReturnTooLong if the URL of the requested page is too long.
func (f *loginCookies) store(h http.Header, r *auth.Request, l *login) error {
	plain, err := l.encode()
	if err != nil {
		return err
	}
	name := f.cookieName(r, l.state())
	sealed, err := f.keyring.Seal(name, plain)
	if err != nil {
		return err
	}
	if len(name)+len(sealed) > maxLoginCookie {
		return errReturnTooLong
	}
	f.cookie.set(h, r, name, sealed, int((f.timeout + lateLoginWindow).Seconds()))
	return nil
}

// unsealValue opens the value of a login's cookie; nil if it is invalid.
func (f *loginCookies) unsealValue(name, value string) *login {
	plain, ok := f.keyring.Unseal(name, value)
	if !ok {
		return nil
	}
	l, err := decodeLogin(plain)
	if err != nil {
		return nil
	}
	return l
}

// isLoginName reports whether a cookie with this name holds a login of this route.
func isLoginName(name, prefix string) bool {
	digest, ok := strings.CutPrefix(name, prefix)
	return ok && isHex(digest, 2*stateDigestBytes)
}
