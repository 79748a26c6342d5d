package flow

import (
	"errors"
	"fmt"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// PasswordSettings say where a request carries a user's name and password.
type PasswordSettings struct {
	PasswordParamType []string `yaml:"password_param_type" place:"true" default:"[header]" enum:"header,query,body" min:"1"`
}

// passwordGrant exchanges a user's name and password for tokens (RFC 6749 §4.3), as the gate's own client.
type passwordGrant struct {
	places
	clients  *clients
	params   *copiedParams
	response responseHeaders
	basic    *basicClients // nil: client_credentials does not read Basic
}

var passwordKind = Kind{
	Name: "password", new: newPassword, requires: oidc.Examination{Token: true},
	places: func(v view) []string { return of[PasswordSettings](v).PasswordParamType }, placesKey: "password_param_type",
	schemes: basicScheme,
}

func newPassword(b *base, k *Kind) auth.Flow {
	return &passwordGrant{
		places: newPlaces(k.places(b.view), b.readOptions), clients: b.clients, params: b.params, basic: b.basicClients,
		response: newResponseHeaders(b, k),
	}
}

// Authenticate first tries Basic credentials that could be a user's or a client's as a user's. If the authorization server
// refuses them, the chain continues, and client_credentials tries them.
func (f *passwordGrant) Authenticate(r *auth.Request) (*auth.Result, error) {
	creds, err := f.pair(r, "username", "password")
	if err != nil {
		return nil, err
	}
	if creds.basic && f.basic.isClient(creds) {
		return nil, auth.ErrNoCredential
	}
	caller, err := f.params.caller(r)
	if err != nil {
		return nil, err
	}
	client := f.clients.chosen(r)
	t, err := client.Password(r.Context(), creds.name, creds.secret, caller)
	if err != nil {
		err = grantError("password_refused", err)
		if creds.basic && f.basic != nil && errors.Is(err, oidc.ErrRefused) {
			return nil, fmt.Errorf("%w: the credentials are not a user's: %w", auth.ErrNoCredential, err)
		}
		return nil, err
	}
	return f.response.result(t, creds.at), nil
}
