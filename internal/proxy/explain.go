package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// A Trace is a record of the decision of one request. The methods that add steps do nothing for a nil *Trace.
type Trace struct {
	Steps  []TraceStep
	Status int    // of a refusal or of the gate's own answer; 0: the request is forwarded
	Reason string // as in the log
	Detail string
}

// A TraceStep is the outcome of one step of a decision.
type TraceStep struct {
	Name   string // route, rule, flow, or the name of a check
	Detail string
	Failed bool // the request is refused because of this step, unless the rule only reports
}

// Passes reports whether the request is forwarded.
func (t *Trace) Passes() bool { return t.Status == 0 }

// Result returns the result of the decision as a sentence.
func (t *Trace) Result() string {
	if t.Passes() {
		return "passes: it is forwarded"
	}
	result := fmt.Sprintf("refused: %d %s", t.Status, t.Reason)
	if t.Detail != "" && !strings.HasSuffix(t.Detail, t.Reason) {
		result += ": " + strings.TrimPrefix(t.Detail, t.Reason+": ")
	}
	return result
}

// Refuses reports whether a step is the reason for a refusal. A failed step of a request that passes is of a rule that only reports.
func (t *Trace) Refuses(s TraceStep) bool { return s.Failed && !t.Passes() }

// Trace decides a request without forwarding it, and returns a record of the decision. If identity isn't nil, no flow runs: the request is
// decided as one of the identity.
func (g *Gate) Trace(r *http.Request, identity *auth.Identity) *Trace {
	t := &Trace{}
	d := &Decision{trace: t, assumed: identity}
	err := g.decideInto(r, d)
	switch {
	case err != nil:
		e := auth.AsError(err)
		t.Status, t.Reason, t.Detail = e.Status, e.Reason, err.Error()
	case d.Answer != nil:
		t.Status, t.Reason = d.Answer.Status, cmp.Or(d.Answer.Reason, "answered by the gate")
		if to := d.Answer.Header.Get("Location"); to != "" {
			bare, _, _ := strings.Cut(to, "?")
			t.Reason, t.Detail = "a login begins", "at "+bare
		}
	}
	return t
}

func (t *Trace) add(name, format string, args ...any) {
	if t != nil {
		t.Steps = append(t.Steps, TraceStep{Name: name, Detail: fmt.Sprintf(format, args...)})
	}
}

// A matched has what match found for a request.
type matched struct {
	route, place string // the name of the route and its file:line
	found        bool   // a route has the request's host and path
	rule         string // file:line; empty: no rule matches
	auth         authz.Mode
}

func matchedBy(d *Decision) (m matched) {
	if d.Route == nil {
		return m
	}
	m.route, m.place, m.found = d.Route.Name, d.Route.Place, true
	if m.rule = d.Rule.place(); m.rule != "" {
		m.auth = d.Rule.Auth
	}
	return m
}

// addMatch adds the route and the rule.
func (t *Trace) addMatch(m matched) {
	switch {
	case t == nil:
	case !m.found:
		t.add("route", "no route has this host and path")
	default:
		t.add("route", "%s", strings.TrimSpace(m.route+" "+m.place))
		if m.rule == "" {
			t.add("rule", "no rule matches: a credential is required, and nothing more")
			return
		}
		t.add("rule", "%s, auth: %s", m.rule, m.auth)
	}
}

// An authenticated has the outcome of the flows.
type authenticated struct {
	identified                      bool // the request has an identity, with these properties
	flow, subject, issuer, clientID string
	assumed                         bool   // the identity was given to Trace
	answered                        bool   // by the gate, such as with a redirect to log in
	reason                          string // of the refusal; empty: the flows don't refuse the request
	refusal                         string // its text
}

// authenticatedBy returns the outcome of the flows for an identity, which may be nil. err is the error with which they refuse the request,
// or nil.
func (d *Decision) authenticatedBy(i *auth.Identity, err error) (a authenticated) {
	a.assumed, a.answered = d.assumed != nil, d.Answer != nil
	if i != nil {
		a.identified, a.flow, a.subject, a.issuer, a.clientID = true, i.Flow, i.Subject, i.Issuer, i.ClientID
		return a
	}
	if err != nil {
		a.reason, a.refusal = auth.AsError(err).Reason, refusalText(err)
	}
	return a
}

// addAuthentication adds the outcome of the flows.
func (t *Trace) addAuthentication(a authenticated) {
	switch {
	case t == nil:
	case a.assumed && a.identified:
		t.add("flow", "not asked: the claims are given, sub %q", a.subject)
	case a.identified:
		t.add("flow", "%s: sub %q of %s, client %q", a.flow, a.subject, a.issuer, a.clientID)
	case a.reason == errNoCredential.Reason, a.reason == "" && a.answered:
		t.add("flow", "the request has no credential")
	case a.reason != "":
		t.addFailed("flow", a.refusal)
	default:
		t.add("flow", "the request has no credential, and needs none")
	}
}

// addFailed adds a step that refuses the request.
func (t *Trace) addFailed(name, refusal string) {
	if t != nil {
		t.Steps = append(t.Steps, TraceStep{name, refusal, true})
	}
}

// refusalText returns the text of a refusal. It begins with the name of the flow that refused.
func refusalText(err error) string {
	if flow := auth.AsError(err).Flow; flow != "" {
		return flow + ": " + err.Error()
	}
	return err.Error()
}

// observer returns an observer that adds the policy's checks, or nil for a nil Trace.
func (t *Trace) observer() *authz.Observer {
	if t == nil {
		return nil
	}
	return &authz.Observer{Check: t.addCheck}
}

func (t *Trace) addCheck(name, detail string, err error) {
	t.Steps = append(t.Steps, TraceStep{name, detail, err != nil})
}

// explainMatch, explainAuthentication and explainExchange record a step of the decision. They do nothing without a trace, which costs a
// request nothing.
func (d *Decision) explainMatch() {
	if d.trace != nil {
		d.trace.addMatch(matchedBy(d))
	}
}

func (d *Decision) explainAuthentication(err error) {
	if d.trace != nil {
		d.trace.addAuthentication(d.authenticatedBy(d.Identity, err))
	}
}

func (d *Decision) explainExchange(err error) {
	if d.trace != nil {
		d.trace.addFailed("exchange", refusalText(err))
	}
}
