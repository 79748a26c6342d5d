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
	"sallyport/internal/dpop"
	"sallyport/internal/oidc"
)

// IssuersSettings say how the issuer of a login is chosen on a route with several issuers.
type IssuersSettings struct {
	LoginIssuerArg string `yaml:"login_issuer_arg" place:"true" default:"login_issuer"` // the query argument that names it
}

// A login is one attempt to log in. The browser keeps it in a sealed cookie of its own, so that any number of tabs can log
// in at once, and unfinished logins use no memory of the gate.
type login struct {
	Seed    []byte `json:"-"` // the key from which state, nonce and code_verifier are derived
	Client  string `json:"c"` // the client_id of the authorization request
	Origin  string `json:"o"` // the origin on which it began, and on which it must end
	Return  string `json:"-"` // path and query of the requested page
	Started int64  `json:"t"` // Unix seconds

	ACRValues []string `json:"a,omitempty"` // one of them is required, if a rule requires it
	MaxAge    *int64   `json:"m,omitempty"` // seconds; the maximum age that a rule requires
}

// seedBytes is the length of a seed.
const seedBytes = 32

// lateLoginWindow is how long the cookie of a login outlives its timeout, so that a late response can link to the requested
// page.
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

// returnTarget returns the path of the requested page, and its query without the hidden parameters.
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

// maxAge returns the shorter of the configured max_age and the one that a rule requires; nil if neither is set.
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

// checkACR refuses a login without a required acr. A new challenge would only repeat the same login without end.
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
		Description: "This page needs a stronger login than the one that the login service performed.",
		Err:         fmt.Errorf("acr: expected one of %q, got %q", l.ACRValues, acr)}
}

// derive returns one of the secrets of a login: 256 bits, base64url.
func (l *login) derive(label string) string {
	m := hmac.New(sha256.New, l.Seed)
	m.Write([]byte(label))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (l *login) state() string    { return l.derive("state") }         // RFC 6749 §10.12
func (l *login) nonce() string    { return l.derive("nonce") }         // OIDC Core §15.5.2
func (l *login) verifier() string { return l.derive("code_verifier") } // RFC 7636 §4.1: 43 characters

// dpopKey returns the key to which the code and the tokens of a login are bound; nil without client_dpop. It isn't in the login's cookie:
// like the secrets above it follows from the seed, which is sealed there.
func (l *login) dpopKey(client *oidc.Client) (*dpop.Key, error) {
	if !client.BindsTokens() {
		return nil, nil
	}
	return dpop.KeyOf(l.Seed)
}
