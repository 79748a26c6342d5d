package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// tokensOf lets the issuer of an access token judge it: the one that a JWT names, or for others the first that judges those.
type tokensOf []tokensPart

type tokensPart struct {
	presented *presented
	issuers   []*oidc.Issuer
	chain     auth.Chain
}

func (t tokensOf) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := t[0].presented.read(r)
	if err != nil {
		return nil, err
	}
	if !token.jws {
		for _, p := range t {
			if p.presented.judges.of(token) != nil {
				return final(p.chain.Authenticate(r))
			}
		}
		return final(t[0].chain.Authenticate(r)) // which refuses it
	}
	n, err := oidc.IssuerOfToken(r.Context(), token.value, t.issuers())
	if err != nil {
		return nil, tokenError(err)
	}
	res, err := final(t[n].chain.Authenticate(r))
	return res, auth.OfIssuer(t[n].issuers[0].URL(), err)
}

// final refuses a token that was found and that no flow of its entry judges: its bearer must not pass as if there were none.
func final(res *auth.Result, err error) (*auth.Result, error) {
	if errors.Is(err, auth.ErrNoCredential) {
		return nil, auth.InvalidToken("token_not_accepted", errors.New("no flow of its issuer's entry judges the token"))
	}
	return res, err
}

func (t tokensOf) issuers() [][]*oidc.Issuer {
	all := make([][]*oidc.Issuer, len(t))
	for n := range t {
		all[n] = t[n].issuers
	}
	return all
}
