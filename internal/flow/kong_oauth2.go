package flow

import (
	"errors"
	"net/http"
	"sync"

	"sallyport/internal/auth"
	"sallyport/internal/issuer"
)

// kongOAuth2 proves the opaque tokens that the gate has issued itself, and brings the endpoints along at which it does.
type kongOAuth2 struct {
	issuer    *issuer.Issuer
	presented *presented
	endpoints []auth.Endpoint
}

func newKongOAuth2(s *Settings, d *Deps) auth.Flow {
	f := &kongOAuth2{issuer: d.Issued, presented: d.presented}
	who := &loggedIn{}
	if s.on("session") {
		who.sessions = newSession(s, d).(*sessions)
	}
	for _, e := range d.Issued.Endpoints(d.Base, who.identity) {
		e.Serve = who.withHeader(e.Serve)
		f.endpoints = append(f.endpoints, e)
	}
	return f
}

func (f *kongOAuth2) Endpoints() []auth.Endpoint { return f.endpoints }

func (f *kongOAuth2) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := f.presented.mine(r, "kong_oauth2")
	if err != nil {
		return nil, err
	}
	identity, err := f.issuer.Verify(r.Context(), token.value)
	switch {
	case errors.Is(err, issuer.ErrUnavailable):
		return nil, auth.Unavailable("token_store_unavailable", err)
	case err != nil:
		return nil, auth.InvalidToken("token_unknown", err)
	}
	return &auth.Result{Identity: identity, Used: used(token)}, nil
}

// loggedIn tells the built-in issuer which user is logged in at the gate: whose session the request carries.
type loggedIn struct {
	sessions *sessions // nil: nobody ever is
	headers  sync.Map  // *auth.Request to the http.Header of a session that was renewed while it was looked at
}

func (l *loggedIn) identity(r *auth.Request) (*auth.Identity, error) {
	if l.sessions == nil {
		return nil, auth.ErrNoCredential
	}
	res, err := l.sessions.Authenticate(r)
	if res != nil && len(res.Header) > 0 {
		l.headers.Store(r, res.Header)
	}
	if err != nil {
		return nil, err
	}
	return res.Identity, nil
}

// withHeader adds the renewed session's cookie to what an endpoint answers.
func (l *loggedIn) withHeader(serve func(*auth.Request) (*auth.Result, error)) func(*auth.Request) (*auth.Result, error) {
	return func(r *auth.Request) (*auth.Result, error) {
		res, err := serve(r)
		header, found := l.headers.LoadAndDelete(r)
		if !found {
			return res, err
		}
		if res == nil {
			res = &auth.Result{}
		}
		out := *res
		out.Header = auth.MergeHeader(header.(http.Header), res.Header)
		return &out, err
	}
}
