// Package proxy handles requests: it finds the route of a request, runs the route's chain and policy, and forwards the request or refuses
// it.
package proxy

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/authz"
	"sallyport/internal/mcp"
	"sallyport/internal/page"
	"sallyport/internal/telemetry"
)

// A Route is the configuration of one route. New doesn't change it.
type Route struct {
	Name     string
	Place    string // file:line, for traces
	Hosts    []string
	Paths    []string
	Origin   string // public_url; empty: from the request
	Chain    auth.Chain
	Exchange auth.Step                // of the access token, before the policy is checked; nil: no exchange
	Policy   *authz.Policy            // for requests without an identity, and for issuers that aren't in Policies
	Policies map[string]*authz.Policy // by the issuer of an identity
	Rules    []*Rule
	View                      // for requests without an identity, and for issuers that aren't in Views
	Views    map[string]*View // by the issuer of an identity
	Realm    string           // of challenges: the issuer's host
	MCP      *mcp.Route       // the route as an MCP server; nil: it is none
	Resource string           // further parameters of challenges, beginning with a comma (RFC 9728 §5.1)
	DPoP     string           // the parameters of the challenge DPoP (RFC 9449 §7.1); empty: the flows don't read that scheme
	OnlyDPoP bool             // every challenge offers DPoP, not only those for clients that use it
	Basic    bool             // challenges offer Basic, too (RFC 7617 §2)
	LogsIn   bool             // users can log in on this route
	Schemes  []string         // the schemes of Authorization that the flows read, in lower case
	Upstream *Upstream        // nil: requests can't be forwarded
	Own      OwnPages         // serves the requests that may pass, in place of an upstream; nil: nothing does
	Pages    *page.Set        // nil: the gate's
	Keys     KeySource        // of upstream_assertion_header; nil if no view has that
	Metrics  *telemetry.Requests

	Responses ResponseSettings

	SkipPreflight    bool     // a CORS preflight passes without authentication
	CredentialParams []string // parameters that may have a credential; they are removed from a preflight that passes

	Allow        []string // keys of ambiguities that a request may have
	StripPath    bool     // the route's path is removed before the request is forwarded
	PreserveHost bool     // the upstream receives the host by which the route was chosen
	BodyLimit    int64    // of requests for the upstream, in bytes; 0: no limit

	CredentialHeaders []string // headers that may have a credential, besides Authorization

	CookieNames    []string // of the gate's cookies, which the upstream doesn't receive
	CookiePrefixes []string
}

// A View has the settings of one issuer for the headers from an identity and for refusals.
type View struct {
	Headers     HeaderSettings
	Errors      ErrorSettings
	ClientIndex func(*auth.Request) int // the index of the client_id that a request chooses

	CertificateHeader string // the header in which trusted proxies send the client's certificate; empty: none
}

// A Rule has the requirements for some of a route's requests.
type Rule struct {
	Hosts   []string
	Paths   []string
	Methods []string
	Place   string   // file:line, for the log
	Tools   []string // of an MCP server; empty: every request
	Scope   string   // what a token needs for the rule, for the challenges of MCP servers
	Headers RuleHeaderSettings
	*authz.Rule

	// ForUsers replaces Rule for users at the gate's own endpoints, whose logins don't have the scopes of an MCP server's tokens. Nil: Rule.
	ForUsers *authz.Rule
}

// A Gate is the HTTP handler of the listeners. It is immutable: a reload makes a new one.
type Gate struct {
	entrance entrance
	router   *router
	log      *slog.Logger
	metrics  *telemetry.Requests
	tracer   *telemetry.Tracer
	audit    *audit.Log
	refusals *Refusals
	trusts   bool // the traceparent of trusted proxies
	access   bool
	pages    *page.Set
	timeouts Timeouts

	asked asked
}

// A Config configures a Gate.
type Config struct {
	Routes         []*Route
	Endpoints      []auth.Endpoint // of the process, on every host
	TrustedProxies []netip.Prefix
	Log            *slog.Logger        // required
	Metrics        *telemetry.Requests // of requests without a route
	Tracer         *telemetry.Tracer   // nil: no traces
	TrustTraces    bool                // trusted proxies decide which traces requests belong to
	Audit          *audit.Log          // nil: there is no audit stream
	Refusals       *Refusals           // takes the requests that are refused; nil: none are kept
	AccessLog      bool                // log every request; otherwise only refusals and errors
	Pages          *page.Set           // HTML pages; nil: the built-in ones
	Timeouts       Timeouts
}

