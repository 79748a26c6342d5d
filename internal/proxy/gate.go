// Package proxy takes a request from match to response: it finds the route, lets the chain and the policy decide, and
// forwards what may pass.
package proxy

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
	"sallyport/internal/page"
)

// A Route is one route as requests meet it: everything that depends on the configuration is computed.
type Route struct {
	Name     string
	Place    string // file:line, for explanations
	Hosts    []string
	Paths    []string
	Origin   string // public_url; empty: from the request
	Chain    auth.Chain
	Exchange auth.Step                // of the access token, before policies see it; nil: none
	Policy   *authz.Policy            // of whom nothing else is known
	Policies map[string]*authz.Policy // by the issuer of an identity
	Rules    []*Rule
	View                      // of requests without an identity
	Views    map[string]*View // by the issuer of an identity; its View where it isn't there
	Realm    string           // of challenges: the issuer's host
	Resource string           // what challenges say besides: parameters that begin with a comma (RFC 9728 §5.1)
	Basic    bool             // challenges ask for Basic, too (RFC 7617 §2)
	LogsIn   bool             // people can log in on this route
	Schemes  []string         // of Authorization that the flows read, in lower case
	Upstream *Upstream
	Pages    *page.Set // nil: the gate's

	SkipPreflight    bool     // a CORS preflight passes unseen
	CredentialParams []string // parameters that hold credentials, which no preflight that passes unseen carries

	Allow        []string // tricks that a request may hold
	StripPath    bool     // the upstream doesn't see the route's prefix
	PreserveHost bool     // the upstream sees the Host that was judged

	CookieNames    []string // of the gate, which never go upstream
	CookiePrefixes []string

	allow     trick
	reserved  []string     // schemes of Authorization that no client may send past the gate; "" is every one
	prefixes  []pathPrefix // that strip_path takes off
	byMethod  bool         // a rule's methods or expression decide, so that no parameter may name another
	challenge []string     // the value of WWW-Authenticate without an error
	rules     *rules
	triggers  []*boundEndpoint // endpoints without a path of their own
	proxy     *httputil.ReverseProxy
}

// A View is what the upstream and the client see of an identity, and of a refusal.
type View struct {
	Headers     HeaderSettings
	Errors      ErrorSettings
	ClientIndex func(*auth.Request) int // which of client_id a request chooses

	plan *headerPlan
}

// view is what is seen of an issuer's identity.
func (r *Route) view(issuer string) *View {
	if v := r.Views[issuer]; v != nil {
		return v
	}
	return &r.View
}

// views are all of a route.
func (r *Route) views() []*View {
	all := []*View{&r.View}
	for _, v := range r.Views {
		all = append(all, v)
	}
	return all
}

// A Rule says what a part of a route's requests needs.
type Rule struct {
	Hosts   []string
	Paths   []string
	Methods []string
	Place   string // file:line, for the log
	Headers RuleHeaderSettings
	*authz.Rule

	order  int
	fields []field
}

// defaultRule holds where a route's rules say nothing: a credential is required.
var defaultRule = &Rule{Rule: &authz.Rule{Auth: authz.Required}, order: math.MaxInt}

// A Gate is one immutable snapshot of routes, rules, plans and chains. It is the HTTP handler of the listeners.
type Gate struct {
	entrance entrance
	router   *router
	log      *slog.Logger
	access   bool
	pages    *page.Set
	timeouts Timeouts
}

// Config is what a Gate is made from.
type Config struct {
	Routes         []*Route
	Endpoints      []auth.Endpoint // of the process, on every host
	TrustedProxies []netip.Prefix
	Log            *slog.Logger
	AccessLog      bool
	Pages          *page.Set // that people see; nil: the built-in ones
	Timeouts       Timeouts
}

// New returns the gate of these routes, which it completes.
func New(c Config) (*Gate, error) {
	g := &Gate{
		entrance: entrance{trusted: c.TrustedProxies, log: c.Log}, log: c.Log, access: c.AccessLog, pages: c.Pages,
		timeouts: c.Timeouts.orDefault(),
	}
	if g.pages == nil {
		g.pages = page.Builtin()
	}
	cookies, removed := newCookieSet(c.Routes), map[bool]*nameSet{false: newNameSet(c.Routes, false), true: newNameSet(c.Routes, true)}
	for _, route := range c.Routes {
		for _, name := range route.Allow {
			route.allow |= tricks[name]
		}
		if err := makePlans(route, removed[route.allow&methodOverride != 0], cookies); err != nil {
			return nil, err
		}
		route.challenge = []string{fmt.Sprintf("Bearer realm=%q", route.Realm) + route.Resource}
		if route.Basic {
			route.challenge = append(route.challenge, fmt.Sprintf(`Basic realm=%q, charset="UTF-8"`, route.Realm))
		}
		route.rules, route.byMethod = newRules(route.Rules), route.judgesMethods()
		route.reserved = append(route.Schemes, tokenSchemes(c.Routes)...)
		route.prefixes = newPrefixes(route.Paths)
		route.proxy = g.newReverseProxy(route)
	}
	g.router = newRouter(c.Routes, c.Endpoints)
	return g, nil
}

