// Package proxy takes a request from match to response: it finds the route, lets the chain and the policy decide, and
// forwards what may pass.
package proxy

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
	"sallyport/internal/page"
)

// A Route is what New is given of one route. New doesn't change it.
type Route struct {
	Name     string
	Place    string // file:line, for explanations
	Hosts    []string
	Paths    []string
	Origin   string // public_url; empty: from the request
	Chain    auth.Chain
	Exchange auth.Step                // of the access token, before policies see it; nil: none
	Policy   *authz.Policy            // of requests without an identity
	Policies map[string]*authz.Policy // by the issuer of an identity
	Rules    []*Rule
	View                      // of requests without an identity
	Views    map[string]*View // by the issuer of an identity; the View above where it isn't there
	Realm    string           // of challenges: the issuer's host
	Resource string           // what challenges say besides: parameters that begin with a comma (RFC 9728 §5.1)
	Basic    bool             // challenges ask for Basic, too (RFC 7617 §2)
	LogsIn   bool             // people can log in on this route
	Schemes  []string         // of Authorization that the flows read, in lower case
	Upstream *Upstream        // nil: nothing is forwarded
	Pages    *page.Set        // nil: the gate's

	SkipPreflight    bool     // a CORS preflight passes unseen
	CredentialParams []string // parameters that hold credentials, which no preflight that passes unseen carries

	Allow        []string // tricks that a request may hold
	StripPath    bool     // the upstream doesn't see the route's prefix
	PreserveHost bool     // the upstream sees the Host that was judged

	CookieNames    []string // of the gate, which never go upstream
	CookiePrefixes []string
}

// A View is what the upstream and the client see of an identity, and of a refusal.
type View struct {
	Headers     HeaderSettings
	Errors      ErrorSettings
	ClientIndex func(*auth.Request) int // which of client_id a request chooses
}

// A Rule says what a part of a route's requests needs.
type Rule struct {
	Hosts   []string
	Paths   []string
	Methods []string
	Place   string // file:line, for the log
	Headers RuleHeaderSettings
	*authz.Rule
}

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

// New returns the gate of these routes.
func New(c Config) (*Gate, error) {
	g := &Gate{
		entrance: entrance{trusted: c.TrustedProxies, log: c.Log}, log: c.Log, access: c.AccessLog, pages: c.Pages,
		timeouts: c.Timeouts.orDefault(),
	}
	if g.pages == nil {
		g.pages = page.Builtin()
	}
	shared := newShared(c.Routes)
	var routes []*route
	for _, given := range c.Routes {
		r, err := newRoute(given, shared)
		if err != nil {
			return nil, err
		}
		if r.Upstream != nil {
			r.proxy = g.newReverseProxy(r)
		}
		routes = append(routes, r)
	}
	process, err := newRoute(&Route{Name: "sallyport"}, shared)
	if err != nil {
		return nil, err
	}
	var own []boundEndpoint
	for _, e := range c.Endpoints {
		own = append(own, boundEndpoint{e, process})
	}
	g.router = newRouter(routes, own)
	return g, nil
}

// A Decision is what decide found out about a request. It is complete before anything is forwarded.
type Decision struct {
	auth.Request
	Route    *route // nil: no route has the request's host and path
	Rule     *rule
	Endpoint string         // the name of the gate's own endpoint that the request is for
	Identity *auth.Identity // nil: the request has no identity, and may pass without
	User     *auth.Identity // for whom an endpoint acts; for the log
	Grant    *authz.Grant   // whom the identity stands for; nil where no policy was asked
	Header   http.Header    // for the response, whatever it becomes
	Answer   *auth.Answer   // if set, the response

	endpoint  *boundEndpoint
	notes     *notes         // for an explanation; nil: none is made
	as        *auth.Identity // for an explanation: decides the request as this identity's, whatever it brings
	target    target
	host      string       // host[:port] by which the route was found
	prefix    string       // that a trusted proxy in front has taken off the path
	preflight bool         // a CORS preflight that passes without a credential
	open      bool         // the rule has auth: off: Authorization is the upstream's to judge
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
