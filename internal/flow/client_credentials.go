package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// ClientCredentialsSettings say where a caller's client credentials are read from.
type ClientCredentialsSettings struct {
	ClientCredentialsParamType []string `yaml:"client_credentials_param_type" place:"true" default:"[header]" enum:"header,query,body" min:"1"`
}

// clientCredentialsGrant passes a caller's own client on to the token endpoint (RFC 6749 §4.4), and lets it in with the token
// that it was given there.
type clientCredentialsGrant struct {
	places
	clients  *clients
	params   *copiedParams
	response responseHeaders
	basic    *basicClients // nil where Basic is a client's only

	spellings spellings
}

var clientCredentialsKind = Kind{
	Name: "client_credentials", new: newClientCredentials, asks: oidc.Examination{Token: true},
	places: func(v view) []string { return of[ClientCredentialsSettings](v).ClientCredentialsParamType }, placesKey: "client_credentials_param_type", schemes: inBasic,
}

func newClientCredentials(b *base, k *Kind) auth.Flow {
	return &clientCredentialsGrant{
		places: newPlaces(k.places(b.view), b.search), clients: b.clients, params: b.params, basic: b.basicClients,
		response: newResponseHeaders(b, k), spellings: spellings{newBasicClients(b.HashKey)},
	}
}

func (f *clientCredentialsGrant) Authenticate(r *auth.Request) (*auth.Result, error) {
	who, err := f.pair(r, "client_id", "client_secret")
	if err != nil {
		return nil, err
	}
	by, err := f.params.caller(r)
	if err != nil {
		return nil, err
	}
	t, err := f.ask(r, who, by)
	if err != nil {
		return nil, grantError("client_credentials_refused", err)
	}
	if who.basic {
		f.basic.remember(who)
	}
	return f.response.result(t, who.at), nil
}

// ask asks for a token in each way to read the credentials, until one is accepted.
func (f *clientCredentialsGrant) ask(r *auth.Request, who pair, by oidc.Caller) (t *oidc.TokenResponse, err error) {
	client := f.clients.first() // its settings: the caller authenticates as its own client
	for _, p := range f.spellings.of(who) {
		t, err = client.ClientCredentials(r.Context(), oidc.Credentials{ID: p.name, Secret: p.secret}, by)
		if err == nil && p.name == who.name && p.secret == who.secret {
			f.spellings.raw.remember(who)
		}
		if !errors.Is(err, oidc.ErrRefused) {
			return t, err
		}
	}
	return t, err
}
