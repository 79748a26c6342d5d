package proxy

import (
	"net/http"

	"sallyport/internal/auth"
)

// A step is one part of a decision. It ends the decision by an error, or by an answer that needs no authorization.
type step func(*Gate, *Decision) error

// What is judged of a request once its route is known, by where it leads.
var (
	toUpstream = []step{(*Gate).precheck, (*Gate).prove, (*Gate).exchange, (*Gate).addDownstream, (*Gate).authorize}
	toEndpoint = []step{(*Gate).serve, (*Gate).exchange, (*Gate).addDownstream, (*Gate).authorize}
	explained  = []step{(*Gate).precheck, (*Gate).assume, (*Gate).addDownstream, (*Gate).authorize}
	unjudged   = []step{(*Gate).checkUnjudged}
)

// decide judges a request and forwards nothing. The Decision is never nil, so that a refusal knows its route.
func (g *Gate) decide(r *http.Request) (*Decision, error) {
	d := &Decision{}
	return d, g.judge(r, d)
}

// judge completes a decision.
func (g *Gate) judge(r *http.Request, d *Decision) error {
	err := g.entrance.enter(r, d)
	if err == nil {
		err = g.match(d)
	}
	if err != nil {
		return err
	}
	for _, step := range d.steps() {
		if err := step(g, d); err != nil || d.answered() {
			d.Header = auth.MergeHeader(d.Header, auth.HeaderOf(err))
			return err
		}
	}
	return nil
}

// match finds the route, the rule and the endpoint.
func (g *Gate) match(d *Decision) error {
	m, readings, err := g.router.match(d.Hostname, d.Method, &d.target)
	d.Route, d.Rule, d.Readings, d.endpoint = m.route, m.rule, readings, m.endpoint
	d.notes.match(d)
	if err == nil && m.route.byMethod {
		err = checkMethodParam(d.URL.RawQuery)
	}
	if err != nil {
		return err
	}
	if d.AskedAt = d.Origin; d.Route.Origin != "" {
		d.Origin = d.Route.Origin
	}
	if d.endpoint == nil {
		d.endpoint = d.Route.trigger(&d.Request)
	}
	return d.BodyErr()
}

// steps returns the steps for where the request leads.
func (d *Decision) steps() []step {
	switch {
	case d.endpoint != nil:
		return toEndpoint
	case d.passesUnjudged():
		return unjudged
	case d.as != nil:
		return explained
	}
	return toUpstream
}

// answered reports whether the gate answers, and shows nothing of an identity, so that no policy is asked.
func (d *Decision) answered() bool { return d.Answer != nil && d.Identity == nil }

// precheck refuses what the request alone decides. It comes first, so that no credential costs its issuer a call.
func (g *Gate) precheck(d *Decision) error {
	return d.Route.Policy.Precheck(&d.Request, d.Rule.requirements(), d.notes.observer())
}

// prove finds out whose request it is.
func (g *Gate) prove(d *Decision) error {
	res, err := d.authenticate(d.Route.Chain.Authenticate)
	return d.take(res, err)
}

// assume takes the identity of an explanation as proved.
func (g *Gate) assume(d *Decision) error {
	d.Identity = d.as
	d.notes.proof(d, nil)
	return nil
}

// serve lets an endpoint answer. A result without an answer goes on as if the chain had found it, under the rule that covers the
// endpoint's path.
func (g *Gate) serve(d *Decision) error {
	rule := d.Route.rules.find(d.Hostname, d.Path, d.Method)
	d.Endpoint = d.endpoint.Name
	res, err := d.authenticate(d.endpoint.bind(visitor{g, d, d.endpoint.Users, rule}))
	if err = d.take(res, err); err == nil && !d.answered() {
		d.Rule = rule
	}
	return err
}

// take makes the result of a proof the decision's. Nothing is forwarded whose body is partly gone.
func (d *Decision) take(res *auth.Result, err error) error {
	if err == nil && res.Answer == nil {
		err = d.BodyErr()
	}
	if res != nil {
		d.Identity, d.Header, d.Answer, d.used, d.query = res.Identity, res.Header, res.Answer, res.Used, res.Query
	}
	d.notes.proof(d, err)
	return err
}

// exchange exchanges the access token, where the route asks for it.
func (g *Gate) exchange(d *Decision) error {
	res, err := d.exchanged(&auth.Result{Identity: d.Identity, Used: d.used})
	if err != nil {
		d.notes.failed("exchange", err)
		return err
	}
	d.Identity, d.used = res.Identity, res.Used
	return nil
}

// exchanged returns a result with the exchanged access token.
func (d *Decision) exchanged(before *auth.Result) (*auth.Result, error) {
	if d.Route.Exchange == nil {
		return before, nil
	}
	return d.Route.Exchange(&d.Request, before)
}

// view returns what is seen of the decision's identity.
func (d *Decision) view() *view {
	if d.Identity == nil {
		return d.Route.view
	}
	return d.Route.viewOf(d.Identity.Issuer)
}
