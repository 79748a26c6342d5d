package issuer

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// Who returns the user who is logged in, and headers for whatever the response becomes. Its error wraps auth.ErrNoCredential
// if nobody is.
type Who func(*auth.Request) (*auth.Result, error)

// A site is the issuer as one route shows it.
type site struct {
	*Issuer
	base string // the route's first path, without a final slash
	who  Who    // nil: no user is known here, and only a consent page elsewhere gets codes
}

// The issuer's paths below a route's first one.
const (
	tokenPath      = "/oauth2/token"
	authorizePath  = "/oauth2/authorize"
	revokePath     = "/oauth2/revoke"
	introspectPath = "/oauth2/introspect"
	wellKnown      = "/.well-known/oauth-authorization-server"
)

// Endpoints are the issuer's endpoints for one route, whose first path is base. Who says who is logged in, for the
// authorization endpoint; where it finds nobody the endpoint's error wraps auth.ErrNoCredential, for the caller to begin a
// login that comes back to the same address.
func (i *Issuer) Endpoints(base string, who Who) []auth.Endpoint {
	s := &site{Issuer: i, base: strings.TrimSuffix(base, "/"), who: who}
	return []auth.Endpoint{
		s.endpoint("token", s.base+tokenPath, s.token, http.MethodPost),
		s.endpoint("authorize", s.base+authorizePath, s.authorize, http.MethodGet, http.MethodPost),
		s.endpoint("revoke", s.base+revokePath, s.revoke, http.MethodPost),
		s.endpoint("introspect", s.base+introspectPath, s.introspect, http.MethodPost),
		s.endpoint("oauth2_metadata", wellKnown+s.base, s.metadata, http.MethodGet, http.MethodHead), // RFC 8414 §3.1
	}
}

// Paths are where the endpoints are below a route's first path.
func Paths(base string) []string {
	base = strings.TrimSuffix(base, "/")
	return []string{base + tokenPath, base + authorizePath, base + revokePath, base + introspectPath, wellKnown + base}
}

// endpoint guards what all endpoints have in common: the method, and that nobody on the way can read along.
func (s *site) endpoint(name, path string, serve func(*auth.Request) (*auth.Result, error), methods ...string) auth.Endpoint {
	return auth.Endpoint{Name: name, Path: path, Serve: func(r *auth.Request) (*auth.Result, error) {
		if !slices.Contains(methods, r.Method) {
			return nil, &auth.Error{Status: http.StatusMethodNotAllowed, Description: "This address doesn't take that method.",
				Reason: "method_not_allowed", Allow: strings.Join(methods, ", ")}
		}
		if !r.Secure() && !auth.Loopback(r.Origin) && !s.settings.AllowInsecureHTTP {
			return nil, &auth.Error{Status: http.StatusBadRequest, Code: "invalid_request", Reason: "oauth2_insecure",
				Description: "Tokens are only issued over https.",
				Err:         errors.New("the request came over plain http (RFC 6749 §3.2): serve https, let the proxy in front be one of trusted_proxies, or set oauth2.allow_insecure_http")}
		}
		res, err := serve(r)
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
func (i *Issuer) Name(base string) func(*auth.Request) string {
	base = strings.TrimSuffix(base, "/")
	return func(r *auth.Request) string { return i.nameAt(r, base) }
}

func (i *Issuer) nameAt(r *auth.Request, base string) string {
	if i.settings.Issuer != "" {
		return i.settings.Issuer
	}
	return r.Origin + base
}
