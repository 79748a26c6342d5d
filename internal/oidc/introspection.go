package oidc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// ErrInactive says that a token is not active, by the authorization server (RFC 7662 §2.2).
var ErrInactive = errors.New("token_inactive")

// An Introspection is the introspection response for an active token (RFC 7662 §2.2). It is immutable.
type Introspection struct {
	Claims auth.Claims `json:"claims"`
	JWT    string      `json:"jwt,omitempty"` // the response, if it was signed (RFC 9701)
}

// size returns the rough size in memory, in bytes.
func (i *Introspection) size() int { return 2*len(i.JWT) + 2048 }

// expires returns the exp of the response; zero without one.
func (i *Introspection) expires() time.Time {
	exp, _ := i.Claims.Time("exp")
	return exp
}

// Introspect introspects a token (RFC 7662), or returns a cached response. It checks exp and nbf of the response at every call; its caller
// checks the audience and sets Identity.Flow. The error wraps ErrInactive for a token that is not active.
func (c *Client) Introspect(ctx context.Context, token string, by Caller) (*auth.Identity, error) {
	load := func(ctx context.Context) (*Introspection, time.Time, error) {
		if err := CheckUnread(token); err != nil {
			return nil, time.Time{}, err
		}
		i, err := admitted(ctx, c.issuer, by, func(ctx context.Context) (*Introspection, error) {
			return c.introspect(ctx, token, by.Extra)
		})
		if err != nil {
			return nil, time.Time{}, err
		}
		return i, i.expires(), nil
	}
	i, err := cached(ctx, c.caches.introspected, c.cacheKey([]string{"introspection", token}, by.Extra), load)
	if err != nil {
		return nil, err
	}
	return c.introspectedIdentity(token, i)
}

// introspectedIdentity returns the identity of an active token, if its times are valid now.
func (c *Client) introspectedIdentity(token string, i *Introspection) (*auth.Identity, error) {
	exp, okExp := i.Claims.Time("exp")
	nbf, okNbf := i.Claims.Time("nbf")
	if !okExp || !okNbf {
		return nil, errors.New("exp or nbf of the introspection answer isn't a NumericDate (RFC 7519 §2)")
	}
	if err := c.issuer.checkValidity(exp, nbf); err != nil {
		return nil, err
	}
	return &auth.Identity{
		Issuer: c.issuer.url, ClientID: i.Claims.String("client_id"), Subject: i.Claims.String("sub"),
		Introspection: i.Claims, IntrospectionJWT: i.JWT, Presented: true,
		Tokens: auth.Tokens{AccessToken: token, TokenType: "Bearer", Scope: i.Claims.String("scope"), Expiry: exp},
	}, nil
}

// introspect sends the introspection request (RFC 7662 §2.1).
func (c *Client) introspect(ctx context.Context, token string, extra Extra) (*Introspection, error) {
	s := &c.settings.IntrospectionSettings
	form := url.Values{s.IntrospectionTokenParamName: {token}}
	if s.IntrospectionHint != "" {
		form.Set("token_type_hint", s.IntrospectionHint)
	}
	header := http.Header{}
	maps.Copy(header, extra.Header)
	header.Set("Accept", s.IntrospectionAccept)
	eachPair(s.IntrospectionPostArgsNames, s.IntrospectionPostArgsValues, form.Add)
	maps.Copy(form, extra.Args)
	r, err := c.post(ctx, introspectionEndpoint, form, header, nil, func(h http.Header) {
		eachPair(s.IntrospectionHeadersNames, s.IntrospectionHeadersValues, h.Set) // they may replace Authorization
	})
	if err != nil {
		return nil, err
	}
	if r.status == http.StatusBadRequest || r.status == http.StatusUnauthorized && !challengesClient(r.header) {
		return nil, fmt.Errorf("%w: its introspection endpoint answered %d: "+
			"if it does so for every token, look at client_id and client_secret",
			ErrInactive, r.status)
	}
	if r.status != http.StatusOK {
		return nil, statusError("introspection endpoint", r.status, "introspection_endpoint")
	}
	claims, jwt, err := c.readIntrospection(ctx, r)
	if err != nil {
		return nil, err
	}
	return &Introspection{claims, jwt}, c.checkIntrospection(ctx, claims)
}

