package authserver

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/mcp"
)

// A Site is the authorization server on one route.
type Site struct {
	*Server
	SiteConfig
}

// A SiteConfig is what the server needs to know about a route.
type SiteConfig struct {
	Route mcp.Route  // the route as a resource, and as an MCP server if it is one
	Users auth.Chain // identifies the user at the authorization endpoint; empty: only the external consent page gets codes

	// Ask asks the provider of a login whether its user is still there, and returns the login with the tokens and claims that it has now. Its
	// error wraps ErrGone if the user isn't. Nil: the provider is never asked.
	Ask func(context.Context, *auth.Identity) (*auth.Identity, error)
}

// The paths of the endpoints, below a route's first path.
const (
	tokenPath      = "/oauth2/token"
	authorizePath  = "/oauth2/authorize"
	revokePath     = "/oauth2/revoke"
	introspectPath = "/oauth2/introspect"
	registerPath   = "/oauth2/register"
)

// At returns the authorization server on a route.
func (a *Server) At(c SiteConfig) *Site {
	c.Route.Issuer = a.settings.Issuer
	s := &Site{Server: a, SiteConfig: c}
	s.Users = s.withUnused(c.Users)
	return s
}

// Endpoints returns the endpoints of the route. If the user is not logged in at the authorization endpoint, its error wraps
// auth.ErrNoCredential, and the caller starts a login that returns to the same URL. The caller authorizes every user before an endpoint
// acts for the user (auth.Visitor).
func (s *Site) Endpoints() []auth.Endpoint {
	base := s.Route.Path()
	all := []auth.Endpoint{
		s.endpoint("token", base+tokenPath, s.token, http.MethodPost),
		s.endpoint("authorize", base+authorizePath, s.authorize, http.MethodGet, http.MethodPost),
		s.endpoint("revoke", base+revokePath, clientsOnly(s.revoke), http.MethodPost),
		s.endpoint("introspect", base+introspectPath, clientsOnly(s.introspect), http.MethodPost),
	}
	if s.Route.Registration {
		all = append(all, s.endpoint("register", base+registerPath, clientsOnly(s.register), http.MethodPost))
	}
	for _, path := range metadataPaths(&s.Route) {
		all = append(all, s.endpoint("oauth2_metadata", path, clientsOnly(s.metadata), http.MethodGet, http.MethodHead))
	}
	return all
}

// Paths returns the paths of the endpoints on a route.
func Paths(route *mcp.Route) []string {
	base := route.Path()
	all := []string{base + tokenPath, base + authorizePath, base + revokePath, base + introspectPath}
	if route.Registration {
		all = append(all, base+registerPath)
	}
	return append(all, metadataPaths(route)...)
}

// AuthorizePath returns the path of the authorization endpoint on a route.
func AuthorizePath(route *mcp.Route) string {
	return route.Path() + authorizePath
}

// metadataPaths returns the paths of the server's metadata. On a route that isn't an MCP server it is the one that follows from the route's
// first path (RFC 8414 §3.1).
func metadataPaths(route *mcp.Route) []string {
	paths := route.ServerMetadataPaths()
	if !route.On {
		own := auth.Resource{Base: route.Base}
		paths = own.ServerMetadataPaths()[:1]
	}
	return paths
}

// A serveFunc serves an endpoint.
type serveFunc func(*auth.Request, auth.Visitor) (*auth.Result, error)

// clientsOnly returns the serveFunc of an endpoint that has no users.
func clientsOnly(serve func(*auth.Request) (*auth.Result, error)) serveFunc {
	return func(r *auth.Request, _ auth.Visitor) (*auth.Result, error) { return serve(r) }
}

// endpoint returns an endpoint that checks the request's method and that it came over https, before it calls serve. Scripts of any origin
// may call the endpoints of an MCP server and read their answers, except for the authorization endpoint, which shows pages.
func (s *Site) endpoint(name, path string, serve serveFunc, methods ...string) auth.Endpoint {
	scripts := s.Route.On && path != AuthorizePath(&s.Route)
	answer := func(r *auth.Request, v auth.Visitor) (*auth.Result, error) {
		if scripts && r.Method == http.MethodOptions {
			return mcp.AnyOrigin.Preflight(methods), nil
		}
		if err := s.checkRequest(r, methods); err != nil {
			return nil, err
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
	}
	return auth.Endpoint{Name: name, Path: path, Users: s.Users, ServeUser: func(r *auth.Request, v auth.Visitor) (*auth.Result, error) {
		res, err := answer(r, v)
		if !scripts {
			return res, err
		}
		return mcp.AnyOrigin.Allow(res, err)
	}}
}

// checkRequest returns an error for a method that an endpoint doesn't take, and for a request over plain http.
func (s *Site) checkRequest(r *auth.Request, methods []string) error {
	if !slices.Contains(methods, r.Method) {
		return &auth.Error{Status: http.StatusMethodNotAllowed, Description: "This address doesn't take that method.",
			Reason: "method_not_allowed", Allow: strings.Join(methods, ", ")}
	}
	if !r.Secure() && !auth.Loopback(r.Origin) && !s.settings.AllowInsecureHTTP {
		return &auth.Error{Status: http.StatusBadRequest, Code: "invalid_request", Reason: "oauth2_insecure",
			Description: "Tokens are only issued over https.",
			Err: errors.New("the request came over plain http (RFC 6749 §3.2): serve https, " +
				"let the proxy in front be one of trusted_proxies, or set oauth2.allow_insecure_http")}
	}
	return nil
}

// issuer returns the iss value on this route (RFC 8414 §2).
func (s *Site) issuer(r *auth.Request) string { return s.Route.IssuerURL(r) }

// Audiences returns a function that returns the audiences of tokens for a route whose first path is base.
func (a *Server) Audiences(base string) func(*auth.Request) []string {
	return (&auth.Resource{Base: base, Issuer: a.settings.Issuer}).Audiences
}
