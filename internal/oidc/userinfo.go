package oidc

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"sallyport/internal/auth"
)

// Userinfo is what the userinfo endpoint says of whose access token it is (OIDC Core §5.3). It is immutable.
type Userinfo struct {
	Claims auth.Claims `json:"claims"`
	JWT    string      `json:"jwt,omitempty"` // the answer, where it was a signed one (§5.3.2)
}

// ErrNobody says that the userinfo answer doesn't say about whom it is.
var ErrNobody = errors.New("userinfo_subject")

func (u *Userinfo) size() int { return 2*len(u.JWT) + 2048 }

// Userinfo asks whose access token it is, or answers from what is kept. The error wraps ErrInactive if the endpoint refuses
// the token, and is ErrNobody if the answer has no sub.
func (c *Client) Userinfo(ctx context.Context, accessToken string, by Caller) (*Userinfo, error) {
	load := func(ctx context.Context) (*Userinfo, time.Time, error) {
		leave, err := c.issuer.calls.admit(ctx, by.Address)
		if err != nil {
			return nil, time.Time{}, err
		}
		u, err := c.userinfo(ctx, accessToken, by.Extra)
		leave(refusedIn(err))
		return u, time.Time{}, err // the answer is about a person, and says nothing of the token's life
	}
	if c.userinfos == nil {
		u, _, err := load(ctx)
		return u, err
	}
	return c.userinfos.Get(ctx, c.key([]string{"userinfo", accessToken}, by.Extra), load)
}

// UserinfoAgain asks about a token of the gate's own, such as a refreshed one, whatever is kept. The error wraps ErrInactive if the
// token opens no userinfo.
func (c *Client) UserinfoAgain(ctx context.Context, accessToken string) (*Userinfo, error) {
	leave, err := c.issuer.calls.forGate(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.userinfo(ctx, accessToken, Extra{})
}

// userinfo makes the call (OIDC Core §5.3.1), with the token in the header (RFC 6750 §2.1).
func (c *Client) userinfo(ctx context.Context, accessToken string, extra Extra) (*Userinfo, error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	address, err := m.require("userinfo_endpoint")
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: userinfo_endpoint: %w", ErrUnavailable, err)
	}
	s := &c.settings.UserinfoSettings
	q := u.Query()
	named(s.UserinfoQueryArgsNames, s.UserinfoQueryArgsValues, q.Add)
	for name, values := range extra.Args {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for name, values := range extra.Header {
		r.Header[name] = values
	}
	named(s.UserinfoHeadersNames, s.UserinfoHeadersValues, r.Header.Set)
	r.Header.Set("Accept", s.UserinfoAccept)
	r.Header.Set("Authorization", "Bearer "+accessToken)
	a, err := c.issuer.do(c.http, r)
	if err != nil {
		return nil, err
	}
	switch a.status {
	case http.StatusOK:
		return c.readUserinfo(ctx, a)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest:
		return nil, fmt.Errorf("%w: the userinfo endpoint answered %d", ErrInactive, a.status)
	}
	return nil, statusError("userinfo endpoint", a.status, "userinfo_endpoint")
}

func (c *Client) readUserinfo(ctx context.Context, a *answer) (*Userinfo, error) {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	u := &Userinfo{}
	var err error
	if kind == "application/jwt" {
		u.JWT = a.jwt()
		u.Claims, err = c.signedUserinfo(ctx, u.JWT)
	} else {
		u.Claims, err = a.object()
	}
	switch {
	case err != nil && !errors.Is(err, ErrUnavailable):
		return nil, fmt.Errorf("%w: its userinfo answer: %w", ErrUnavailable, err)
	case err == nil && u.Claims.String("sub") == "": // OIDC Core §5.3.2: it must be there
		return nil, ErrNobody
	}
	return u, err
}

// signedUserinfo verifies a signed answer: its iss and aud, where it has them, are the issuer's and ours (OIDC Core §5.3.2).
func (c *Client) signedUserinfo(ctx context.Context, jwt string) (auth.Claims, error) {
	t, err := readIssued(jwt)
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
		if audience, err := audiences(t.claims); err != nil || !slices.Contains(audience, c.ID) {
			return nil, fmt.Errorf("aud: expected %q among %q", c.ID, audience)
		}
	}
	_, err = c.issuer.prove(ctx, t, c.issued("userinfo", c.issuer.algs()))
	return t.claims, err
}
