package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// BearerSettings say where an access token is read from.
type BearerSettings struct {
	BearerTokenParamType []string `yaml:"bearer_token_param_type" default:"[header]" enum:"header" min:"1"`
}

// bearer proves an access token that is a JWT with the issuer's keys (RFC 6750, RFC 9068).
type bearer struct {
	issuer *oidc.Issuer
}

func newBearer(_ *Settings, d Deps) auth.Flow { return &bearer{d.Client.Issuer()} }

func (b *bearer) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := presentedToken(r)
	if err != nil {
		return nil, err
	}
	identity, err := b.issuer.AccessToken(r.Context(), token)
	if err != nil {
		return nil, tokenError(token, err)
	}
	return &auth.Result{Identity: identity}, nil
}

// tokenError gives a verification error its status and its reason in the log.
func tokenError(token string, err error) error {
	switch {
	case errors.Is(err, oidc.ErrUnavailable):
		return auth.Unavailable("issuer_unavailable", err)
	case !token68(token):
		return errMalformed
	case !oidc.IsJWS(token):
		return auth.InvalidToken("token_opaque", errors.New("the token is no JWT, and no flow of this route judges opaque tokens"))
	}
	for _, reason := range []error{oidc.ErrExpired, oidc.ErrNotYetValid, oidc.ErrNotAccessToken} {
		if errors.Is(err, reason) {
			return auth.InvalidToken(reason.Error(), err)
		}
	}
	return auth.InvalidToken("token_invalid", err)
}
