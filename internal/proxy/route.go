package proxy

import (
	"fmt"
	"math"
	"net/http/httputil"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// A route is a Route with what is computed from it at load.
type route struct {
	*Route
	view          *view            // for requests without an identity
	views         map[string]*view // by the issuer of an identity
	allow         ambiguity
	reserved      []string     // schemes of Authorization that aren't forwarded from clients; "" is every scheme
	prefixes      []pathPrefix // for strip_path
	byMethod      bool         // dependsOnMethod
	challenge     []string     // the values of WWW-Authenticate without an error
	dpopChallenge string       // that of DPoP; empty: the flows don't read that scheme
	rules         *rules
	matching      []*boundEndpoint       // endpoints with Matches instead of a path
	proxy         *httputil.ReverseProxy // nil: requests can't be forwarded
}

// A view is a View with its header plan.
type view struct {
	*View
	plan *headerPlan
}

// A rule is a Rule with its index among the route's rules and the headers that it adds.
type rule struct {
	*Rule
	order  int
	fields []field
}

// forUsers returns the rule for users at the gate's own endpoints.
func (r *rule) forUsers() *rule {
	if r.ForUsers == nil {
		return r
	}
	users := *r.Rule
	users.Rule = r.ForUsers
	return &rule{Rule: &users, order: r.order, fields: r.fields}
}

// requirements returns what the rule requires of an identity.
func (r *rule) requirements() *authz.Rule { return r.Rule.Rule }

// defaultRule applies to requests that no rule of the route matches: a credential is required.
var defaultRule = &rule{Rule: &Rule{Rule: &authz.Rule{Auth: authz.Required}}, order: math.MaxInt}

// A common has the headers and cookies of all routes together. Those of one route are removed on every route, which may lead to the same
// upstream.
type common struct {
	cookies *cookieSet
	removed map[bool]*nameSet // by whether the route allows method overrides
	schemes []string          // tokenSchemes
}

func newCommon(routes []*Route) *common {
	configured := configuredNames(routes)
	return &common{
		cookies: newCookieSet(routes), schemes: tokenSchemes(routes),
		removed: map[bool]*nameSet{false: newNameSet(configured, false), true: newNameSet(configured, true)},
	}
}

// newRoute returns the route for a Route. It returns an error if a claim would be sent as Authorization.
func newRoute(given *Route, c *common) (*route, error) {
	r := &route{Route: given, views: map[string]*view{}, prefixes: newPrefixes(given.Paths), byMethod: given.dependsOnMethod()}
	for _, name := range given.Allow {
		r.allow |= ambiguities[name]
	}
	removed := c.removed[r.allow&methodOverride != 0]
	r.view = newView(&given.View, removed, c.cookies)
	for issuer, v := range given.Views {
		r.views[issuer] = newView(v, removed, c.cookies)
	}
	r.rules = newRules(given.Rules)
	r.reserved = append(append(r.reserved, given.Schemes...), c.schemes...)
	r.challenge = []string{fmt.Sprintf("Bearer realm=%q", given.Realm) + given.Resource}
	if given.DPoP != "" {
		r.dpopChallenge = fmt.Sprintf("DPoP realm=%q, %s", given.Realm, given.DPoP)
	}
	if given.Basic {
		r.challenge = append(r.challenge, fmt.Sprintf(`Basic realm=%q, charset="UTF-8"`, given.Realm))
	}
	return r, r.checkFields()
}

func newView(v *View, removed *nameSet, cookies *cookieSet) *view {
	p := &headerPlan{removed: removed, cookies: cookies, upstream: v.Headers.Upstream.fields(), downstream: v.Headers.downstream()}
	p.upstreamSession = sessionFields(v.Headers.SessionRequestHeaders, v.Headers.Upstream.SessionIDHeader)
	p.downstreamSession = sessionFields(v.Headers.SessionResponseHeaders, v.Headers.Downstream.SessionIDHeader)
	p.dpopForward = v.Headers.DPoPForward
	p.tokenHeader, p.tokenPrefix = splitScheme(v.Headers.UpstreamAccessTokenHeader)
	p.dpop = v.Headers.UpstreamDPoP
	return &view{v, p}
}

// checkFields returns an error if a claim would be sent as Authorization.
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

// viewOf returns the view for identities of an issuer.
func (r *route) viewOf(issuer string) *view {
	if v := r.views[issuer]; v != nil {
		return v
	}
	return r.view
}

// matchingEndpoint returns the endpoint whose Matches accepts the request, or nil.
func (r *route) matchingEndpoint(req *auth.Request) *boundEndpoint {
	for _, e := range r.matching {
		if e.Matches(req) {
			return e
		}
	}
	return nil
}

// allViews returns the View and the Views of a route.
func (r *Route) allViews() []*View {
	all := []*View{&r.View}
	for _, v := range r.Views {
		all = append(all, v)
	}
	return all
}
