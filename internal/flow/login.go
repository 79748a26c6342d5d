package flow

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// A login is one attempt to log in, which the browser keeps for us in a sealed cookie of its own: any number of tabs can
// log in at once, and a stranger can't fill a store with logins that never end.
type login struct {
	Seed    []byte `json:"-"` // what state, nonce and code_verifier are made from
	Client  string `json:"c"` // the client_id that it began with
	Origin  string `json:"o"` // where it began, and so where it ends
	Return  string `json:"-"` // path and query of the page that was asked for
	Started int64  `json:"t"` // Unix seconds

	ACRValues []string `json:"a,omitempty"` // of which the login must have one, where a rule asked for it
	MaxAge    *int64   `json:"m,omitempty"` // seconds: how old it may be, where a rule asked for it
}

// loginRemembers is how long a login that came too late still knows its way back.
const loginRemembers = 2 * time.Hour

func newLogin(r *auth.Request, hidden []string, client string, want *auth.StepUp, now time.Time) *login {
	seed := make([]byte, seedBytes)
	rand.Read(seed) // never fails
	l := &login{Seed: seed, Client: client, Origin: r.Origin, Return: wayBack(r, hidden), Started: now.Unix()}
	if want != nil {
		l.ACRValues = want.ACRValues
		if want.MaxAge != nil {
			seconds := int64(want.MaxAge.Seconds())
			l.MaxAge = &seconds
		}
	}
	return l
}

// wayBack returns the path of the page that was asked for, and its query without the hidden parameters.
func wayBack(r *auth.Request, hidden []string) string {
	path, query, _ := strings.Cut(r.Target(), "?")
	if len(hidden) > 0 {
		query = auth.WithoutParams(query, hidden)
	}
	switch full := path + "?" + query; {
	case query != "" && safeReturn(full):
		return full
	case safeReturn(path):
		return path
	}
	return "/"
}

// maxAge is the shorter of what the settings and what a rule asked for; nil if neither did.
func (l *login) maxAge(configured *time.Duration) *time.Duration {
	if l.MaxAge == nil {
		return configured
	}
	asked := time.Duration(*l.MaxAge) * time.Second
	if configured != nil && *configured < asked {
		return configured
	}
	return &asked
}

// checkStrength refuses a login that isn't what was asked for: the page would only ask for it again, and for ever.
func (l *login) checkStrength(i *auth.Identity) error {
	if len(l.ACRValues) == 0 {
		return nil
	}
	v, _ := i.Lookup([]string{"acr"})
	acr, _ := auth.Scalar(v)
	if slices.Contains(l.ACRValues, acr) {
		return nil
	}
	return &auth.Error{Status: http.StatusForbidden, Reason: "login_too_weak", Title: "A stronger login is needed",
		Description: "This page needs a login that the login service didn't give.",
		Err:         fmt.Errorf("acr: one of %q was asked for, got %q", l.ACRValues, acr)}
}

// derive makes one of the login's secrets: 256 bits, base64url.
func (l *login) derive(label string) string {
	m := hmac.New(sha256.New, l.Seed)
	m.Write([]byte(label))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (l *login) state() string    { return l.derive("state") }         // RFC 6749 §10.12
func (l *login) nonce() string    { return l.derive("nonce") }         // OIDC Core §15.5.2
func (l *login) verifier() string { return l.derive("code_verifier") } // RFC 7636 §4.1: 43 characters

// loginCookie is the cookie of logins; its name is a prefix, which a digest of the state ends.
func loginCookie(b *base) cookie {
	attributes := b.AuthorizationCookie
	if b.ResponseMode == "form_post" {
		attributes.SameSite = "None" // the provider's page posts from its own site
	}
	return newCookie(b.AuthorizationCookieName+"_"+mark(b.issuer().URL(), b.Clients[0].ID, b.Session.Audience)+"_", attributes)
}

// cookieName is the name under which the browser keeps the login of a state.
func (f *authorizationCode) cookieName(r *auth.Request, state string) string {
	sum := sha256.Sum256([]byte(state))
	return f.cookie.fullName(r) + hex.EncodeToString(sum[:stateDigest])
}

// stateDigest is how much of a state's digest ends the name of its login's cookie, in bytes.
const stateDigest = 6

func isHex(s string, digits int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == digits
}

// recall finds the login that an authorization response belongs to, by its state, and the name of its cookie.
func (f *authorizationCode) recall(r *auth.Request, response url.Values) (*login, string, error) {
	states := response["state"]
	if len(states) != 1 || len(states[0]) > 100 {
		return nil, "", f.stale(r, f.home, errors.New("the authorization response has no state, or several"))
	}
	name := f.cookieName(r, states[0])
	l := f.unseal(r, name)
	switch {
	case l == nil:
		return nil, "", f.stale(r, f.home, errors.New("no login of this browser has this state: it was used already, began in another browser, or never"))
	case subtle.ConstantTimeCompare([]byte(l.state()), []byte(states[0])) != 1:
		return nil, "", f.stale(r, f.home, errors.New("the login's state is another"))
	case l.Origin != r.Origin:
		return nil, "", f.stale(r, f.home, fmt.Errorf("the login began at %s and ended at %s", l.Origin, r.Origin))
	case f.now().Sub(time.Unix(l.Started, 0)) > f.settings.AuthorizationRollingTimeout:
		return nil, "", f.stale(r, l.Return, errors.New("the login took longer than authorization_rolling_timeout"))
	}
	return l, name, nil
}

// unseal opens the login's cookie of that name. A neighbouring host may have set others of the name: a few are tried.
func (f *authorizationCode) unseal(r *auth.Request, name string) *login {
	values := r.CookieValues(name)
	for _, value := range values[:min(len(values), maxCookies)] {
		if l := f.unsealValue(name, value); l != nil {
			return l
		}
	}
	return nil
}

// stale is the answer to a response that no login waits for: a way back to the page, where a new login begins if need be.
func (f *authorizationCode) stale(r *auth.Request, back string, err error) error {
	return &auth.Error{Status: http.StatusBadRequest, Reason: "login_stale", Title: "Login not completed", Link: r.Origin + back, Err: err,
		Description: "This login has ended already, took too long, or was begun in another browser. You can go on to the page and log in anew if asked."}
}

// A loginCookieOf is a cookie of a login that the browser has begun.
type loginCookieOf struct {
	name    string
	size    int   // in bytes
	started int64 // Unix seconds; zero if it doesn't open
}

// boundLogins drops the oldest logins of a browser that has begun too many.
func (f *authorizationCode) boundLogins(r *auth.Request) http.Header {
	all := f.begunLogins(r)
	slices.SortFunc(all, func(a, b loginCookieOf) int { return cmp.Compare(b.started, a.started) })
	h, total := http.Header{}, 0
	for n, k := range all {
		if total += k.size; n >= maxLogins-1 || total > maxLoginBytes || k.started == 0 {
			f.cookie.set(h, r, k.name, "", -1)
		}
	}
	return h
}

// begunLogins returns the cookies of logins, each name once. It opens each cookie once, and no more of them than a browser
// that has begun too many logins brings.
func (f *authorizationCode) begunLogins(r *auth.Request) (all []loginCookieOf) {
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
			all = append(all, loginCookieOf{name: c.Name, size: len(c.Name) + len(c.Value)})
		}
		if l := f.unsealValue(c.Name, c.Value); l != nil {
			all[n].started = l.Started
		}
	}
	return all
}
