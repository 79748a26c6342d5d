package provider

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
)

// authenticate finds out which client asks (RFC 6749 §2.3). Only the client's registered method is accepted, and only one
// at a time.
func (p *Provider) authenticate(r *http.Request) (*Client, error) {
	id, secret, method, err := presented(r)
	if err != nil {
		return nil, err
	}
	client := p.client(id)
	if client == nil || client.AuthMethod != method || !equal(client.Secret, secret) {
		return nil, invalidClient(r)
	}
	return client, nil
}

// presented reads the client's credentials and says by which method they came.
func presented(r *http.Request) (id, secret, method string, err error) {
	form := r.PostForm
	user, password, basic := r.BasicAuth()
	switch {
	case basic && form.Has("client_secret"):
		return "", "", "", badRequest("The client authenticates in two ways at once.")
	case basic:
		// RFC 6749 §2.3.1: both were form-encoded before they were joined.
		id, err1 := url.QueryUnescape(user)
		secret, err2 := url.QueryUnescape(password)
		if err1 != nil || err2 != nil || form.Has("client_id") && form.Get("client_id") != id {
			return "", "", "", invalidClient(r)
		}
		return id, secret, "client_secret_basic", nil
	case r.Header.Get("Authorization") != "":
		return "", "", "", invalidClient(r)
	case form.Has("client_secret"):
		return form.Get("client_id"), form.Get("client_secret"), "client_secret_post", nil
	}
	return form.Get("client_id"), "", "none", nil
}

// invalidClient answers the scheme that was tried, as RFC 6749 §5.2 demands.
func invalidClient(r *http.Request) error {
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
