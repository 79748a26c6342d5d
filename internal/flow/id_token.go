package flow

import (
	"errors"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// IDTokenSettings say where an ID token is read from that accompanies an access token.
type IDTokenSettings struct {
	IDTokenParamType []string `yaml:"id_token_param_type" place:"true" default:"[header]" enum:"header,query,body" min:"1"`
	IDTokenParamName string   `yaml:"id_token_param_name" place:"true"` // of the header, where _ is -, or of the parameter
}

// idToken is an ID token that a caller sends along. It never proves anybody by itself, and it must be about whom the access
// token is.
type idToken struct {
	places
	name    string
	clients *clients
}

func newIDToken(b *base) *idToken {
	s := of[IDTokenSettings](b.view)
	return &idToken{places: newPlaces(s.IDTokenParamType, b.readOptions), name: s.IDTokenParamName, clients: b.clients}
}

func (t *idToken) add(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	all, err := t.named(r, t.name)
	if err != nil {
		return nil, err
	}
	token, ok, err := single(all)
	if err != nil || !ok {
		return res, err
	}
	claims, key, err := t.clients.chosen(r).IDToken(r.Context(), token.value, oidc.IDTokenWant{AccessToken: res.Identity.Tokens.AccessToken})
	if err != nil {
		return nil, tokenError(err)
	}
	if claims.String("sub") != res.Identity.Subject {
		return nil, auth.InvalidToken("id_token_subject", errors.New("sub: the ID token is about somebody else than the access token"))
	}
	out, both := *res, *res.Identity
	both.IDToken, both.IDTokenJWK, both.Tokens.IDToken = claims, key, token.value
	out.Identity, out.Used = &both, append(slices.Clone(res.Used), token.at)
	return &out, nil
}
