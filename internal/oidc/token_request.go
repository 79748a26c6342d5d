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

// token sends a token request (RFC 6749 §3.2). Its error wraps ErrRefused if the server refuses the credential in the request, ErrNotSetUp
// if only the operator can correct it, else ErrUnavailable. The server's error code is in an *oauth2.RetrieveError.
func (c *Client) token(ctx context.Context, g tokenGrant, form url.Values, extra Extra, as *Credentials) (*TokenResponse, error) {
	header := http.Header{}
	maps.Copy(header, extra.Header)
	s := &c.settings.TokenRequestSettings
	if !extra.OwnHeader {
		eachPair(s.TokenHeadersNames, s.TokenHeadersValues, header.Set)
	}
	if !extra.OwnArgs {
		eachPair(s.TokenPostArgsNames, s.TokenPostArgsValues, form.Add)
	}
	maps.Copy(form, extra.Args)
	sent := c.issuer.now()
	r, err := c.post(ctx, tokenEndpoint, form, header, as)
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
		return nil, c.tokenError(g, m, r.status, object, extra.Args)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its token response: %w", ErrUnavailable, err)
	}
	tokens, ignored, err := readTokens(object, sent, g.name == tokenExchangeGrant.name)
	if err != nil {
		return nil, err
	}
	c.issuer.logIgnored("token response", ignored)
	return &TokenResponse{
		Tokens: tokens, IssuedTokenType: auth.Claims(object).String("issued_token_type"), Answer: object, Header: c.replayed(r.header),
		Received: received,
	}, nil
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
