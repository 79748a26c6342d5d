package flow

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// JWTSettings are further checks of access tokens that are JWTs.
type JWTSettings struct {
	IntrospectJWTTokens bool   `yaml:"introspect_jwt_tokens" default:"false"` // introspect JWTs too, so that revoked tokens are refused
	JWTSessionCookie    string `yaml:"jwt_session_cookie"`                    // a cookie whose value must equal the claim
	JWTSessionClaim     string `yaml:"jwt_session_claim" default:"sid"`
}

// bearer verifies an access token that is a JWT with the issuer's keys (RFC 6750, RFC 9068).
type bearer struct {
	settings      JWTSettings
	issuers       []*oidc.Issuer
	tokens        *tokenFinder
	introspect    introspectFunc // nil: introspect_jwt_tokens is off
	takesAudience func(auth.Claims) bool
}

var bearerKind = Kind{
	Name: "bearer", new: newBearer, role: roleToken, defaultOn: true, places: tokenPlaces, placesKey: tokenPlacesKey, schemes: tokenSchemes,
	verifies: []tokenKind{jwts}, exchangeable: true, bindable: true, check: checkBearer,
}

func newBearer(b *base, _ *Kind) auth.Flow {
	f := &bearer{settings: *of[JWTSettings](b.view), issuers: b.issuers(), tokens: b.tokens, takesAudience: b.TakesAudience}
	if f.settings.IntrospectJWTTokens {
		f.introspect = b.introspect
	}
	return f
}

func (b *bearer) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := b.tokens.tokenFor(r, &bearerKind)
	if err != nil {
		return nil, err
	}
	identity, err := oidc.ProveAccessToken(r.Context(), token.value, b.issuers, b.takesAudience)
	if err != nil {
		return nil, tokenError(err)
	}
	identity.Flow = string(bearerKind.Name)
	if err := b.checkCookie(r, identity.AccessToken); err != nil {
		return nil, err
	}
	if b.introspect != nil && identity.Issuer == b.issuers[0].URL() {
		if identity, err = b.confirm(r, token.value, identity); err != nil {
			return nil, err
		}
	}
	return b.tokens.result(r, &bearerKind, token, identity)
}

// confirm introspects a verified token. The response must be about the same subject.
func (b *bearer) confirm(r *auth.Request, token string, proved *auth.Identity) (*auth.Identity, error) {
	answer, err := b.introspect(r, token)
	if err != nil {
		return nil, err
	}
	if proved.Subject != "" && answer.Subject != "" && answer.Subject != proved.Subject {
		return nil, auth.InvalidToken("introspection_subject",
			errors.New("sub: the introspection response is about another subject than the token"))
	}
	both := *proved
	both.Introspection, both.IntrospectionJWT = answer.Introspection, answer.IntrospectionJWT
	return &both, nil
}

// checkCookie compares jwt_session_claim with the cookie that must accompany the token.
func (b *bearer) checkCookie(r *auth.Request, claims auth.Claims) error {
	if b.settings.JWTSessionCookie == "" {
		return nil
	}
	want, ok := auth.Scalar(claims[b.settings.JWTSessionClaim])
	values := r.CookieValues(b.settings.JWTSessionCookie)
	if !ok || want == "" || len(values) != 1 || subtle.ConstantTimeCompare([]byte(values[0]), []byte(want)) != 1 {
		return auth.InvalidToken("token_without_cookie",
			fmt.Errorf("the cookie %s isn't the token's claim %s", b.settings.JWTSessionCookie, b.settings.JWTSessionClaim))
	}
	return nil
}

// checkBearer reports mistakes in the settings of access tokens, for all flows that verify them.
func checkBearer(v view, c check.Checker, _ *kindContext) {
	s := of[BearerSettings](v)
	cookie := slices.Contains(s.BearerTokenParamType, string(auth.InCookie))
	c.Must("bearer_token_param_type", !cookie || s.BearerTokenCookieName != "",
		"cookie needs the cookie's name: add bearer_token_cookie_name")
	c.Must("bearer_token_cookie_name", cookie || s.BearerTokenCookieName == "",
		"it isn't read, because bearer_token_param_type has no cookie: add it there")
	c.One("bearer_token_cookie_name", s.BearerTokenCookieName, check.CookieName)
	c.One("bearer_token_header_name", s.BearerTokenHeaderName, check.Header)
	c.One("jwt_session_cookie", of[JWTSettings](v).JWTSessionCookie, check.ParamName)
}
