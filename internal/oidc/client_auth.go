package oidc

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"sallyport/internal/auth"
)

// Credentials are the client_id and secret of a client.
type Credentials struct {
	ID     string
	Secret auth.Secret
}

// An endpoint is one at which clients authenticate.
type endpoint int

const (
	tokenEndpoint endpoint = iota
	introspectionEndpoint
	revocationEndpoint
	pushedRequestEndpoint
	endpoints // the number of endpoints
)

// String returns the endpoint's name for metrics.
func (e endpoint) String() string {
	return [endpoints]string{"token", "introspection", "revocation", "pushed_authorization_request"}[e]
}

// endpointAuth says how clients authenticate at an endpoint.
type endpointAuth struct {
	setting     string   // the setting with the endpoint's address
	mtlsSetting string   // likewise, for a client with a certificate (RFC 8705 §5)
	method      string   // the configured authentication method of this endpoint
	methods     []string // the methods in the metadata
}

func (c *Client) endpointAuth(m *Metadata, e endpoint) endpointAuth {
	s := &c.settings.ClientSettings
	switch e {
	case introspectionEndpoint:
		return endpointAuth{setting: "introspection_endpoint", mtlsSetting: "mtls_introspection_endpoint",
			method: s.IntrospectionEndpointAuthMethod, methods: orElse(m.IntrospectionAuthMethods, m.TokenAuthMethods)}
	case revocationEndpoint:
		return endpointAuth{setting: "revocation_endpoint", mtlsSetting: "mtls_revocation_endpoint",
			method: s.RevocationEndpointAuthMethod, methods: orElse(m.RevocationAuthMethods, m.TokenAuthMethods)}
	case pushedRequestEndpoint: // its metadata has no list of methods: those of the token endpoint apply (RFC 9126 §5)
		return endpointAuth{setting: "pushed_authorization_request_endpoint", mtlsSetting: "mtls_pushed_authorization_request_endpoint",
			method: s.PushedAuthorizationRequestEndpointAuthMethod, methods: m.TokenAuthMethods}
	}
	return endpointAuth{
		setting: "token_endpoint", mtlsSetting: "mtls_token_endpoint", method: s.TokenEndpointAuthMethod, methods: m.TokenAuthMethods,
	}
}

// address returns the address of an endpoint. A client with a certificate uses the endpoint for such clients, if the issuer has one. If
// that can't be used it is an error, because the other endpoint doesn't request the certificate.
func (c *Client) address(m *Metadata, e endpointAuth) (string, error) {
	if c.pool != nil {
		if address, err := m.require(e.mtlsSetting); err == nil || m.unusable[e.mtlsSetting] != nil {
			return address, err
		}
	}
	return m.require(e.setting)
}

// orElse returns list, or otherwise if list is empty.
func orElse(list, otherwise []string) []string {
	if len(list) > 0 {
		return list
	}
	return otherwise
}

// authenticate adds the authentication of a client to a request (RFC 6749 §2.3, OIDC Core §9, RFC 8705 §2), and returns the address of
// the endpoint. A nil as is the gate's own client.
func (c *Client) authenticate(m *Metadata, e endpoint, form url.Values, header http.Header, as *Credentials) (address string, err error) {
	p := c.endpointAuth(m, e)
	if address, err = c.address(m, p); err != nil {
		return "", err
	}
	client := Credentials{c.ID, c.secret}
	method := c.authMethod(p)
	if as != nil {
		client, method = *as, secretMethod(method, p)
	}
	switch method {
	case "client_secret_basic":
		// RFC 6749 §2.3.1: both are form-encoded before they are joined
		r := &http.Request{Header: header}
		r.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(string(client.Secret)))
		return address, nil
	case "client_secret_post":
		form.Set("client_secret", string(client.Secret))
	case "client_secret_jwt", "private_key_jwt":
		form.Set("client_assertion_type", assertionType)
		assertion, err := c.assertionFor(method, m, client)
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrUnavailable, method, err)
		}
		form.Set("client_assertion", assertion)
	case "tls_client_auth", "self_signed_tls_client_auth", "none": // client_id identifies the client
	default:
		return "", fmt.Errorf("client_auth: %s isn't known", method)
	}
	form.Set("client_id", client.ID)
	return address, nil
}

// authMethod returns the method by which the gate's client authenticates: the one configured for the endpoint or for the client, else the
// best for which the client has a credential. It never tries several, because some servers lock a client at its first failure.
func (c *Client) authMethod(p endpointAuth) string {
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
	case c.pool != nil:
		return "tls_client_auth"
	}
	return "none"
}

// secretMethod returns the method by which a caller's own client authenticates, of which the gate has only the secret. It is the method of
// the gate's own client if that uses a secret.
func secretMethod(own string, p endpointAuth) string {
	if slices.Contains([]string{"client_secret_basic", "client_secret_post", "client_secret_jwt"}, own) {
		return own
	}
	if slices.Contains(p.methods, "client_secret_post") && !slices.Contains(p.methods, "client_secret_basic") {
		return "client_secret_post"
	}
	return "client_secret_basic"
}
