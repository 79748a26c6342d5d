package proxy

import (
	"fmt"
	"math"
	"net/http/httputil"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// A route is a Route as requests meet it, with all that is computed from it at load.
type route struct {
	*Route
	view      *view            // of requests without an identity
	views     map[string]*view // by the issuer of an identity
	allow     trick
	reserved  []string     // schemes of Authorization that no client may send past the gate; "" is every one
	prefixes  []pathPrefix // that strip_path takes off
	byMethod  bool         // a rule's methods or expression decide, so that no parameter may name another
	challenge []string     // the value of WWW-Authenticate without an error
	rules     *rules
	triggers  []*boundEndpoint       // endpoints without a path of their own
	proxy     *httputil.ReverseProxy // nil: nothing is forwarded
}

// A view is a View with its header plan.
type view struct {
	*View
	plan *headerPlan
}

// A rule is a Rule with its place among the route's and the headers that it adds.
type rule struct {
	*Rule
	order  int
	fields []field
}

// requirements returns what the rule requires of an identity.
func (r *rule) requirements() *authz.Rule { return r.Rule.Rule }

// defaultRule holds where a route's rules say nothing: a credential is required.
var defaultRule = &rule{Rule: &Rule{Rule: &authz.Rule{Auth: authz.Required}}, order: math.MaxInt}

// shared is what the routes of a process have in common: a header or a cookie that means something on one of them must not pass on
// another, which may lead to the same upstream.
type shared struct {
	cookies *cookieSet
	removed map[bool]*nameSet // by whether the route lets method overrides pass
	schemes []string          // of Authorization under which a route sends access tokens
}

func newShared(routes []*Route) *shared {
	return &shared{
		cookies: newCookieSet(routes), schemes: tokenSchemes(routes),
		removed: map[bool]*nameSet{false: newNameSet(routes, false), true: newNameSet(routes, true)},
	}
}

// newRoute computes a route. The error names the setting of a header that no claim may be sent as.
func newRoute(given *Route, s *shared) (*route, error) {
	r := &route{Route: given, views: map[string]*view{}, prefixes: newPrefixes(given.Paths), byMethod: given.judgesMethods()}
	for _, name := range given.Allow {
		r.allow |= tricks[name]
	}
	removed := s.removed[r.allow&methodOverride != 0]
	r.view = newView(&given.View, removed, s.cookies)
	for issuer, v := range given.Views {
		r.views[issuer] = newView(v, removed, s.cookies)
	}
	r.rules = newRules(given.Rules)
	r.reserved = append(append(r.reserved, given.Schemes...), s.schemes...)
	r.challenge = []string{fmt.Sprintf("Bearer realm=%q", given.Realm) + given.Resource}
	if given.Basic {
		r.challenge = append(r.challenge, fmt.Sprintf(`Basic realm=%q, charset="UTF-8"`, given.Realm))
	}
	return r, r.checkFields()
}

func newView(v *View, removed *nameSet, cookies *cookieSet) *view {
	p := &headerPlan{removed: removed, cookies: cookies, upstream: v.Headers.Upstream.fields(), downstream: v.Headers.downstream()}
	p.tokenHeader, p.tokenPrefix = splitScheme(v.Headers.UpstreamAccessTokenHeader)
	return &view{v, p}
}

// checkFields refuses a claim that would be sent as Authorization.
func (r *route) checkFields() error {
	fields := r.view.plan.upstream
	for _, v := range r.views {
		fields = append(fields, v.plan.upstream...)
	}
	for _, rule := range r.rules.all {
		fields = append(fields, rule.fields...)
	}
	for _, f := range fields {
		if f.header == "Authorization" {
			return fmt.Errorf("upstream_headers: Authorization carries the access token: see upstream_access_token_header")
		}
	}
	return nil
}

// viewOf returns what is seen of an issuer's identity.
func (r *route) viewOf(issuer string) *view {
	if v := r.views[issuer]; v != nil {
		return v
	}
	return r.view
}

// trigger returns the endpoint without a path of its own that a request is for, or nil.
func (r *route) trigger(req *auth.Request) *boundEndpoint {
	for _, e := range r.triggers {
		if e.Matches(req) {
			return e
		}
	}
	return nil
}

// allViews returns the views of a route.
func (r *Route) allViews() []*View {
	all := []*View{&r.View}
	for _, v := range r.Views {
		all = append(all, v)
	}
	return all
}
