package oidc

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// ErrInactive says that a token is none that the authorization server vouches for.
var ErrInactive = errors.New("token_inactive")

// An Introspection is what the authorization server says of a token that is active (RFC 7662 §2.2). It is immutable.
type Introspection struct {
	Claims auth.Claims `json:"claims"`
	JWT    string      `json:"jwt,omitempty"` // the answer, where it was a signed one (RFC 9701)
}

func (i *Introspection) size() int { return 2*len(i.JWT) + 2048 }

func (i *Introspection) expires() time.Time {
	exp, _ := i.Claims.Time("exp")
	return exp
}

// Introspect asks about a token, or answers from what is kept. The answer's exp and nbf are judged here at every call, its
// audience by the caller. The error wraps ErrInactive for a token that is none.
func (c *Client) Introspect(ctx context.Context, token string, by Caller) (*auth.Identity, error) {
	load := func(ctx context.Context) (*Introspection, time.Time, error) {
		if err := CheckUnread(token); err != nil {
			return nil, time.Time{}, err
		}
		leave, err := c.issuer.calls.admit(ctx, by.Address)
		if err != nil {
			return nil, time.Time{}, err
		}
		i, err := c.introspect(ctx, token, by.Extra)
		leave(refusedIn(err))
		if err != nil {
			return nil, time.Time{}, err
		}
		return i, i.expires(), nil
	}
	var i *Introspection
	var err error
	if c.introspected != nil {
		i, err = c.introspected.Get(ctx, c.key([]string{"introspection", token}, by.Extra), load)
	} else {
		i, _, err = load(ctx)
	}
	if err != nil {
		return nil, err
	}
	return c.introspectedIdentity(token, i)
}

func (c *Client) introspectedIdentity(token string, i *Introspection) (*auth.Identity, error) {
	exp, okExp := i.Claims.Time("exp")
	nbf, okNbf := i.Claims.Time("nbf")
	if !okExp || !okNbf {
		return nil, errors.New("exp or nbf of the introspection answer is no NumericDate (RFC 7519 §2)")
	}
	if err := c.issuer.CheckValidity(exp, nbf); err != nil {
		return nil, err
	}
	return &auth.Identity{
		Issuer: c.issuer.url, ClientID: i.Claims.String("client_id"), Subject: i.Claims.String("sub"),
		Introspection: i.Claims, IntrospectionJWT: i.JWT, Presented: true,
		Tokens: auth.Tokens{AccessToken: token, TokenType: "Bearer", Scope: i.Claims.String("scope"), Expiry: exp},
	}, nil
}

// introspect makes the call (RFC 7662 §2.1).
func (c *Client) introspect(ctx context.Context, token string, extra Extra) (*Introspection, error) {
	s := &c.settings.IntrospectionSettings
	form := url.Values{s.IntrospectionTokenParamName: {token}}
	if s.IntrospectionHint != "" {
		form.Set("token_type_hint", s.IntrospectionHint)
	}
	header := http.Header{}
	for name, values := range extra.Header {
		header[name] = values
	}
	header.Set("Accept", s.IntrospectionAccept)
	named(s.IntrospectionPostArgsNames, s.IntrospectionPostArgsValues, form.Add)
	for name, values := range extra.Args {
		form[name] = values
	}
	a, err := c.post(ctx, introspectionEndpoint, form, header, nil, func(h http.Header) {
		named(s.IntrospectionHeadersNames, s.IntrospectionHeadersValues, h.Set) // they may replace Authorization
	})
	if err != nil {
		return nil, err
	}
	if a.status == http.StatusBadRequest || a.status == http.StatusUnauthorized && !asksForBasic(a.header) {
		return nil, fmt.Errorf("%w: its introspection endpoint answered %d: if it does so for every token, look at client_id and client_secret",
			ErrInactive, a.status)
	}
	if a.status != http.StatusOK {
		return nil, statusError("introspection endpoint", a.status, "introspection_endpoint")
	}
	claims, jwt, err := c.readIntrospection(ctx, a)
	if err != nil {
		return nil, err
	}
	return &Introspection{claims, jwt}, c.judgeIntrospection(ctx, claims)
}

