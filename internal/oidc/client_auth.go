package oidc

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"sallyport/internal/auth"
)

// Credentials are a client's that isn't ours: a caller's own, which we pass on.
type Credentials struct {
	ID     string
	Secret auth.Secret
}

// An endpoint is where a client proves itself.
type endpoint int

const (
	tokenEndpoint endpoint = iota
	introspectionEndpoint
	revocationEndpoint
	endpoints // how many there are
)

// place is where an endpoint is, and how a client proves itself there.
type place struct {
	name    string   // of the setting
	mtls    string   // likewise, for a client with a certificate (RFC 8705 §5)
	method  string   // configured for this endpoint
	methods []string // that the metadata offers
}

func (c *Client) place(m *Metadata, e endpoint) place {
	s := &c.settings.ClientSettings
	switch e {
	case introspectionEndpoint:
		return place{name: "introspection_endpoint", mtls: "mtls_introspection_endpoint",
			method: s.IntrospectionEndpointAuthMethod, methods: orElse(m.IntrospectionAuthMethods, m.TokenAuthMethods)}
	case revocationEndpoint:
		return place{name: "revocation_endpoint", mtls: "mtls_revocation_endpoint",
			method: s.RevocationEndpointAuthMethod, methods: orElse(m.RevocationAuthMethods, m.TokenAuthMethods)}
	}
	return place{name: "token_endpoint", mtls: "mtls_token_endpoint", method: s.TokenEndpointAuthMethod, methods: m.TokenAuthMethods}
}

// address is where the client goes. A client with a certificate goes to the endpoint that asks for one, if there is such an
// endpoint; one that is announced and can't be used is an error, for the other endpoint doesn't ask.
func (c *Client) address(m *Metadata, p place) (string, error) {
	if c.certificate {
		if address, err := m.require(p.mtls); err == nil || m.bad[p.mtls] != nil {
			return address, err
		}
	}
	return m.require(p.name)
}

func orElse(list, otherwise []string) []string {
	if len(list) > 0 {
		return list
	}
	return otherwise
}

// authenticate adds the client's authentication to a request and returns where it goes (RFC 6749 §2.3, OIDC Core §9,
// RFC 8705 §2).
func (c *Client) authenticate(m *Metadata, e endpoint, form url.Values, header http.Header, as *Credentials) (address string, err error) {
	p := c.place(m, e)
	if address, err = c.address(m, p); err != nil {
		return "", err
	}
	who := Credentials{c.ID, c.secret}
	method := c.authMethod(p)
	if as != nil {
		who, method = *as, callersMethod(method, p)
	}
	switch method {
	case "client_secret_basic":
		// RFC 6749 §2.3.1: both are form-encoded before they are joined.
		pair := &http.Request{Header: header}
		pair.SetBasicAuth(url.QueryEscape(who.ID), url.QueryEscape(string(who.Secret)))
		return address, nil
	case "client_secret_post":
		form.Set("client_secret", string(who.Secret))
	case "client_secret_jwt", "private_key_jwt":
		form.Set("client_assertion_type", assertionType)
		assertion, err := c.assertionFor(method, m, who)
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrUnavailable, method, err)
		}
		form.Set("client_assertion", assertion)
	case "tls_client_auth", "self_signed_tls_client_auth", "none": // client_id says who; the connection proves it, or nothing does
	default:
		return "", fmt.Errorf("client_auth: %s isn't known", method)
	}
	form.Set("client_id", who.ID)
	return address, nil
}

// authMethod is the configured method, the endpoint's own first, else the best that the client has something for and the
// metadata offers, else client_secret_basic. Nothing is ever tried out: some servers lock a client at its first wrong
// authentication.
func (c *Client) authMethod(p place) string {
	if configured := cmp.Or(p.method, c.auth); configured != "" {
		return configured
	}
	offers := func(method string) bool { return slices.Contains(p.methods, method) }
	switch {
	case c.secret != "" && offers("client_secret_post") && !offers("client_secret_basic"):
		return "client_secret_post"
	case c.secret != "":
		return "client_secret_basic"
	case c.jwk != nil || c.assertion != nil:
		return "private_key_jwt"
	case c.certificate:
		return "tls_client_auth"
	}
	return "none"
}

// callersMethod is how a caller's own client proves itself: by its secret, which is all that we are given. Of our own
// method only what works by a secret counts.
func callersMethod(ours string, p place) string {
	if slices.Contains([]string{"client_secret_basic", "client_secret_post", "client_secret_jwt"}, ours) {
		return ours
	}
	if slices.Contains(p.methods, "client_secret_post") && !slices.Contains(p.methods, "client_secret_basic") {
		return "client_secret_post"
	}
	return "client_secret_basic"
}
