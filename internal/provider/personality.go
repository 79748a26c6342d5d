package provider

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// A Personality makes a Provider answer as a product does, where the product differs from this provider: in its addresses, its metadata,
// its tokens, its logout. It has facts that the product documents. Each product has a file: entra.go, google.go and so on. The zero value
// changes nothing.
type Personality struct {
	issuerPath string              // the path of the issuer; "/" if the name of the issuer ends with a slash
	host       string              // of the endpoints, if it isn't the issuer's
	paths      map[Endpoint]string // of endpoints that aren't below the issuer's path
	manyNames  bool                // tokens name other issuers than the metadata

	// These change what the provider writes; nil changes nothing.
	metadata, idToken, userinfo, introspected, tokenAnswer change

	// accessToken writes an access token of claims; nil: an RFC 9068 JWT.
	accessToken func(p *Provider, g *grant, claims map[string]any) string
	// refreshes reports whether a grant gets refresh tokens; nil: every grant.
	refreshes func(g *grant) bool
	// logoutParams returns the parameters of a logout request by the names of the standard. The logout then asks nothing. Nil: the request has
	// the standard's parameters.
	logoutParams func(url.Values) url.Values

	noResponseIss bool // authorization responses have no iss (RFC 9207)
}

// A change changes a JSON object of a grant; the grant is nil for metadata.
type change func(p *Provider, g *grant, object map[string]any)

// apply makes the change, if there is one.
func (c change) apply(p *Provider, g *grant, object map[string]any) {
	if c != nil {
		c(p, g, object)
	}
}

func (a *Personality) givesRefreshToken(g *grant) bool { return a.refreshes == nil || a.refreshes(g) }

// endpointAt returns the endpoint with a path of the product.
func (a *Personality) endpointAt(path string) (Endpoint, bool) {
	for e, p := range a.paths {
		if p == path {
			return e, true
		}
	}
	return "", false
}

// Address returns the URL of an endpoint.
func (p *Provider) Address(e Endpoint) string {
	path, moved := p.as().paths[e]
	if !moved {
		return p.Issuer() + string(e)
	}
	u, err := url.Parse(p.Issuer())
	if err != nil {
		return ""
	}
	if p.as().host != "" {
		u.Host = p.as().host + ":" + u.Port()
	}
	return u.Scheme + "://" + u.Host + path
}

// addressPath returns the path of an endpoint.
func (p *Provider) addressPath(e Endpoint) string {
	if path, moved := p.as().paths[e]; moved {
		return path
	}
	return p.path() + string(e)
}

// cookiePath returns the path of the session cookie, which all endpoints receive.
func (p *Provider) cookiePath() string {
	if len(p.as().paths) > 0 {
		return "/"
	}
	return p.path() + "/"
}

// iss returns the issuer as tokens and metadata name it.
func (p *Provider) iss() string {
	if p.as().issuerPath == "/" {
		return p.Issuer() + "/"
	}
	return p.Issuer()
}

// origin returns the scheme and the host of the issuer.
func (p *Provider) origin() string { return strings.TrimSuffix(p.Issuer(), p.path()) }

// only removes all members but those that are named.
func only(object map[string]any, names ...string) {
	maps.DeleteFunc(object, func(name string, _ any) bool { return !slices.Contains(names, name) })
}

// hasScope reports whether a scope was granted.
func (g *grant) hasScope(scope string) bool { return slices.Contains(g.scope, scope) }

// isOffline reports whether the grant has the scope offline_access, for which many products give refresh tokens.
func (g *grant) isOffline() bool { return g.hasScope("offline_access") }

// rename gives a member another name, if the object has it.
func rename(object map[string]any, from, to string) {
	if v, ok := object[from]; ok {
		delete(object, from)
		object[to] = v
	}
}
