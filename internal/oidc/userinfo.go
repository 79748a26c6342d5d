package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"time"

	"sallyport/internal/auth"
)

// Userinfo is the userinfo response for an access token (OIDC Core §5.3). It is immutable.
type Userinfo struct {
	Claims auth.Claims `json:"claims"`
	JWT    string      `json:"jwt,omitempty"` // the response, if it was signed (§5.3.2)
}

// ErrNoSubject says that the userinfo response has no sub.
var ErrNoSubject = errors.New("userinfo_subject")

// size returns the rough size in memory, in bytes.
func (u *Userinfo) size() int { return 2*len(u.JWT) + 2048 }

// Userinfo requests the userinfo for the access token of t, or returns a cached response. The error wraps ErrInactive if the endpoint
// refuses the token, and is ErrNoSubject if the response has no sub.
func (c *Client) Userinfo(ctx context.Context, t auth.Tokens, by Caller) (*Userinfo, error) {
	load := func(ctx context.Context) (*Userinfo, time.Time, error) {
		u, err := admitted(ctx, c.issuer, by, func(ctx context.Context) (*Userinfo, error) {
			return c.userinfo(ctx, t, by.Extra)
		})
		return u, time.Time{}, err // the response doesn't say when the token expires
	}
	return cached(ctx, c.caches.userinfo, c.cacheKey([]string{"userinfo", t.AccessToken}, by.Extra), load)
}

// RefreshedUserinfo requests the userinfo for a refreshed access token of a session, past the cache. The error is as for Userinfo.
func (c *Client) RefreshedUserinfo(ctx context.Context, t auth.Tokens) (*Userinfo, error) {
	leave, err := c.issuer.calls.admitOwn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.userinfo(ctx, t, Extra{})
}

// userinfo sends the userinfo request (OIDC Core §5.3.1) with the token in the header: by the scheme DPoP with a proof if the token is
// bound to a key (RFC 9449 §7.1), else as bearer token (RFC 6750 §2.1).
func (c *Client) userinfo(ctx context.Context, t auth.Tokens, extra Extra) (*Userinfo, error) {
	key, err := keyOf(t)
	if err != nil {
		return nil, err
	}
	p := prover{c.issuer, c.http, key, "userinfo", t.AccessToken}
	res, err := p.send(func() (*http.Request, error) { return c.newUserinfoRequest(ctx, t.AccessToken, extra) })
	if err != nil {
		return nil, err
	}
	switch res.status {
	case http.StatusOK:
		return c.readUserinfo(ctx, res)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest:
		return nil, fmt.Errorf("%w: the userinfo endpoint answered %d", ErrInactive, res.status)
	}
	return nil, statusError("userinfo endpoint", res.status, "userinfo_endpoint")
}

func (c *Client) newUserinfoRequest(ctx context.Context, accessToken string, extra Extra) (*http.Request, error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	address, err := c.address(m, endpointAuth{setting: "userinfo_endpoint", mtlsSetting: "mtls_userinfo_endpoint"})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: userinfo_endpoint: %w", ErrUnavailable, err)
	}
	s := &c.settings.UserinfoSettings
	q := u.Query()
	eachPair(s.UserinfoQueryArgsNames, s.UserinfoQueryArgsValues, q.Add)
	maps.Copy(q, extra.Args)
	u.RawQuery = q.Encode()
	r, err := newRequest(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	maps.Copy(r.Header, extra.Header)
	eachPair(s.UserinfoHeadersNames, s.UserinfoHeadersValues, r.Header.Set)
	r.Header.Set("Accept", s.UserinfoAccept)
	r.Header.Set("Authorization", "Bearer "+accessToken)
	return r, nil
}

// readUserinfo reads a response, which is JSON or a JWT.
func (c *Client) readUserinfo(ctx context.Context, r *response) (*Userinfo, error) {
	kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	u, err := c.openUserinfo(ctx, r, kind == "application/jwt")
	if err == nil {
		u.Claims = c.withSubject(u.Claims)
	}
	switch {
	case err != nil && !errors.Is(err, ErrUnavailable):
		return nil, fmt.Errorf("%w: its userinfo answer: %w", ErrUnavailable, err)
	case err == nil && u.Claims.String("sub") == "": // OIDC Core §5.3.2 requires it
		return nil, ErrNoSubject
	}
	return u, err
}

// withSubject returns userinfo claims whose sub is the value of userinfo_subject_claim; without that claim they have no sub.
func (c *Client) withSubject(claims auth.Claims) auth.Claims {
	name := cmp.Or(c.settings.UserinfoSubjectClaim, "sub")
	if name == "sub" {
		return claims
	}
	claims = maps.Clone(claims)
	delete(claims, "sub")
	if subject, ok := auth.Scalar(claims[name]); ok {
		claims["sub"] = subject
	}
	return claims
}

// openUserinfo returns the userinfo of a response: a JSON object, or a JWT that is signed, encrypted or both. An encrypted JSON object
// counts as a plain one, which only TLS protects.
func (c *Client) openUserinfo(ctx context.Context, r *response, isJWT bool) (*Userinfo, error) {
	alg := c.settings.UserinfoEncryptedResponseAlg
	if !isJWT && alg == "" {
		claims, err := r.object()
		return &Userinfo{Claims: claims}, err
	}
	content, err := c.decrypted(r.jwt(), "userinfo_encrypted_response_alg", alg)
	if err != nil {
		return nil, fmt.Errorf("%w: its userinfo answer: %w", ErrNotSetUp, err)
	}
	if isJWE(r.jwt()) && !IsJWS(content) {
		claims, err := decodeObject([]byte(content))
		return &Userinfo{Claims: claims}, err
	}
	claims, err := c.signedUserinfo(ctx, content)
	return &Userinfo{Claims: claims, JWT: content}, err
}

// signedUserinfo verifies a signed response. Its iss and aud, if present, must be the issuer and the gate's client (OIDC Core §5.3.2).
func (c *Client) signedUserinfo(ctx context.Context, jwt string) (auth.Claims, error) {
	t, err := parseJWT(jwt)
	if err != nil {
		return nil, err
	}
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if t.claims["iss"] != nil {
		if err := c.issuer.checkIssuer(t.claims, m); err != nil {
			return nil, err
		}
	}
	if t.claims["aud"] != nil {
		if err := c.checkAudience(t.claims); err != nil {
			return nil, err
		}
	}
	_, err = c.issuer.verifySignature(ctx, t, c.responseRules(requestUserinfo, c.issuer.algorithms()))
	return t.claims, err
}
