package flow

import (
	"errors"

	"sallyport/internal/auth"
)

// unacceptedTokenKind refuses tokens that no other flow verifies. It is always on.
var unacceptedTokenKind = Kind{new: newUnacceptedToken, role: roleReject, isOn: func(view) bool { return true }}

func newUnacceptedToken(b *base, _ *Kind) auth.Flow { return unacceptedToken{b.tokens} }

// unacceptedToken refuses a token that no flow of the route verifies. Without it the client could log in or pass as if it
// had sent no token.
type unacceptedToken struct{ tokens *tokenFinder }

func (u unacceptedToken) Authenticate(r *auth.Request) (*auth.Result, error) {
	f, err := u.tokens.token(r)
	switch {
	case err != nil:
		return nil, err
	case u.tokens.verifiers.byKind == [tokenKindCount]*Kind{}:
		return nil, auth.InvalidToken("token_not_accepted", errors.New("auth_methods names no flow that verifies access tokens"))
	case f.jws:
		return nil, auth.InvalidToken("token_not_accepted", errors.New("the token is a JWT, and no flow of this route verifies JWTs"))
	}
	return nil, auth.InvalidToken("token_opaque", errors.New("the token is not a JWT, and no flow of this route verifies opaque tokens"))
}
