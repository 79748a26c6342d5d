package flow

import (
	"errors"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// IDTokenSettings say where a request carries an ID token in addition to an access token.
type IDTokenSettings struct {
	IDTokenParamType []string `yaml:"id_token_param_type" place:"true" default:"[header]" enum:"header,query,body" min:"1"`
	IDTokenParamName string   `yaml:"id_token_param_name" place:"true"` // the name of the header (with - for _) or parameter
}

// idToken adds the ID token that a client sends in addition to an access token. It authenticates no request, and must be
// about the same subject.
type idToken struct {
	places
	name    string
	clients *clients
}

func newIDToken(b *base) *idToken {
	s := of[IDTokenSettings](b.view)
	return &idToken{places: newPlaces(s.IDTokenParamType, b.readOptions), name: s.IDTokenParamName, clients: b.clients}
}

// add verifies the ID token of the request and adds it to the result.
func (t *idToken) add(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	all, err := t.named(r, t.name)
	if err != nil {
		return nil, err
	}
	token, ok, err := single(all)
	if err != nil || !ok {
		return res, err
	}
	claims, key, err := t.clients.chosen(r).IDToken(r.Context(), token.value,
		oidc.IDTokenWant{AccessToken: res.Identity.Tokens.AccessToken})
	if err != nil {
		return nil, tokenError(err)
	}
	if claims.String("sub") != res.Identity.Subject {
		return nil, auth.InvalidToken("id_token_subject", errors.New("sub: the ID token is about another subject than the access token"))
	}
	out, both := *res, *res.Identity
	both.IDToken, both.IDTokenJWK, both.Tokens.IDToken = claims, key, token.value
	out.Identity, out.Used = &both, append(slices.Clone(res.Used), token.at)
	return &out, nil
}
