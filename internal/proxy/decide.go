package proxy

import (
	"errors"
	"net/http"
	"time"

	"sallyport/internal/auth"
)

// A step is one part of a decision. An error or an answer without an identity ends the decision.
type step struct {
	name string // of its span in traces; empty: it has none
	run  func(*Gate, *Decision) error
}

var (
	matchStep         = step{"match", (*Gate).match}
	preflightStep     = step{"", (*Gate).answerPreflight}
	checkBodyStep     = step{"", (*Gate).checkBodyLength}
	precheckStep      = step{"precheck", (*Gate).precheck}
	authenticateStep  = step{"authenticate", (*Gate).authenticate}
	serveEndpointStep = step{"endpoint", (*Gate).serveEndpoint}
	exchangeStep      = step{"exchange", (*Gate).exchange}
	addDownstreamStep = step{"", (*Gate).addDownstream}
	authorizeStep     = step{"authorize", (*Gate).authorize}
)

// The steps of a decision after the route is matched.
var (
	upstreamSteps = []step{preflightStep, checkBodyStep, precheckStep, authenticateStep, exchangeStep, addDownstreamStep, authorizeStep}
	endpointSteps = []step{serveEndpointStep, exchangeStep, addDownstreamStep, authorizeStep}
	assumedSteps  = []step{preflightStep, precheckStep, {"", (*Gate).assume}, addDownstreamStep, authorizeStep} // of Trace with an identity
	openSteps     = []step{preflightStep, checkBodyStep, {"", (*Gate).checkOpen}}                               // without authentication
)

// decide decides a request and doesn't forward it. The Decision is never nil: a refusal needs its route.
func (g *Gate) decide(r *http.Request) (*Decision, error) {
	d := &Decision{start: time.Now()}
	err := g.decideInto(r, d)
	if err != nil || d.resume == nil {
		return d, err
	}
	next := &Decision{isResumed: true, start: d.start, span: d.span}
	err = g.decideInto(d.resume, next)
	next.Header = auth.MergeHeader(d.Header.Clone(), next.Header)
	return next, err
}

// decideInto is decide for a Decision that the caller made.
func (g *Gate) decideInto(r *http.Request, d *Decision) error {
	err := g.entrance.enter(r, d)
	if err == nil {
		g.startSpan(d)
		d.reached = &matchStep
		err = g.run(matchStep, d)
	}
	if err != nil {
		return err
	}
	steps := d.steps()
	for n := range steps {
		d.reached = &steps[n]
		if err := g.run(steps[n], d); err != nil || d.answered() {
			d.Header = auth.MergeHeader(d.Header, auth.HeaderOf(err))
			return err
		}
	}
	return nil
}

// match sets the route, the rule and the endpoint.
func (g *Gate) match(d *Decision) error {
	m, readings, err := g.router.match(d.Hostname, d.Method, &d.target)
	d.Route, d.Rule, d.Readings, d.endpoint = m.route, m.rule, readings, m.endpoint
	if err == nil && m.route.byMethod {
		err = checkMethodParam(d.URL.RawQuery)
	}
	if err != nil {
		d.explainMatch()
		return err
	}
	d.setInteraction()
	if d.AskedAt = d.Origin; d.Route.Origin != "" {
		d.Origin = d.Route.Origin
	}
	if d.endpoint == nil {
		d.endpoint = d.Route.matchingEndpoint(&d.Request)
	}
	err = d.matchMCP()
	d.explainMatch()
	if err != nil {
		return err
	}
	if d.isResumed && d.endpoint != nil {
		return auth.InvalidRequest("form_for_endpoint", errors.New("the request that is resumed is for an endpoint of the gate"))
	}
	return d.BodyErr()
}

// steps returns the steps for the request.
func (d *Decision) steps() []step {
	switch {
	case d.endpoint != nil:
		return endpointSteps
	case d.needsNoAuthentication():
		return openSteps
	case d.assumed != nil:
		return assumedSteps
	}
	return upstreamSteps
}

// answered reports whether there is nothing to authorize: the gate answers without an identity, or decides another request instead.
func (d *Decision) answered() bool { return d.Answer != nil && d.Identity == nil || d.resume != nil }

// precheck refuses a request that needs no identity to be refused. It runs before the flows, so that such a request causes no calls to the
// issuer.
func (g *Gate) precheck(d *Decision) error {
	return d.Route.Policy.Precheck(&d.Request, d.Rule.requirements(), d.trace.observer())
}

// authenticate runs the route's chain.
func (g *Gate) authenticate(d *Decision) error {
	res, err := d.authenticate(d.Route.Chain.Authenticate)
	return d.setResult(res, err)
}

// assume takes the place of authenticate for a Trace with an identity.
func (g *Gate) assume(d *Decision) error {
	d.Identity = d.assumed
	d.explainAuthentication(nil)
	return nil
}

// serveEndpoint lets the endpoint serve the request. A result without an answer is treated as one of the chain, under the rule that covers
// the endpoint's path.
func (g *Gate) serveEndpoint(d *Decision) error {
	rule := d.Route.rules.find(d.Hostname, d.Path, d.Method, "")
	d.Endpoint = d.endpoint.Name
	res, err := d.authenticate(d.endpoint.serveWith(userAuthorizer{g, d, d.endpoint.Users, rule.forUsers()}))
	if err = d.setResult(res, err); err == nil && !d.answered() {
		d.Rule = rule
	}
	return err
}

// setResult copies the result of authenticate to the Decision. It returns an error if the request would be forwarded with a body that could
// not be read completely.
func (d *Decision) setResult(res *auth.Result, err error) error {
	if err == nil && res.Answer == nil {
		err = d.BodyErr()
	}
	if res != nil {
		d.Identity, d.Header, d.Answer, d.credential, d.upstreamQuery = res.Identity, res.Header, res.Answer, res.Used, res.Query
		d.session, d.resume, d.watcher = res.Session, res.Resume, res.Watcher
	}
	d.authenticated = d.Identity
	d.explainAuthentication(err)
	return err
}

// exchange exchanges the access token, if the route is configured to.
func (g *Gate) exchange(d *Decision) error {
	if d.Route.Exchange == nil {
		return nil
	}
	res, err := d.Route.Exchange(&d.Request, &auth.Result{Identity: d.Identity, Used: d.credential})
	if err != nil {
		d.explainExchange(err)
		return err
	}
	d.Identity, d.credential = res.Identity, res.Used
	return nil
}

// exchanged returns a result with the exchanged access token.
func (d *Decision) exchanged(res *auth.Result) (*auth.Result, error) {
	if d.Route.Exchange == nil {
		return res, nil
	}
	return d.Route.Exchange(&d.Request, res)
}

// view returns the view for the decision's identity.
func (d *Decision) view() *view {
	if d.Identity == nil {
		return d.Route.view
	}
	return d.Route.viewOf(d.Identity.Issuer)
}
