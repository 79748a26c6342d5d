// Package authz decides, from what an identity has proved, whether a request may pass, and whom it stands for: a grant or a
// refusal.
package authz

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A Policy is what a route requires, compiled at load.
type Policy struct {
	paths     *paths  // to the claims of pairs, its rules' ones too
	byDefault bool    // audience_required isn't written
	audience  pair    // of tokens that the caller brought: names one of our clients unless configured otherwise
	checks    []check // pairs, forbidden claims, domains
	consumers *mapping
	acl       *acl
	issued    func(*auth.Request) string // the built-in authorization server's name on this route; nil: there is none
}

// A Rule is what a rule requires on top of its route.
type Rule struct {
	Auth        Mode
	OnLogin     LoginMode
	ReportOnly  bool
	LoginIssuer string // at which a login begins; empty: the route's choice
	Own         bool   // it requires something itself, so that nobody passes it unknown

	StepUp *auth.StepUp // what a login must be for this rule; nil: any

	checks []check // the rule's pairs, step-up
	allow  *expression
}

// Mode says whether a rule's requests need a credential.
type Mode string

// The modes of a rule.
const (
	Required Mode = "required"
	Optional Mode = "optional"
	Off      Mode = "off"
)

// LoginMode says what happens to a request without a credential.
type LoginMode string

// The ways to answer who brings nothing.
const (
	LoginIfBrowser LoginMode = ""      // a person's browser is sent to log in, anybody else gets 401
	LoginAlways    LoginMode = "login" // every request for a page is
	LoginNever     LoginMode = "401"
)

// A Grant is what a policy has found out about who may pass.
type Grant struct {
	Consumer       *Consumer // nil: none is known
	Anonymous      bool      // Consumer stands for nobody
	Credential     string    // credential_claim; empty: there is none
	Groups         []string  // authenticated_groups_claim
	ConsumerGroups []string  // the consumer's own, and those of consumer_groups_claim
}

// An Observer is told what Authorize finds; each of its functions may be nil.
type Observer struct {
	Report func(error)                        // what a rule with report_only would refuse
	Check  func(name, seen string, err error) // every check that was made, and what it looked at
}

func (o *Observer) report(err error) {
	if o != nil && o.Report != nil {
		o.Report(err)
	}
}

// A subject is one request as it is judged.
type subject struct {
	observer *Observer
	request  *auth.Request
	identity *auth.Identity // nil: nobody is known
	claims   auth.Claims    // of the identity: the one set that policies see
	paths    *paths         // into claims
	grant    *Grant

	unknownGroups []string // that consumer_groups_claim names, and no consumer is in
}

// A check is one thing that must hold.
type check struct {
	name      string
	mandatory bool                  // asked of nobody, too
	judge     func(*subject) error  // nil, or an *auth.Error
	seen      func(*subject) string // what it looks at and what is required, for explanations
}

// NewPolicy compiles a route's settings. clientIDs are the audiences that a presented token may name by default.
func NewPolicy(s Settings, a ACLSettings, d *Directory, clientIDs []string) *Policy {
	required := s.RequiredSettings
	at := newPaths(&s)
	p := &Policy{paths: &at, byDefault: len(required.AudienceRequired) == 0, audience: pair{audience, whole(clientIDs)}}
	switch {
	case isAny(required.AudienceRequired):
		p.audience.any = nil
		required.AudienceRequired = nil
	case len(required.AudienceRequired) > 0:
		p.audience.any = alternatives(required.AudienceRequired)
	}
	p.checks = append(p.checks, p.presented())
	for _, pair := range pairs(required) {
		p.checks = append(p.checks, pair.check())
	}
	if len(s.ClaimsForbidden) > 0 {
		p.checks = append(p.checks, forbidden(s.ClaimsForbidden))
	}
	if len(s.Domains) > 0 {
		p.checks = append(p.checks, domains(s.Domains))
	}
	p.consumers = newMapping(&s.ConsumerSettings, d)
	p.acl = newACL(a)
	return p
}

// TakesTokensOf lets pass what the gate has issued itself under this name, as the route shows it.
func (p *Policy) TakesTokensOf(name func(*auth.Request) string) { p.issued = name }

// NewRule compiles a rule. The paths of its pairs' claims are those of the policy that an identity is judged by.
func NewRule(r RuleSettings) (*Rule, error) {
	required := r.RequiredSettings
	if isAny(required.AudienceRequired) {
		required.AudienceRequired = nil
	}
	rule := &Rule{Auth: Mode(r.Auth), OnLogin: LoginMode(r.OnUnauthenticated), ReportOnly: r.ReportOnly, LoginIssuer: r.LoginIssuer}
	rule.Own = rule.Auth == Required || !required.none() || len(r.ACRValues) > 0 || r.MaxAge != nil
	if rule.Auth == "" {
		rule.Auth = Required
	}
	for _, pair := range pairs(required) {
		rule.checks = append(rule.checks, pair.check())
	}
	if len(r.ACRValues) > 0 || r.MaxAge != nil {
		rule.StepUp = &auth.StepUp{ACRValues: r.ACRValues, MaxAge: r.MaxAge}
		rule.checks = append(rule.checks, stepUp(rule.StepUp))
	}
	if r.Allow != "" {
		var err error
		if rule.allow, err = compile(r.Allow); err != nil {
			return nil, err
		}
	}
	return rule, nil
}

