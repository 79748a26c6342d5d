package flow

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// IssuersSettings say how the issuer of a login is chosen, where a route has several.
type IssuersSettings struct {
	LoginIssuerArg string `yaml:"login_issuer_arg" place:"true" default:"login_issuer"` // the query argument that names it
}

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

// seedBytes is the length of what a login's secrets are derived from.
const seedBytes = 32

// loginRemembers is how long a login that came too late still knows its way back.
const lateLoginWindow = 2 * time.Hour

func newLogin(r *auth.Request, hidden []string, client string, want *auth.StepUp, now time.Time) *login {
	seed := make([]byte, seedBytes)
	rand.Read(seed) // never fails
	l := &login{Seed: seed, Client: client, Origin: r.Origin, Return: returnTarget(r, hidden), Started: now.Unix()}
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
func returnTarget(r *auth.Request, hidden []string) string {
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
func (l *login) checkACR(i *auth.Identity) error {
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
