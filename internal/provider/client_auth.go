package provider

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
)

// The methods of client authentication (OIDC Core §9, RFC 8705 §2); those by certificate need TLS.
var (
	authMethods = []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"}
	mtlsMethods = []string{"tls_client_auth", "self_signed_tls_client_auth"}
)

// credentials are what a request says of its client; nothing of it is judged yet.
type credentials struct {
	id        string // "" if only the assertion says it
	secret    string
	assertion string
	method    string // client_secret_basic, client_secret_post, assertion, or none: then a certificate may do it
}

// authenticate finds out which client asks (RFC 6749 §2.3). Only the client's registered method is accepted, and only one
// at a time.
func (p *Provider) authenticate(r *http.Request, e Endpoint) (*Client, error) {
	c, err := presented(r)
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
		if c.method == "none" && p.certified(client, r) {
			return client, nil
		}
	case c.method:
		if equal(client.Secret, c.secret) {
			return client, nil
		}
	}
	return nil, invalidClient(r)
}

// presented reads the client's credentials and says by which method they came.
func presented(r *http.Request) (*credentials, error) {
	form := r.PostForm
	for _, name := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		if len(form[name]) > 1 {
			return nil, badRequest("The parameter " + name + " comes twice.")
		}
	}
	user, password, basic := r.BasicAuth()
	ways := 0
	for _, present := range []bool{basic, form.Has("client_secret"), form.Has("client_assertion") || form.Has("client_assertion_type")} {
		if present {
			ways++
		}
	}
	c := &credentials{id: form.Get("client_id"), secret: form.Get("client_secret"), assertion: form.Get("client_assertion")}
	switch {
	case ways > 1:
		return nil, badRequest("The client authenticates in two ways at once.")
	case basic:
		// RFC 6749 §2.3.1: both were form-encoded before they were joined.
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
	case ways == 1:
		c.method = "assertion"
	default:
		c.method = "none"
	}
	return c, nil
}

// invalidClient answers the scheme that was tried, as RFC 6749 §5.2 demands.
func invalidClient(r *http.Request) *oauthError {
	e := &oauthError{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "The client authentication failed."}
	if r.Header.Get("Authorization") != "" {
		e.Challenge = `Basic realm="provider"`
	}
	return e
}

func equal(want, got string) bool {
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