// ReadsMethod reports whether the rule's expression may depend on the request's method.
func (r *Rule) ReadsMethod() bool { return r.allow != nil && r.allow.method }

// NeedsCredential reports whether a rule's requests must bring one. Where a consumer stands for nobody, only rules that
// require something themselves do.
func (p *Policy) NeedsCredential(rule *Rule) bool {
	return rule.Auth == Required && (rule.Own || p.consumers.anonymous == nil)
}

// Precheck refuses what the request alone decides. It needs no identity, so it is asked before any credential is looked at.
func (p *Policy) Precheck(r *auth.Request, rule *Rule, o *Observer) error {
	if rule.allow == nil || !rule.allow.requestOnly || rule.ReportOnly {
		return nil
	}
	s := &subject{observer: o, request: r, grant: &Grant{}}
	err := rule.allow.judge(s)
	if err == nil { // it is told of again where the rest is
		return nil
	}
	return s.tell("allow", err, func(*subject) string { return rule.allow.text })
}

// Authorize judges an identity by the route's and the rule's requirements, and finds out whom it stands for. It returns an
// *auth.Error: 401 for a token that the caller brought and that is meant for somebody else, or for a login that was too weak
// or too long ago; 403 otherwise. Without an identity only the ACL and the rule's expression are judged.
func (p *Policy) Authorize(r *auth.Request, i *auth.Identity, rule *Rule, o *Observer) (*Grant, error) {
	s := &subject{observer: o, request: r, identity: i, claims: i.Judged(), paths: p.paths, grant: &Grant{}}
	if err := p.judge(s); err != nil {
		return s.grant, err
	}
	err := rule.judge(s)
	if err != nil && rule.ReportOnly {
		o.report(err)
		return s.grant, nil
	}
	return s.grant, err
}

func (p *Policy) judge(s *subject) error {
	if err := s.run(p.checks); err != nil {
		return err
	}
	if err := s.tell("consumer", p.consumers.find(s), p.consumers.seen); err != nil {
		return err
	}
	return s.tell("acl", p.acl.judge(s), p.acl.seen)
}

// presented is the check of whom a token that the caller brought is meant for.
func (p *Policy) presented() check {
	return check{
		name: "token_audience",
		judge: func(s *subject) error {
			if !s.identity.Presented || p.audience.holds(s) || p.gates(s) {
				return nil
			}
			return auth.InvalidToken("token_audience", p.audience.failure(s))
		},
		seen: func(s *subject) string {
			if !s.identity.Presented {
				return "the gate got the token itself"
			}
			return p.audience.check().seen(s)
		},
	}
}

// TakesAudience reports whether the audience of a token that a caller brought may pass.
func (p *Policy) TakesAudience(claims auth.Claims) bool {
	return p.audience.holds(&subject{claims: claims, paths: p.paths})
}

// gates reports whether a token is one that the gate has issued for itself, under the name that it has on this route: where
// nothing else is required, that is as good as for one of our clients. Another route's users may be other people.
func (p *Policy) gates(s *subject) bool {
	return p.byDefault && p.issued != nil && s.identity.BuiltIn && slices.Contains(p.audience.has(s), p.issued(s.request))
}

func (r *Rule) judge(s *subject) error {
	if err := s.run(r.checks); err != nil || r.allow == nil {
		return err
	}
	return s.tell("allow", r.allow.judge(s), func(*subject) string { return r.allow.text })
}

func (s *subject) run(checks []check) error {
	for n := range checks {
		c := &checks[n]
		if s.identity == nil && !c.mandatory {
			continue
		}
		if err := s.tell(c.name, c.judge(s), c.seen); err != nil {
			return err
		}
	}
	return nil
}

// tell passes on what a check has found, if anybody wants to know.
func (s *subject) tell(name string, err error, seen func(*subject) string) error {
	if s.observer != nil && s.observer.Check != nil {
		s.observer.Check(name, seen(s), err)
	}
	return err
}

// forbidden refuses whoever has one of these claims.
func forbidden(names []string) check {
	has := func(s *subject) string {
		for _, name := range names {
			if _, there := s.claims[name]; there {
				return name
			}
		}
		return ""
	}
	return check{
		name: "claims_forbidden",
		judge: func(s *subject) error {
			if name := has(s); name != "" {
				return auth.Forbidden("claims_forbidden", fmt.Errorf("the claim %s is there", name))
			}
			return nil
		},
		seen: func(s *subject) string {
			return fmt.Sprintf("none of %s may be there; there is %q", strings.Join(names, ", "), has(s))
		},
	}
}

// domains lets in accounts of these hosted domains of Google's only.
func domains(accepted []string) check {
	return check{
		name: "domains",
		judge: func(s *subject) error {
			hd, _ := s.identity.Lookup([]string{"hd"})
			if name, ok := hd.(string); ok && slices.Contains(accepted, name) {
				return nil
			}
			return auth.Forbidden("domains", fmt.Errorf("hd: expected one of %q, got %q", accepted, fmt.Sprint(hd)))
		},
		seen: func(s *subject) string {
			hd, _ := s.identity.Lookup([]string{"hd"})
			return fmt.Sprintf("hd is %q, accepted are %q", fmt.Sprint(hd), accepted)
		},
	}
}
