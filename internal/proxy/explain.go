package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// An Explanation says why a request is let through or refused: the decision itself, step by step.
type Explanation struct {
	Steps  []Step
	Status int    // of a refusal or an answer of the gate's own; 0: it is forwarded
	Reason string // the code that the log has
	Detail string
}

// A Step is one thing that was looked at.
type Step struct {
	Name   string // route, rule, flow, or the name of a check
	Detail string
	Failed bool // it is why the request is refused, unless the rule only reports
}

// Passes reports whether the request is forwarded.
func (e *Explanation) Passes() bool { return e.Status == 0 }

// Explain decides a request and says how. With as it is decided as that identity's, whatever it brings. Nothing is forwarded.
func (g *Gate) Explain(r *http.Request, as *auth.Identity) *Explanation {
	d := &Decision{notes: &notes{}, as: as}
	err := g.judge(r, d)
	x := &Explanation{Steps: d.notes.steps}
	switch {
	case err != nil:
		e := auth.AsError(err)
		x.Status, x.Reason, x.Detail = e.Status, e.Reason, err.Error()
	case d.Answer != nil:
		x.Status, x.Reason = d.Answer.Status, cmp.Or(d.Answer.Reason, "answered by the gate")
		if to := d.Answer.Header.Get("Location"); to != "" {
			bare, _, _ := strings.Cut(to, "?")
			x.Reason, x.Detail = "a login begins", "at "+bare
		}
	}
	return x
}

// notes collect the steps of one decision. The methods of a nil *notes do nothing.
type notes struct{ steps []Step }

func (n *notes) add(name, format string, args ...any) {
	if n != nil {
		n.steps = append(n.steps, Step{Name: name, Detail: fmt.Sprintf(format, args...)})
	}
}

func (n *notes) match(d *Decision) {
	switch {
	case n == nil:
	case d.Route == nil:
		n.add("route", "none has this host and path")
	default:
		n.add("route", "%s", strings.TrimSpace(d.Route.Name+" "+d.Route.Place))
		if d.Rule == nil || d.Rule.Place == "" {
			n.add("rule", "none fits: a credential is required, and nothing more")
			return
		}
		n.add("rule", "%s, auth: %s", d.Rule.Place, d.Rule.Auth)
	}
}

func (n *notes) proof(d *Decision, err error) {
	switch i := d.Identity; {
	case n == nil:
	case d.as != nil && i != nil:
		n.add("flow", "not asked: the claims are given, sub %q", i.Subject)
	case i != nil:
		n.add("flow", "%s: sub %q of %s, client %q", i.Flow, i.Subject, i.Issuer, i.ClientID)
	case err != nil && auth.AsError(err).Reason == "no_credential", err == nil && d.Answer != nil:
		n.add("flow", "no credential was found")
	case err != nil:
		n.failed("flow", err)
	default:
		n.add("flow", "no credential was found, and none is needed")
	}
}

// failed adds a step that refuses the request. It begins with the name of the flow that refused.
func (n *notes) failed(name string, err error) {
	if n == nil {
		return
	}
	detail := err.Error()
	if flow := auth.AsError(err).Flow; flow != "" {
		detail = flow + ": " + detail
	}
	n.steps = append(n.steps, Step{name, detail, true})
}

// observer tells the notes of the policy's checks; nil if nobody wants to know.
func (n *notes) observer() *authz.Observer {
	if n == nil {
		return nil
	}
	return &authz.Observer{Check: n.check}
}

func (n *notes) check(name, seen string, err error) {
	n.steps = append(n.steps, Step{name, seen, err != nil})
}
