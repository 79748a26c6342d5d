package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// tokensByIssuer lets the part of the issuer verify an access token: the issuer that a JWT names, or for opaque tokens the
// first part that verifies those.
type tokensByIssuer []issuerTokens

// issuerTokens are the flows of one part that verify access tokens.
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
		return t[0].verify(r) // it refuses the token
	}
	n, err := oidc.IssuerOfToken(r.Context(), token.value, t.issuers())
	if err != nil {
		return nil, tokenError(err)
	}
	res, err := t[n].verify(r)
	return res, auth.OfIssuer(t[n].issuers[0].URL(), err)
}

// verify runs the flows of a part. A token that none of them verifies is refused: the request must not pass as one without a
// token.
func (t issuerTokens) verify(r *auth.Request) (*auth.Result, error) {
	res, err := t.chain.Authenticate(r)
	if errors.Is(err, auth.ErrNoCredential) {
		return nil, auth.InvalidToken("token_not_accepted", errors.New("no flow of its issuer's entry verifies the token"))
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