// A Decision is what decide found out about a request. It is complete before anything is forwarded.
type Decision struct {
	auth.Request
	Route    *Route // nil if none was found
	Rule     *Rule
	Endpoint string         // the gate's own path that was asked for
	Identity *auth.Identity // nil: nobody is known, and nobody need be
	User     *auth.Identity // for whom an endpoint acts; for the log
	Grant    *authz.Grant   // whom the identity stands for; nil where nothing was judged
	Header   http.Header    // for the response, whatever it becomes
	Answer   *auth.Answer   // if set, the response

	notes     *notes         // for an explanation; nil: nobody wants one
	as        *auth.Identity // for an explanation: who the request is for, whatever it brings
	target    target
	host      string       // host[:port] by which the route was found
	prefix    string       // that a trusted proxy in front has taken off the path
	preflight bool         // a CORS preflight that passes unseen
	unjudged  bool         // nothing was looked at: Authorization is the upstream's to judge
	used      []auth.Param // where the credential stood
	query     *string      // what the upstream gets instead of the request's
	forwarded bool         // the answer is the upstream's, or that it has none
	failure   *auth.Error  // of the upstream
	idHeader  [1]string    // the value of X-Request-Id, so that it costs no allocation of its own
}

func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w}
	rec.body, r = takeBody(w, r, g.timeouts.Body)
	defer rec.body.finish()
	d, err := g.decide(r)
	defer g.report(rec, d, &err, start)
	switch {
	case err != nil:
		g.refuse(rec, d, err)
	case d.Answer != nil:
		g.answer(rec, d)
	default:
		err = g.forward(rec, d)
	}
}

// decide judges a request and forwards nothing. The Decision is never nil, so that a refusal knows its route.
func (g *Gate) decide(r *http.Request) (*Decision, error) {
	d := &Decision{}
	return d, g.judge(r, d)
}

// judge completes a decision.
func (g *Gate) judge(r *http.Request, d *Decision) error {
	if err := g.entrance.enter(r, d); err != nil {
		return err
	}
	m, readings, err := g.router.match(d.Hostname, r.Method, &d.target)
	d.Route, d.Rule, d.Readings = m.route, m.rule, readings
	d.notes.match(d)
	if err == nil && m.route.byMethod {
		err = checkMethodParam(r.URL.RawQuery)
	}
	if err != nil {
		return err
	}
	if d.AskedAt = d.Origin; d.Route.Origin != "" {
		d.Origin = d.Route.Origin
	}
	endpoint := m.endpoint
	if endpoint == nil {
		endpoint = d.Route.trigger(&d.Request)
	}
	if err := d.BodyErr(); err != nil {
		return err
	}
	if endpoint == nil && d.unseen() {
		return d.checkUnseen()
	}
	own := d.Rule
	if endpoint != nil { // without an answer it goes on as if the chain had found its result
		own = d.Route.rules.find(d.Hostname, d.Path, r.Method)
	}
	err = g.prove(d, endpoint, own)
	d.notes.proof(d, err)
	if err != nil || d.Answer != nil && d.Identity == nil {
		return err
	}
	d.Rule = own
	if d.Answer == nil {
		d.tell()
	}
	return g.authorize(d)
}

// prove finds out who the request is for: by the endpoint or the chain, then by the exchange of the token. What the request
// alone refuses is refused first: no credential that comes with it costs its issuer a call. Rule covers the request's path.
func (g *Gate) prove(d *Decision, endpoint *boundEndpoint, rule *Rule) error {
	if endpoint == nil {
		if err := d.Route.Policy.Precheck(&d.Request, d.Rule.Rule, d.notes.observer()); err != nil {
			return err
		}
		if d.as != nil {
			d.Identity = d.as
			return nil
		}
	}
	ask := d.Route.Chain.Authenticate
	if endpoint != nil {
		d.Endpoint, ask = endpoint.Name, endpoint.bind(visitor{g, d, endpoint.Users, rule})
	}
	res, err := d.authenticate(ask)
	if err == nil && res.Answer == nil {
		err = d.BodyErr() // a part of it is gone: it can't be forwarded
	}
	if err == nil && (res.Answer == nil || res.Identity != nil) {
		res, err = d.exchange(res)
	}
	if res != nil {
		d.Identity, d.Header, d.Answer, d.used, d.query = res.Identity, res.Header, res.Answer, res.Used, res.Query
	}
	return err
}

// exchange exchanges the access token, where the route asks for it. It keeps the headers of the result before: a renewed
// session's cookie must reach the browser even if the exchange fails.
func (d *Decision) exchange(before *auth.Result) (*auth.Result, error) {
	if d.Route.Exchange == nil {
		return before, nil
	}
	res, err := d.Route.Exchange(&d.Request, before)
	if err != nil {
		return &auth.Result{Identity: before.Identity, Header: before.Header}, err
	}
	return res, nil
}

// trigger is the endpoint without a path of its own that a request is for, or nil.
func (r *Route) trigger(req *auth.Request) *boundEndpoint {
	for _, e := range r.triggers {
		if e.Matches(req) {
			return e
		}
	}
	return nil
}

// view is what is seen of the decision's identity.
func (d *Decision) view() *View {
	if d.Identity == nil {
		return &d.Route.View
	}
	return d.Route.view(d.Identity.Issuer)
}
