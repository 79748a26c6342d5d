package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"sallyport/internal/auth"
)

// maxRequestURI is the longest request_uri that is accepted, in bytes: it goes into an address.
const maxRequestURI = 2048

// pushesRequests reports whether authorization requests are pushed: by the setting, else by the metadata.
func (c *Client) pushesRequests(m *Metadata) bool {
	if required := c.settings.RequirePushedAuthorizationRequests; required != nil {
		return *required
	}
	return m.RequirePushedAuthorizationRequests
}

// push sends an authorization request to the issuer, and returns the parameters that refer to it (RFC 9126 §2.1, §4). They are good for
// one login: each login pushes a request of its own. The error wraps ErrNotSetUp if the issuer refuses the request, else
// ErrUnavailable.
func (c *Client) push(ctx context.Context, m *Metadata, params url.Values, by Caller) (url.Values, error) {
	return admitted(ctx, c.issuer, by, func(ctx context.Context) (url.Values, error) {
		r, err := c.post(ctx, pushedRequestEndpoint, params, http.Header{}, nil)
		if err != nil {
			return nil, err
		}
		object, err := r.object()
		if r.status != http.StatusCreated {
			return nil, c.pushError(m, r.status, object)
		}
		var reference string
		if err == nil {
			reference, err = requestURI(object)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: its answer to a pushed authorization request: %w", ErrUnavailable, err)
		}
		return url.Values{"client_id": {c.ID}, "request_uri": {reference}}, nil
	})
}

// requestURI returns the request_uri of a successful response (RFC 9126 §2.2), which must not have expired.
func requestURI(response auth.Claims) (string, error) {
	reference := response.String("request_uri")
	u, err := url.Parse(reference)
	if err != nil || u.Scheme == "" || len(reference) > maxRequestURI {
		return "", fmt.Errorf("request_uri: expected a URI of at most %d bytes, got %q", maxRequestURI, clip(reference))
	}
	switch lifetime, known, err := expiresIn(response["expires_in"]); {
	case err != nil:
		return "", fmt.Errorf("expires_in: %w", err)
	case !known || lifetime <= 0:
		return "", errors.New("expires_in: expected a positive number of seconds")
	}
	return reference, nil
}

// pushError turns an error response into an error (RFC 9126 §2.3): an outage wraps ErrUnavailable, everything else ErrNotSetUp.
func (c *Client) pushError(m *Metadata, status int, body auth.Claims) error {
	code := body.String("error")
	if code == "" {
		return statusError("pushed authorization request endpoint", status, "pushed_authorization_request_endpoint")
	}
	err := retrieveError(status, body)
	if outageStatus(status) || slices.Contains(outageErrors, code) {
		return fmt.Errorf("%w: its pushed authorization request endpoint answered %d: %w", ErrUnavailable, status, err)
	}
	remedy := cmp.Or(requestRemedies[code], requestRemedies["invalid_request"])
	if code == "invalid_client" {
		remedy = c.remedy(codeGrant, code, m)
	}
	return fmt.Errorf("%w: its pushed authorization request endpoint answered: %w: %s", ErrNotSetUp, err, remedy)
}
