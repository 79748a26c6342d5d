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

// addMatch adds the route and the rule.
func (t *Trace) addMatch(d *Decision) {
	switch {
	case t == nil:
	case d.Route == nil:
		t.add("route", "no route has this host and path")
	default:
		t.add("route", "%s", strings.TrimSpace(d.Route.Name+" "+d.Route.Place))
		if d.Rule == nil || d.Rule.Place == "" {
			t.add("rule", "no rule matches: a credential is required, and nothing more")
			return
		}
		t.add("rule", "%s, auth: %s", d.Rule.Place, d.Rule.Auth)
	}
}

// addAuthentication adds the outcome of the flows. err is the error with which they refuse the request, or nil.
func (t *Trace) addAuthentication(d *Decision, err error) {
	switch i := d.Identity; {
	case t == nil:
	case d.assumed != nil && i != nil:
		t.add("flow", "not asked: the claims are given, sub %q", i.Subject)
	case i != nil:
		t.add("flow", "%s: sub %q of %s, client %q", i.Flow, i.Subject, i.Issuer, i.ClientID)
	case err != nil && auth.AsError(err).Reason == "no_credential", err == nil && d.Answer != nil:
		t.add("flow", "the request has no credential")
	case err != nil:
		t.addFailed("flow", err)
	default:
		t.add("flow", "the request has no credential, and needs none")
	}
}

// addFailed adds a step that refuses the request. Its detail begins with the name of the flow that refused.
func (t *Trace) addFailed(name string, err error) {
	if t == nil {
		return
	}
	detail := err.Error()
	if flow := auth.AsError(err).Flow; flow != "" {
		detail = flow + ": " + detail
	}
	t.Steps = append(t.Steps, TraceStep{name, detail, true})
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
