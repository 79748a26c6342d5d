package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// ClientCredentialsSettings say where a request carries the client's own credentials.
type ClientCredentialsSettings struct {
	ClientCredentialsParamType []string `yaml:"client_credentials_param_type" place:"true" default:"[header]" min:"1"`
}

// Enums returns the values that the settings take, by key.
func (ClientCredentialsSettings) Enums() map[string][]string {
	return map[string][]string{"client_credentials_param_type": {"header", "query", "body"}}
}

// clientCredentialsGrant exchanges the client's own credentials for a token (RFC 6749 §4.4).
type clientCredentialsGrant struct {
	places
	clients  *clients
	params   *copiedParams
	response responseHeaders
	basic    *basicClients // nil: password does not read Basic

	encodings basicEncodings
}

var clientCredentialsKind = Kind{
	Name: "client_credentials", new: newClientCredentials, requires: oidc.Examination{Token: true},
	places:    func(v view) []string { return of[ClientCredentialsSettings](v).ClientCredentialsParamType },
	placesKey: "client_credentials_param_type", schemes: basicScheme,
}

func newClientCredentials(b *base, k *Kind) auth.Flow {
	return &clientCredentialsGrant{
		places: newPlaces(k.places(b.view), b.readOptions), clients: b.clients, params: b.params, basic: b.basicClients,
		response: newResponseHeaders(b, k), encodings: basicEncodings{newBasicClients(b.HashKey)},
	}
}

func (f *clientCredentialsGrant) Authenticate(r *auth.Request) (*auth.Result, error) {
	creds, err := f.pair(r, "client_id", "client_secret")
	if err != nil {
		return nil, err
	}
	caller, err := f.params.caller(r)
	if err != nil {
		return nil, err
	}
	t, err := f.request(r, creds, caller)
	if err != nil {
		return nil, grantError("client_credentials_refused", err)
	}
	if creds.basic {
		f.basic.remember(creds)
	}
	return f.response.result(t, creds.at), nil
}

// request sends a token request for each reading of the credentials, until one is accepted.
func (f *clientCredentialsGrant) request(r *auth.Request, creds pair, caller oidc.Caller) (t *oidc.TokenResponse, err error) {
	client := f.clients.first() // for its settings: the request authenticates with the credentials of the caller
	for _, p := range f.encodings.candidates(creds) {
		t, err = client.ClientCredentials(r.Context(), oidc.Credentials{ID: p.name, Secret: p.secret}, caller)
		if err == nil && p.name == creds.name && p.secret == creds.secret {
			f.encodings.unencoded.remember(creds)
		}
		if !errors.Is(err, oidc.ErrRefused) {
			return t, err
		}
	}
	return t, err
}
