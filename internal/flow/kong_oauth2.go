package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
)

// kongOAuth2 proves the opaque tokens that the gate has issued itself, and brings the endpoints along at which it does.
type kongOAuth2 struct {
	issuer    *authserver.Server
	presented *presented
	endpoints []auth.Endpoint
}

var kongOAuth2Kind = Kind{
	Name: "kong_oauth2", new: newKongOAuth2, places: tokenPlaces, schemes: tokenSchemes, judges: []tokenKind{issuedTokens}, role: issues,
}

func newKongOAuth2(s *Settings, d *Deps) auth.Flow {
	return &kongOAuth2{issuer: d.Issued, presented: d.presented, endpoints: d.Issued.Endpoints(d.Base, users(s, d))}
}

func (f *kongOAuth2) Endpoints() []auth.Endpoint { return f.endpoints }

func (f *kongOAuth2) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := f.presented.mine(r, &kongOAuth2Kind)
	if err != nil {
		return nil, err
	}
	identity, err := f.issuer.Verify(r.Context(), token.value)
	switch {
	case errors.Is(err, authserver.ErrUnavailable):
		return nil, auth.Unavailable("token_store_unavailable", err)
	case err != nil:
		return nil, auth.InvalidToken("token_unknown", err)
	}
	return &auth.Result{Identity: identity, Used: used(token)}, nil
}

// users returns the flow that finds the user of the built-in authorization server's endpoints: whose session the request carries, with all
// claims that policies see of it elsewhere. It is nil without sessions.
func users(s *Settings, d *Deps) auth.Flow {
	if !s.HasSessions() {
		return nil
	}
	return withSteps(&sessionKind, newSession(s, d), s, d)
}

// issued returns the flow of the built-in authorization server's tokens for a route with several issuers, of the part that has it: a user of
// its endpoints may have logged in at any of them.
func issued(p *Part, sessions auth.Chain) auth.Flow {
	var users auth.Flow
	if len(sessions) > 0 {
		users = sessions
	}
	f := &kongOAuth2{issuer: p.Deps.Issued, presented: p.Deps.presented, endpoints: p.Deps.Issued.Endpoints(p.Deps.Base, users)}
	return withSteps(&kongOAuth2Kind, f, p.Settings, &p.Deps)
}
