package flow

import (
	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// RefreshTokenSettings say where a request carries the client's refresh token.
type RefreshTokenSettings struct {
	RefreshTokenParamType []string `yaml:"refresh_token_param_type" place:"true" default:"[header]" enum:"header,query,body" min:"1"`
	RefreshTokenParamName string   `yaml:"refresh_token_param_name" place:"true"` // the name of the header (with - for _) or parameter
}

// refreshTokenGrant exchanges a client's refresh token for new tokens (RFC 6749 §6), as the gate's own client.
type refreshTokenGrant struct {
	places
	name     string
	clients  *clients
	params   *copiedParams
	response responseHeaders
}

var refreshTokenKind = Kind{
	Name: "refresh_token", new: newRefreshToken, requires: oidc.Examination{Token: true}, clientRefreshes: true,
	check:  checkRefreshToken,
	places: func(v view) []string { return of[RefreshTokenSettings](v).RefreshTokenParamType }, placesKey: "refresh_token_param_type",
	schemes: func(v view) []string {
		if headerName(of[RefreshTokenSettings](v).RefreshTokenParamName) == authorization.Name {
			return []string{""}
		}
		return nil
	},
}

func newRefreshToken(b *base, k *Kind) auth.Flow {
	return &refreshTokenGrant{
		places: newPlaces(k.places(b.view), b.readOptions), name: of[RefreshTokenSettings](b.view).RefreshTokenParamName,
		clients: b.clients, params: b.params,
		response: newResponseHeaders(b, k),
	}
}

func (f *refreshTokenGrant) Authenticate(r *auth.Request) (*auth.Result, error) {
	all, err := f.named(r, f.name)
	if err != nil {
		return nil, err
	}
	token, ok, err := single(all)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, auth.ErrNoCredential
	case len(token.value) > maxToken:
		return nil, errTooLong
	}
	caller, err := f.params.caller(r)
	if err != nil {
		return nil, err
	}
	client := f.clients.chosen(r)
	t, err := client.Refreshed(r.Context(), token.value, caller)
	if err != nil {
		return nil, grantError("refresh_token_refused", err)
	}
	return f.response.result(t, paramsOf(token)), nil
}

func checkRefreshToken(v view, c check.Checker, x *kindContext) {
	s := of[RefreshTokenSettings](v)
	const key = "refresh_token_param_name"
	c.One(key, s.RefreshTokenParamName, check.ParamName)
	if x.on && s.RefreshTokenParamName == "" {
		c.Complain("auth_methods", "refresh_token needs refresh_token_param_name, the header or parameter that it is read from: "+
			"add it, such as refresh_token_param_name: x_refresh_token")
	}
	c.Must(key, s.RefreshTokenParamName == "" || x.onAnywhere,
		"it isn't read, because auth_methods has no refresh_token: add it there")
}
