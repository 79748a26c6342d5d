package authserver

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A site is the issuer as one route shows it.
type site struct {
	*Server
	base  string    // the route's first path, without a final slash
	users auth.Flow // finds who is logged in; nil: only a consent page elsewhere gets codes
}

// The issuer's paths below a route's first one.
const (
	tokenPath      = "/oauth2/token"
	authorizePath  = "/oauth2/authorize"
	revokePath     = "/oauth2/revoke"
	introspectPath = "/oauth2/introspect"
	wellKnown      = "/.well-known/oauth-authorization-server"
)

// Endpoints returns the issuer's endpoints for one route, whose first path is base. Users finds the user who is logged in, for
// the authorization endpoint; without one the endpoint's error wraps auth.ErrNoCredential, for the caller to begin a login that
// comes back to the same address. The caller judges every user before an endpoint acts for it (auth.Visitor).
func (a *Server) Endpoints(base string, users auth.Flow) []auth.Endpoint {
	s := &site{Server: a, base: strings.TrimSuffix(base, "/"), users: users}
	return []auth.Endpoint{
		s.endpoint("token", s.base+tokenPath, s.token, http.MethodPost),
		s.endpoint("authorize", s.base+authorizePath, s.authorize, http.MethodGet, http.MethodPost),
		s.endpoint("revoke", s.base+revokePath, alone(s.revoke), http.MethodPost),
		s.endpoint("introspect", s.base+introspectPath, alone(s.introspect), http.MethodPost),
		s.endpoint("oauth2_metadata", wellKnown+s.base, alone(s.metadata), http.MethodGet, http.MethodHead), // RFC 8414 §3.1
	}
}

// Paths are where the endpoints are below a route's first path.
func Paths(base string) []string {
	base = strings.TrimSuffix(base, "/")
	return []string{base + tokenPath, base + authorizePath, base + revokePath, base + introspectPath, wellKnown + base}
}

// A serveUser serves one endpoint.
type serveUser func(*auth.Request, auth.Visitor) (*auth.Result, error)

// alone serves an endpoint that knows clients and no users.
func alone(serve func(*auth.Request) (*auth.Result, error)) serveUser {
	return func(r *auth.Request, _ auth.Visitor) (*auth.Result, error) { return serve(r) }
}

// endpoint guards what all endpoints have in common: the method, and that nobody on the way can read along.
func (s *site) endpoint(name, path string, serve serveUser, methods ...string) auth.Endpoint {
	return auth.Endpoint{Name: name, Path: path, Users: s.users, ServeUser: func(r *auth.Request, v auth.Visitor) (*auth.Result, error) {
		if !slices.Contains(methods, r.Method) {
			return nil, &auth.Error{Status: http.StatusMethodNotAllowed, Description: "This address doesn't take that method.",
				Reason: "method_not_allowed", Allow: strings.Join(methods, ", ")}
		}
		if !r.Secure() && !auth.Loopback(r.Origin) && !s.settings.AllowInsecureHTTP {
			return nil, &auth.Error{Status: http.StatusBadRequest, Code: "invalid_request", Reason: "oauth2_insecure",
				Description: "Tokens are only issued over https.",
				Err:         errors.New("the request came over plain http (RFC 6749 §3.2): serve https, let the proxy in front be one of trusted_proxies, or set oauth2.allow_insecure_http")}
		}
		res, err := serve(r, v)
		if err == nil {
			return res, nil
		}
		answered, err := s.answerError(r, name, err)
		if answered == nil {
			return res, err
		}
		return answered, err
	}}
}

// issuer is this authorization server's name (RFC 8414 §2).
func (s *site) issuer(r *auth.Request) string { return s.nameAt(r, s.base) }

// Name returns the issuer's name on a route whose first path is base.
func (a *Server) Name(base string) func(*auth.Request) string {
	base = strings.TrimSuffix(base, "/")
	return func(r *auth.Request) string { return a.nameAt(r, base) }
}

func (a *Server) nameAt(r *auth.Request, base string) string {
	if a.settings.Issuer != "" {
		return a.settings.Issuer
	}
	return r.Origin + base
}
