package authserver

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A routeServer is the authorization server on one route.
type routeServer struct {
	*Server
	base  string    // the route's first path, without a trailing slash
	users auth.Flow // identifies the user at the authorization endpoint; nil: only the external consent page gets codes
}

// The paths of the endpoints, below a route's first path.
const (
	tokenPath      = "/oauth2/token"
	authorizePath  = "/oauth2/authorize"
	revokePath     = "/oauth2/revoke"
	introspectPath = "/oauth2/introspect"
	wellKnown      = "/.well-known/oauth-authorization-server"
)

// Endpoints returns the endpoints of one route, whose first path is base. Users is the flow that identifies the user at the
// authorization endpoint. If the user is not logged in, the endpoint's error wraps auth.ErrNoCredential, and the caller starts a login
// that returns to the same URL. The caller authorizes every user before an endpoint acts for the user (auth.Visitor).
func (a *Server) Endpoints(base string, users auth.Flow) []auth.Endpoint {
	s := &routeServer{Server: a, base: strings.TrimSuffix(base, "/"), users: users}
	return []auth.Endpoint{
		s.endpoint("token", s.base+tokenPath, s.token, http.MethodPost),
		s.endpoint("authorize", s.base+authorizePath, s.authorize, http.MethodGet, http.MethodPost),
		s.endpoint("revoke", s.base+revokePath, clientsOnly(s.revoke), http.MethodPost),
		s.endpoint("introspect", s.base+introspectPath, clientsOnly(s.introspect), http.MethodPost),
		s.endpoint("oauth2_metadata", wellKnown+s.base, clientsOnly(s.metadata), http.MethodGet, http.MethodHead), // RFC 8414 §3.1
	}
}

// Paths returns the paths of the endpoints on a route whose first path is base.
func Paths(base string) []string {
	base = strings.TrimSuffix(base, "/")
	return []string{base + tokenPath, base + authorizePath, base + revokePath, base + introspectPath, wellKnown + base}
}

// A serveFunc serves an endpoint.
type serveFunc func(*auth.Request, auth.Visitor) (*auth.Result, error)

// clientsOnly returns the serveFunc of an endpoint that has no users.
func clientsOnly(serve func(*auth.Request) (*auth.Result, error)) serveFunc {
	return func(r *auth.Request, _ auth.Visitor) (*auth.Result, error) { return serve(r) }
}

// endpoint returns an endpoint that checks the request's method and that it came over https, before it calls serve.
func (s *routeServer) endpoint(name, path string, serve serveFunc, methods ...string) auth.Endpoint {
	return auth.Endpoint{Name: name, Path: path, Users: s.users, ServeUser: func(r *auth.Request, v auth.Visitor) (*auth.Result, error) {
		if !slices.Contains(methods, r.Method) {
			return nil, &auth.Error{Status: http.StatusMethodNotAllowed, Description: "This address doesn't take that method.",
				Reason: "method_not_allowed", Allow: strings.Join(methods, ", ")}
		}
		if !r.Secure() && !auth.Loopback(r.Origin) && !s.settings.AllowInsecureHTTP {
			return nil, &auth.Error{Status: http.StatusBadRequest, Code: "invalid_request", Reason: "oauth2_insecure",
				Description: "Tokens are only issued over https.",
				Err: errors.New("the request came over plain http (RFC 6749 §3.2): serve https, " +
					"let the proxy in front be one of trusted_proxies, or set oauth2.allow_insecure_http")}
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

// issuer returns the iss value on this route (RFC 8414 §2).
func (s *routeServer) issuer(r *auth.Request) string { return s.nameAt(r, s.base) }

// Audiences returns a function that returns the audiences of tokens for a route whose first path is base: the iss value there, and the
// route as a resource.
func (a *Server) Audiences(base string) func(*auth.Request) []string {
	base = strings.TrimSuffix(base, "/")
	return func(r *auth.Request) []string { return []string{a.nameAt(r, base), r.Origin + base} }
}

func (a *Server) nameAt(r *auth.Request, base string) string {
	if a.settings.Issuer != "" {
		return a.settings.Issuer
	}
	return r.Origin + base
}
