package oidc

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/dpop"
)

// A Caller is the client on whose behalf the gate sends a request to the authorization server.
type Caller struct {
	Address netip.Addr
	Extra   Extra // from the caller's request
}

// An Extra has parameters and headers that one request has besides those of the standards and the settings.
type Extra struct {
	Args      url.Values
	Header    http.Header
	OwnArgs   bool // Args replace the settings' arguments
	OwnHeader bool // Header replaces the settings' headers
}

// keyParts returns what an Extra adds to a cache key: nothing if it is empty, else three parts.
func (e Extra) keyParts() []string {
	if len(e.Args)+len(e.Header) == 0 && !e.OwnArgs && !e.OwnHeader {
		return nil
	}
	var b strings.Builder
	e.Header.Write(&b) // sorted by name
	return []string{e.Args.Encode(), b.String(), fmt.Sprint(e.OwnArgs, e.OwnHeader)}
}

// eachPair calls add for the names and values of two settings that belong together by index.
func eachPair(names []string, values []auth.Secret, add func(name, value string)) {
	for i, name := range names {
		add(name, string(values[i]))
	}
}

// A tokenRequest is a token request (RFC 6749 §3.2).
type tokenRequest struct {
	tokenGrant
	form  url.Values
	extra Extra
	as    *Credentials // the client that authenticates; nil: the gate's own
	key   *dpop.Key    // to which the tokens are bound; nil: none, or a new one with client_dpop
}

// token sends a token request. Its error wraps ErrRefused if the server refuses the credential in the request, ErrNotSetUp if only the
// operator can correct it, else ErrUnavailable. The server's error code is in an *oauth2.RetrieveError.
func (c *Client) token(ctx context.Context, t tokenRequest) (*TokenResponse, error) {
	sent, certificate := c.issuer.now(), c.Certificate()
	if t.key == nil && c.settings.ClientDPoP {
		var err error
		if t.key, err = dpop.NewKey(); err != nil {
			return nil, err
		}
	}
	r, err := c.sendTokenRequest(ctx, t)
	if err != nil {
		return nil, err
	}
	received := c.issuer.now()
	object, err := r.object()
	if r.status != http.StatusOK || object["error"] != nil { // some servers send an error response with 200
		m, err := c.issuer.Metadata(ctx)
		if err != nil {
			return nil, err
		}
		return nil, c.tokenError(t.tokenGrant, m, r.status, object, t.extra.Args)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its token response: %w", ErrUnavailable, err)
	}
	tokens, ignored, err := readTokens(object, sent, t.tokenTypes()...)
	tokens.Certificate = certificate
	if err == nil && t.key != nil {
		err = bind(&tokens, t.key)
	}
	if err != nil {
		return nil, err
	}
	c.issuer.logIgnored("token response", ignored)
	return &TokenResponse{
		Tokens: tokens, IssuedTokenType: auth.Claims(object).String("issued_token_type"), Answer: object, Header: c.replayed(r.header),
		Received: received,
	}, nil
}

// tokenTypes returns the values of token_type of the tokens that the gate can send. The response to a token exchange may
// have another token in the place of the access token, of token_type N_A (RFC 8693 §2.2.1).
func (t *tokenRequest) tokenTypes() []string {
	switch {
	case t.key != nil:
		return []string{"DPoP"}
	case t.name == tokenExchangeGrant.name:
		return []string{"", "Bearer", "N_A"}
	}
	return []string{"", "Bearer"}
}

// sendTokenRequest sends a token request with the parameters and headers of the settings, and returns the response.
func (c *Client) sendTokenRequest(ctx context.Context, t tokenRequest) (*response, error) {
	header := http.Header{}
	maps.Copy(header, t.extra.Header)
	s := &c.settings.TokenRequestSettings
	if !t.extra.OwnHeader {
		eachPair(s.TokenHeadersNames, s.TokenHeadersValues, header.Set)
	}
	if !t.extra.OwnArgs {
		eachPair(s.TokenPostArgsNames, s.TokenPostArgsValues, t.form.Add)
	}
	maps.Copy(t.form, t.extra.Args)
	if t.key == nil {
		return c.post(ctx, tokenEndpoint, t.form, header, t.as)
	}
	p := prover{c.issuer, c.http, t.key, tokenEndpoint.String(), ""}
	return p.send(func() (*http.Request, error) { return c.newPost(ctx, tokenEndpoint, t.form, header, t.as) })
}

// replayed returns the response headers that token_headers_replay names; nil without one.
func (c *Client) replayed(h http.Header) http.Header {
	var all http.Header
	for _, name := range c.settings.TokenHeadersReplay {
		name = strings.ReplaceAll(name, "_", "-")
		if values := h.Values(name); len(values) > 0 {
			if all == nil {
				all = http.Header{}
			}
			all[textproto.CanonicalMIMEHeaderKey(name)] = values
		}
	}
	return all
}