// New returns a gate with the configuration.
func New(c Config) (*Gate, error) {
	g := &Gate{
		entrance: entrance{trusted: c.TrustedProxies, log: c.Log}, log: c.Log, access: c.AccessLog, pages: c.Pages,
		metrics: c.Metrics, tracer: c.Tracer, audit: c.Audit, refusals: c.Refusals,
		trusts:   c.TrustTraces,
		timeouts: c.Timeouts.orDefault(),
	}
	if g.pages == nil {
		g.pages = page.Builtin()
	}
	common := newCommon(c.Routes)
	g.asked = newAsked(&c, common)
	var routes []*route
	for _, given := range c.Routes {
		r, err := newRoute(given, common)
		if err != nil {
			return nil, err
		}
		if r.Upstream != nil {
			r.proxy = g.newReverseProxy(r)
		}
		routes = append(routes, r)
	}
	process, err := newRoute(&Route{Name: "sallyport", Metrics: c.Metrics}, common)
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

// A Decision is the state of one request: decide fills it in, and the rest of the handler uses it to forward the request or to answer it.
type Decision struct {
	auth.Request
	Route    *route // nil: no route has the request's host and path
	Rule     *rule
	Endpoint string         // the name of the gate's endpoint that serves the request; empty: the request is for the upstream
	Identity *auth.Identity // nil: the request has no identity
	User     *auth.Identity // the user that an endpoint acts for, for the log
	Grant    *authz.Grant   // the consumer and groups of the identity; nil if no policy was checked
	Header   http.Header    // headers of the response, also of a refusal
	Answer   *auth.Answer   // nil: the request is forwarded

	start   time.Time
	span    *telemetry.Span // of the request; nil without traces
	sending *telemetry.Span // of the request to the upstream; nil before
	trace   *Trace          // nil: not recorded
	assumed *auth.Identity  // Trace decides the request as one of this identity; nil: the flows run

	// What explains a refusal afterwards, so that it needn't be recorded for every request.
	reached       *step          // the last step that ran; nil: none did
	authenticated *auth.Identity // of the flows, before an exchange; nil: none
	judged        *judged        // what the policy refused; nil: it refused nothing

	script        mcp.Script     // the page that calls an MCP server; empty: none does
	endpoint      *boundEndpoint // nil: the request is for the upstream
	target        target
	host          string        // host[:port] by which the route was chosen
	prefix        string        // the path prefix that a trusted proxy removed
	resume        *http.Request // the request that is decided in place of this one; nil: none
	isResumed     bool          // this is such a request
	preflight     bool          // a CORS preflight that passes without a credential
	authOff       bool          // the rule has auth: off, so Authorization is for the upstream
	watcher       auth.Watcher  // of the login; nil: it isn't watched
	stream        *stream       // nil: the request isn't forwarded, or the login isn't watched
	credential    []auth.Param  // the parameters of the request that had the credential
	session       *auth.Session
	assertion     string        // for upstream_assertion_header; empty: none
	affinity      string        // the value of the affinity cookie; empty: the upstream has none
	upstreamQuery *string       // replaces the query for the upstream, unless nil
	forwarded     bool          // forward was called
	sent          time.Time     // when the request went to the upstream; zero: it did not
	answeredIn    time.Duration // from then to the header of the upstream's response, or its failure
	upstreamErr   *auth.Error   // the refusal if the upstream failed
	interaction   string        // the value of X-Fapi-Interaction-Id; empty: none is sent
	idHeader      [1]string     // the value of X-Request-Id, here to save an allocation
}

func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.serve(&recorder{ResponseWriter: w}, r, nil, (*Gate).stream)
}

// serve decides a request, and writes the answer unless the request may pass. Then pass answers it; its error is for the log. With check,
// the answer is written only if check returns nil; otherwise its error refuses the request.
func (g *Gate) serve(rec *recorder, r *http.Request, check func(*Decision) error, pass func(*Gate, *recorder, *Decision) error) {
	rec.body, r = wrapBody(rec.ResponseWriter, r, g.timeouts.Body)
	defer rec.body.finish()
	d, err := g.decide(r)
	defer g.finish(rec, d, &err)
	if check != nil {
		if refused := check(d); refused != nil {
			err = refused
		}
	}
	switch {
	case err != nil:
		g.refuse(rec, d, err)
	case d.Answer != nil:
		g.answer(rec, d)
	default:
		err = pass(g, rec, d)
	}
}

// stream forwards a request for as long as its login lasts.
func (g *Gate) stream(rec *recorder, d *Decision) error {
	s := startStream(rec, d)
	defer func() {
		if s.finish() {
			d.upstreamErr = errSessionEnded
			panic(http.ErrAbortHandler) // net/http closes the connection, or resets the stream
		}
	}()
	return g.forward(rec, d)
}
