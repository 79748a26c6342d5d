package proxy

import (
	"fmt"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// authorize checks the identity against the policy and the rule. If the login isn't sufficient for the rule, the answer is a redirect to
// log in again.
func (g *Gate) authorize(d *Decision) error {
	grant, err := g.allow(d, d.Identity, d.Rule)
	d.Grant = grant
	if err == nil {
		return nil
	}
	answer, err := d.stepUp(err)
	if answer != nil {
		d.Answer = answer
	}
	return err
}

// allow checks an identity against the policy of its issuer and a rule of the route. If the token acts on behalf of a user, the user must
// pass as well. The returned grant is the token's.
func (g *Gate) allow(d *Decision, i *auth.Identity, rule *rule) (*authz.Grant, error) {
	grant, err := d.judge(i, rule, d.trace, func(err error) { g.logReportOnly(d, rule, err) })
	if err != nil {
		d.judged = &judged{i, rule}
	}
	return grant, err
}

// A judged is an identity, which may be nil, and the rule by which it was refused.
type judged struct {
	identity *auth.Identity
	rule     *rule
}

// judge is allow without a log. It changes nothing, so the same decision can be judged once more, with a trace that records the checks. A
// nil trace records nothing. report receives the refusal of a rule that only reports.
func (d *Decision) judge(i *auth.Identity, rule *rule, t *Trace, report func(error)) (*authz.Grant, error) {
	o := t.observer()
	if rule.ReportOnly {
		if o == nil {
			o = &authz.Observer{}
		}
		o.Report = func(err error) {
			t.add("report_only", "the rule would refuse this request, and only reports")
			report(err)
		}
	}
	grant, err := d.Route.policy(i).Authorize(&d.Request, i, rule.requirements(), o)
	if err != nil || i == nil || i.OnBehalfOf == nil {
		return grant, err
	}
	t.add("user", "the token acts for a user of %s: the user must pass as well", i.OnBehalfOf.Issuer)
	policy, err := d.Route.policyOfUser(i.OnBehalfOf.Issuer)
	if err == nil {
		_, err = policy.Authorize(&d.Request, i.OnBehalfOf.Identity, rule.requirements(), o)
	}
	return grant, err
}

// policy returns the policy for an identity, which is that of its issuer.
func (r *Route) policy(i *auth.Identity) *authz.Policy {
	if i != nil {
		if p := r.Policies[i.Issuer]; p != nil {
			return p
		}
	}
	return r.Policy
}

// policyOfUser returns the policy for the users of an issuer. It returns an error for an issuer that the route doesn't have: one of its
// users may have the same name as another issuer's.
func (r *Route) policyOfUser(issuer string) (*authz.Policy, error) {
	if p := r.Policies[issuer]; p != nil {
		return p, nil
	}
	return nil, auth.InvalidToken("token_user_issuer",
		fmt.Errorf("the token acts for a user of %s, which isn't an issuer of this route", issuer))
}
