package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// tokensByIssuer lets the issuer of an access token judge it: the one that a JWT names, or for others the first that judges those.
type tokensByIssuer []issuerTokens

// issuerTokens are the flows of one part that judge access tokens.
type issuerTokens struct {
	tokens  *tokenFinder
	issuers []*oidc.Issuer
	chain   auth.Chain
}

func (t tokensByIssuer) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := t[0].tokens.read(r)
	if err != nil {
		return nil, err
	}
	if !token.jws {
		for _, one := range t {
			if one.tokens.verifiers.kindFor(token) != nil {
				return one.verify(r)
			}
		}
		return t[0].verify(r) // which refuses it
	}
	n, err := oidc.IssuerOfToken(r.Context(), token.value, t.issuers())
	if err != nil {
		return nil, tokenError(err)
	}
	res, err := t[n].verify(r)
	return res, auth.OfIssuer(t[n].issuers[0].URL(), err)
}

// judge asks the flows of a part. A token that was read and that none of them judges is refused: the request must not pass as one
// without a token.
func (t issuerTokens) verify(r *auth.Request) (*auth.Result, error) {
	res, err := t.chain.Authenticate(r)
	if errors.Is(err, auth.ErrNoCredential) {
		return nil, auth.InvalidToken("token_not_accepted", errors.New("no flow of its issuer's entry judges the token"))
	}
	return res, err
}

func (t tokensByIssuer) issuers() [][]*oidc.Issuer {
	all := make([][]*oidc.Issuer, len(t))
	for n := range t {
		all[n] = t[n].issuers
	}
	return all
}
