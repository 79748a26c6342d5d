package flow

import (
	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// RefreshTokenSettings say where a caller's refresh token is read from.
type RefreshTokenSettings struct {
	RefreshTokenParamType []string `yaml:"refresh_token_param_type" place:"true" default:"[header]" enum:"header,query,body" min:"1"`
	RefreshTokenParamName string   `yaml:"refresh_token_param_name" place:"true"` // of the header, where _ is -, or of the parameter
}

// refreshToken exchanges a caller's refresh token for new tokens (RFC 6749 §6), with the gate's own client.
type refreshToken struct {
	places
	name    string
	clients *clients
	copied  copied
	replay  replay
}

var refreshTokenKind = Kind{
	Name: "refresh_token", new: newRefreshToken, asks: oidc.Examination{Token: true},
	places: func(s *Settings) []string { return s.RefreshTokenParamType },
	schemes: func(s *Settings) []string {
		if headerName(s.RefreshTokenParamName) == authorization.Name {
			return []string{""}
		}
		return nil
	},
}

func newRefreshToken(s *Settings, d *Deps) auth.Flow {
	return &refreshToken{places: newPlaces(s.RefreshTokenParamType, s), name: s.RefreshTokenParamName, clients: d.clients, copied: d.tokenArgs(s), replay: newReplay(s, oidc.GrantRefreshToken)}
}

func (f *refreshToken) Authenticate(r *auth.Request) (*auth.Result, error) {
	all, err := f.named(r, f.name)
	if err != nil {
		return nil, err
	}
	token, ok, err := one(all)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, auth.ErrNoCredential
	case len(token.value) > maxToken:
		return nil, errTooLong
	}
	by, err := f.copied.caller(r)
	if err != nil {
		return nil, err
	}
	client := f.clients.of(r)
	t, err := client.Refreshed(r.Context(), token.value, by)
	if err != nil {
		return nil, grantError("refresh_token_refused", err)
	}
	return f.replay.result(&refreshTokenKind, t, used(token)), nil
}