// asksForBasic reports whether a 401 is about our client (RFC 6749 §5.2), not about the token that was asked about.
func asksForBasic(h http.Header) bool {
	return slices.ContainsFunc(h.Values("WWW-Authenticate"), func(challenge string) bool {
		scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
		return strings.EqualFold(scheme, "Basic")
	})
}

// readIntrospection reads a JSON answer, or a signed one.
func (c *Client) readIntrospection(ctx context.Context, a *answer) (auth.Claims, string, error) {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if kind != "application/token-introspection+jwt" && kind != "application/jwt" {
		if c.settings.IntrospectionAccept != "application/json" && kind == "application/json" {
			return nil, "", fmt.Errorf("%w: its introspection answer is %q, and introspection_accept is %s: let the issuer sign it, or change that",
				ErrNotSetUp, kind, c.settings.IntrospectionAccept)
		}
		if c.settings.IntrospectionAccept != "application/json" {
			return nil, "", fmt.Errorf("%w: its introspection answer is %q, expected the signed %s", ErrUnavailable, clip(kind), c.settings.IntrospectionAccept)
		}
		claims, err := a.object()
		if err != nil {
			return nil, "", fmt.Errorf("%w: its introspection answer: %w", ErrUnavailable, err)
		}
		return claims, "", nil
	}
	jwt := a.jwt()
	claims, err := c.signedIntrospection(ctx, jwt, kind)
	if errors.Is(err, ErrUnavailable) || err == nil {
		return claims, jwt, err
	}
	return nil, "", fmt.Errorf("%w: its signed introspection answer: %w", ErrUnavailable, err) // nobody knows then what the token is
}

// signedIntrospection verifies an answer of RFC 9701 §5: signed by the issuer, for us, with the answer as one claim. Plain
// application/jwt is what servers sent before there was a standard: there the claims may be the answer themselves.
func (c *Client) signedIntrospection(ctx context.Context, jwt, kind string) (auth.Claims, error) {
	t, err := readIssued(jwt)
	if err != nil {
		return nil, err
	}
	if kind == "application/token-introspection+jwt" && t.header.Typ != "token-introspection+jwt" {
		return nil, fmt.Errorf("its typ is %q, expected token-introspection+jwt", clip(t.header.Typ))
	}
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.issuer.checkIssuer(t.claims, m); err != nil {
		return nil, err
	}
	claims, err := c.introspectionIn(t.claims, kind)
	if err != nil {
		return nil, err
	}
	_, err = c.issuer.prove(ctx, t, c.issued("introspection", c.issuer.algs()))
	return claims, err
}

// introspectionIn returns the introspection answer within the claims of a signed one, which must be for us.
func (c *Client) introspectionIn(claims auth.Claims, kind string) (auth.Claims, error) {
	inner, nested := claims["token_introspection"].(map[string]any)
	if !nested {
		if kind == "application/token-introspection+jwt" {
			return nil, errors.New("it has no token_introspection")
		}
		return claims, nil
	}
	if audience, err := audiences(claims); err != nil || !slices.Contains(audience, c.ID) {
		return nil, fmt.Errorf("aud: expected %q among %q", c.ID, audience)
	}
	return inner, nil
}

// judgeIntrospection judges what doesn't change: that the token is active, an access token, and this issuer's.
func (c *Client) judgeIntrospection(ctx context.Context, claims auth.Claims) error {
	switch active, isBool := claims["active"].(bool); {
	case !isBool: // RFC 7662 §2.2
		return fmt.Errorf("%w: the introspection answer's active isn't true or false", ErrInactive)
	case !active:
		return ErrInactive
	}
	if err := checkKind("", claims); err != nil {
		return fmt.Errorf("%w: %w", ErrInactive, err)
	}
	if err := c.issuer.checkSubject(claims); err != nil {
		return fmt.Errorf("%w: %w", ErrInactive, err)
	}
	if claims["iss"] == nil { // it is optional, and the answer is this issuer's own
		return nil
	}
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return err
	}
	if err := c.issuer.checkIssuer(claims, m); err != nil {
		return fmt.Errorf("%w: %w", ErrInactive, err)
	}
	return nil
}
