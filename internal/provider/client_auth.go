package provider

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
)

// The supported methods of client authentication (OIDC Core §9, RFC 8705 §2). mtlsMethods need StartTLS.
var (
	authMethods = []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"}
	mtlsMethods = []string{"tls_client_auth", "self_signed_tls_client_auth"}
)

// credentials are the client credentials of a request, not verified yet.
type credentials struct {
	id        string // "" if the request doesn't have client_id
	secret    string
	assertion string
	method    string // client_secret_basic, client_secret_post, assertion, or none, with which a certificate may authenticate
}

// authenticate authenticates the client of a request to endpoint e (RFC 6749 §2.3). It accepts only the registered method of
// the client, and only one method in a request.
func (p *Provider) authenticate(r *http.Request, e Endpoint) (*Client, error) {
	c, err := parseCredentials(r)
	if err != nil {
		return nil, err
	}
	if c.method == "assertion" {
		return p.authenticateAssertion(r, e, c)
	}
	client := p.client(c.id)
	if client == nil {
		return nil, invalidClient(r)
	}
	switch client.AuthMethod {
	case "tls_client_auth", "self_signed_tls_client_auth":
		if c.method == "none" && p.verifyClientCert(client, r) {
			return client, nil
		}
	case c.method:
		if equal(client.Secret, c.secret) {
			return client, nil
		}
	}
	return nil, invalidClient(r)
}

// parseCredentials returns the client credentials of a request and the method that it uses.
func parseCredentials(r *http.Request) (*credentials, error) {
	form := r.PostForm
	for _, name := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		if len(form[name]) > 1 {
			return nil, repeatedParameter(name)
		}
	}
	user, password, basic := r.BasicAuth()
	methods := 0
	for _, present := range []bool{basic, form.Has("client_secret"), form.Has("client_assertion") || form.Has("client_assertion_type")} {
		if present {
			methods++
		}
	}
	c := &credentials{id: form.Get("client_id"), secret: form.Get("client_secret"), assertion: form.Get("client_assertion")}
	switch {
	case methods > 1:
		return nil, badRequest("The request uses more than one method of client authentication.")
	case basic:
		// RFC 6749 §2.3.1: the client ID and the secret are form-encoded.
		id, err1 := url.QueryUnescape(user)
		secret, err2 := url.QueryUnescape(password)
		if err1 != nil || err2 != nil || form.Has("client_id") && c.id != id {
			return nil, invalidClient(r)
		}
		return &credentials{id: id, secret: secret, method: "client_secret_basic"}, nil
	case r.Header.Get("Authorization") != "":
		return nil, invalidClient(r)
	case form.Has("client_secret"):
		c.method = "client_secret_post"
	case methods == 1:
		c.method = "assertion"
	default:
		c.method = "none"
	}
	return c, nil
}

// invalidClient returns the error invalid_client, with a challenge if the request has an Authorization header
// (RFC 6749 §5.2).
func invalidClient(r *http.Request) *oauthError {
	e := &oauthError{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "The client authentication failed."}
	if r.Header.Get("Authorization") != "" {
		e.Challenge = `Basic realm="provider"`
	}
	return e
}

// equal compares secrets in constant time.
func equal(want, got string) bool {
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