// challengesClient reports whether a 401 refuses the authentication of the gate's client (RFC 6749 §5.2), and not the token.
func challengesClient(h http.Header) bool {
	return slices.ContainsFunc(h.Values("WWW-Authenticate"), func(challenge string) bool {
		scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
		return strings.EqualFold(scheme, "Basic")
	})
}

// readIntrospection returns the claims of a response, which is JSON or a JWT, and the JWT.
func (c *Client) readIntrospection(ctx context.Context, r *response) (auth.Claims, string, error) {
	kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	if kind != typeIntrospectionJWT && kind != "application/jwt" {
		switch accept := c.settings.IntrospectionAccept; {
		case accept != "application/json" && kind == "application/json":
			return nil, "", fmt.Errorf("%w: its introspection answer is %q, and introspection_accept is %s: "+
				"let the issuer sign it, or change that",
				ErrNotSetUp, kind, accept)
		case accept != "application/json":
			return nil, "", fmt.Errorf("%w: its introspection answer is %q, expected the signed %s", ErrUnavailable, clip(kind), accept)
		}
		claims, err := r.object()
		if err != nil {
			return nil, "", fmt.Errorf("%w: its introspection answer: %w", ErrUnavailable, err)
		}
		return claims, "", nil
	}
	jwt, err := c.decrypted(r.jwt(), "introspection_encrypted_response_alg", c.settings.IntrospectionEncryptedResponseAlg)
	if err != nil {
		return nil, "", fmt.Errorf("%w: its introspection answer: %w", ErrNotSetUp, err)
	}
	claims, err := c.signedIntrospection(ctx, jwt, kind)
	if errors.Is(err, ErrUnavailable) || err == nil {
		return claims, jwt, err
	}
	return nil, "", fmt.Errorf("%w: its signed introspection answer: %w", ErrUnavailable, err) // it says nothing about the token
}

// typeIntrospectionJWT is the media type of a signed introspection response (RFC 9701 §5).
const typeIntrospectionJWT = "application/token-introspection+jwt"

// signedIntrospection verifies a signed response (RFC 9701 §5): the issuer signed it, the gate's client is its audience, and the
// introspection is one of its claims. Servers that are older than the standard send application/jwt, and may send the introspection as the
// claims.
func (c *Client) signedIntrospection(ctx context.Context, jwt, kind string) (auth.Claims, error) {
	t, err := parseJWT(jwt)
	if err != nil {
		return nil, err
	}
	if kind == typeIntrospectionJWT && t.header.Typ != "token-introspection+jwt" {
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
	_, err = c.issuer.verifySignature(ctx, t, c.responseRules(requestIntrospection, c.issuer.algorithms()))
	return claims, err
}

// introspectionIn returns the introspection in the claims of a signed response. Its audience must be the gate's client.
func (c *Client) introspectionIn(claims auth.Claims, kind string) (auth.Claims, error) {
	inner, nested := claims["token_introspection"].(map[string]any)
	if !nested {
		if kind == typeIntrospectionJWT {
			return nil, errors.New("it has no token_introspection")
		}
		return claims, nil
	}
	return inner, c.checkAudience(claims)
}

// checkIntrospection checks what doesn't change with time: that the token is active, an access token, and of this issuer.
func (c *Client) checkIntrospection(ctx context.Context, claims auth.Claims) error {
	switch active, isBool := claims["active"].(bool); {
	case !isBool: // RFC 7662 §2.2
		return fmt.Errorf("%w: the introspection answer's active isn't true or false", ErrInactive)
	case !active:
		return ErrInactive
	}
	if err := checkTokenUse("", claims); err != nil {
		return fmt.Errorf("%w: %w", ErrInactive, err)
	}
	if err := c.issuer.checkSubject(claims); err != nil {
		return fmt.Errorf("%w: %w", ErrInactive, err)
	}
	if claims["iss"] == nil { // it is optional (RFC 7662 §2.2)
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
