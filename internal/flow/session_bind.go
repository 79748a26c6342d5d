package flow

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// A binding has the attributes of a request to which a session is bound, by their names in session_bind.
type binding []string

// of returns the values of the attributes.
func (b binding) of(r *auth.Request) map[string]string {
	if len(b) == 0 {
		return nil
	}
	all := map[string]string{}
	for _, name := range b {
		all[name] = attribute(r, name)
	}
	return all
}

// attribute returns the value of one attribute: the client's address after trusted_proxies, the scheme by which the client reached the
// gate, or a hash of User-Agent.
func attribute(r *auth.Request, name string) string {
	switch name {
	case "ip":
		return r.Client()
	case "scheme":
		scheme, _, _ := strings.Cut(cmp.Or(r.AskedAt, r.Origin), "://")
		return scheme
	}
	sum := sha256.Sum256([]byte(strings.Join(r.Header["User-Agent"], "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// differs returns the first attribute in which a request differs from the one that began a login, or "". A login that isn't bound to an
// attribute of b differs in it: the setting is newer than the login.
func (b binding) differs(r *auth.Request, l *session.Login) string {
	for _, name := range b {
		if value, bound := l.Bound[name]; !bound || value != attribute(r, name) {
			return name
		}
	}
	return ""
}

// boundTo returns the binding of a login, whatever the settings of this route are.
func boundTo(l *session.Login) binding { return slices.Sorted(maps.Keys(l.Bound)) }

// checkBinding returns an error if a request may not use a session. The request is treated as one without a session. Neither does the
// session end nor is the cookie cleared: somebody else may have stolen the cookie, and its owner goes on.
func (f *sessions) checkBinding(r *auth.Request, s *session.Session) error {
	name := f.bind.differs(r, &s.Login)
	if name == "" {
		return nil
	}
	f.log.Warn("a session is not used: the request differs in an attribute of session_bind from the one that began the session",
		"request_id", r.ID, "attribute", name, "client", r.Client(), "issuer", s.Login.Issuer, "sub", s.Login.Subject)
	return fmt.Errorf("the session is bound to another %s: %w", name, auth.ErrNoCredential)
}
