package flow

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// JWTSettings are what is asked of access tokens that are JWTs besides being good.
type JWTSettings struct {
	IntrospectJWTTokens bool   `yaml:"introspect_jwt_tokens" default:"false"` // ask the issuer too, so that a revoked token stops
	JWTSessionCookie    string `yaml:"jwt_session_cookie"`                    // a cookie whose value must be the token's claim
	JWTSessionClaim     string `yaml:"jwt_session_claim" default:"sid"`
}

// bearer proves an access token that is a JWT with the issuer's keys (RFC 6750, RFC 9068).
type bearer struct {
	settings  JWTSettings
	issuers   []*oidc.Issuer
	presented *presented
	asked     *introspection // nil: the issuer isn't asked
	mayPass   func(auth.Claims) bool
}

var bearerKind = Kind{Name: "bearer", new: newBearer, places: tokenPlaces, schemes: tokenSchemes, judges: []tokenKind{jwts}, role: proves}

func newBearer(s *Settings, d *Deps) auth.Flow {
	b := &bearer{settings: s.JWTSettings, issuers: d.issuers(), presented: d.presented, mayPass: d.TakesAudience}
	if s.IntrospectJWTTokens {
		b.asked = newIntrospection(s, d).(*introspection)
	}
	return b
}

func (b *bearer) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := b.presented.mine(r, &bearerKind)
	if err != nil {
		return nil, err
	}
	identity, err := oidc.ProveAccessToken(r.Context(), token.value, b.issuers, b.mayPass)
	if err != nil {
		return nil, tokenError(err)
	}
	if err := b.checkCookie(r, identity.AccessToken); err != nil {
		return nil, err
	}
	if b.asked != nil && identity.Issuer == b.issuers[0].URL() {
		if identity, err = b.ask(r, token.value, identity); err != nil {
			return nil, err
		}
	}
	return b.presented.result(&bearerKind, token, identity)
}

// ask lets the issuer confirm a token that its keys have proved. The answer counts only if it is about the same subject.
func (b *bearer) ask(r *auth.Request, token string, proved *auth.Identity) (*auth.Identity, error) {
	answer, err := b.asked.introspect(r, token)
	if err != nil {
		return nil, err
	}
	if proved.Subject != "" && answer.Subject != "" && answer.Subject != proved.Subject {
		return nil, auth.InvalidToken("introspection_subject", errors.New("sub: the introspection answer is about another subject than the token"))
	}
	both := *proved
	both.Introspection, both.IntrospectionJWT = answer.Introspection, answer.IntrospectionJWT
	return &both, nil
}

// checkCookie compares a claim with the cookie that must accompany the token.
func (b *bearer) checkCookie(r *auth.Request, claims auth.Claims) error {
	if b.settings.JWTSessionCookie == "" {
		return nil
	}
	want, ok := auth.Scalar(claims[b.settings.JWTSessionClaim])
	values := r.CookieValues(b.settings.JWTSessionCookie)
	if !ok || want == "" || len(values) != 1 || subtle.ConstantTimeCompare([]byte(values[0]), []byte(want)) != 1 {
		return auth.InvalidToken("token_without_cookie", fmt.Errorf("the cookie %s isn't the token's claim %s", b.settings.JWTSessionCookie, b.settings.JWTSessionClaim))
	}
	return nil
}

// tokenError gives a verification error its status and its reason in the log.
func tokenError(err error) error {
	if errors.As(err, new(*auth.Error)) {
		return err
	}
	if errors.Is(err, oidc.ErrUnavailable) {
		return issuerError(err)
	}
	for _, reason := range []error{
		oidc.ErrExpired, oidc.ErrNotYetValid, oidc.ErrNotAccessToken, oidc.ErrInactive, oidc.ErrNobody, oidc.ErrRefused, oidc.ErrIssuer,
	} {
		if errors.Is(err, reason) {
			return auth.InvalidToken(reason.Error(), err)
		}
	}
	return auth.InvalidToken("token_invalid", err)
}
