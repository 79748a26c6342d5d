package proxy

import (
	"fmt"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// authorize judges the identity. A person whose login isn't enough for the rule is sent to log in anew.
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

// allow asks the policy of an identity's issuer about it, under one of the route's rules, and then about the user for whom a
// token acts: no token opens what the user may not do. The grant is the token's.
func (g *Gate) allow(d *Decision, i *auth.Identity, rule *rule) (*authz.Grant, error) {
	o := d.notes.observer()
	if rule.ReportOnly {
		if o == nil {
			o = &authz.Observer{}
		}
		o.Report = func(err error) {
			d.notes.add("report_only", "the rule would refuse this request, and only reports")
			g.reportOnly(d, rule, err)
		}
	}
	grant, err := d.Route.policy(i).Authorize(&d.Request, i, rule.requirements(), o)
	if err != nil || i == nil || i.OnBehalfOf == nil {
		return grant, err
	}
	d.notes.add("user", "the token acts for a user of %s, who is judged as well", i.OnBehalfOf.Issuer)
	policy, err := d.Route.policyOfUser(i.OnBehalfOf.Issuer)
	if err == nil {
		_, err = policy.Authorize(&d.Request, i.OnBehalfOf.Identity, rule.requirements(), o)
	}
	return grant, err
}

// policy is what an identity is judged by: its issuer's.
func (r *Route) policy(i *auth.Identity) *authz.Policy {
	if i != nil {
		if p := r.Policies[i.Issuer]; p != nil {
			return p
		}
	}
	return r.Policy
}

// policyOfUser returns the policy by which the users of an issuer are judged. A user of an issuer at which nobody logs in for
// this route is refused: the same name may be another person's here.
func (r *Route) policyOfUser(issuer string) (*authz.Policy, error) {
	if p := r.Policies[issuer]; p != nil {
		return p, nil
	}
	return nil, auth.InvalidToken("token_user_issuer", fmt.Errorf("the token acts for a user of %s, which is no issuer of this route", issuer))
}
