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

// clientCredentials passes a caller's own client on to the token endpoint (RFC 6749 §4.4), and lets it in with the token
// that it was given there.
type clientCredentials struct {
	places
	clients *clients
	copied  copied
	replay  replay
	kinds   *kinds // nil where Basic is a client's only

	spellings spellings
}

var clientCredentialsKind = Kind{
	Name: "client_credentials", new: newClientCredentials, asks: oidc.Examination{Token: true},
	places: func(s *Settings) []string { return s.ClientCredentialsParamType }, schemes: inBasic,
}

func newClientCredentials(s *Settings, d *Deps) auth.Flow {
	return &clientCredentials{
		places: newPlaces(s.ClientCredentialsParamType, s), clients: d.clients, copied: d.tokenArgs(s), replay: newReplay(s, oidc.GrantClientCredentials), kinds: d.kinds,
		spellings: spellings{newKinds(d.HashKey)},
	}
}

func (f *clientCredentials) Authenticate(r *auth.Request) (*auth.Result, error) {
	who, err := f.pair(r, "client_id", "client_secret")
	if err != nil {
		return nil, err
	}
	by, err := f.copied.caller(r)
	if err != nil {
		return nil, err
	}
	t, err := f.ask(r, who, by)
	if err != nil {
		return nil, grantError("client_credentials_refused", err)
	}
	if who.basic {
		f.kinds.remember(who)
	}
	return f.replay.result(&clientCredentialsKind, t, who.at), nil
}

// ask asks for a token in each way to read the credentials, until one is accepted.
func (f *clientCredentials) ask(r *auth.Request, who pair, by oidc.Caller) (t *oidc.TokenResponse, err error) {
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

// grantError gives an error of the token endpoint its status.
func grantError(reason string, err error) error {
	switch {
	case errors.As(err, new(*auth.Error)):
		return err
	case errors.Is(err, oidc.ErrRefused):
		return errCredentials(reason, err)
	}
	return issuerError(err)
}

// issuerError is the refusal of a request about which the authorization server gave no verdict: 503 while it is away, 500 where only the
// operator can mend that.
func issuerError(err error) *auth.Error {
	if errors.Is(err, oidc.ErrNotSetUp) {
		return auth.NotSetUp(err)
	}
	return auth.Unavailable("issuer_unavailable", err)
}
