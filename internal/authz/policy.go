// Package authz decides whether a request with an identity is allowed, and which consumer the identity stands for. The result is a grant or
// a refusal.
package authz

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A Policy has a route's requirements, compiled when the configuration is loaded.
type Policy struct {
	paths     *paths        // to the claims of pairs, including those of the route's rules
	byDefault bool          // audience_required is not set
	audience  pair          // of tokens that the client sent; by default it must name one of the gate's clients
	checks    []requirement // pairs, forbidden claims, domains
	consumers *mapping
	acl       *acl
	issued    func(*auth.Request) []string // audiences of the built-in authorization server on this route; nil: the route has none
	resource  func(*auth.Request) string   // the route as a resource, for which its issuer's tokens are; nil: it is none
}

// A Rule has the requirements of a rule, in addition to those of its route.
type Rule struct {
	Auth        Mode
	OnLogin     LoginMode
	ReportOnly  bool
	LoginIssuer string // the issuer at which a login starts; empty: the route's default
	Own         bool   // the rule itself requires an identity: an anonymous consumer is not enough

	StepUp *auth.StepUp // the requirements on the login; nil: none

	checks []requirement // the rule's pairs, step-up
	allow  *expression
}

// A Mode says whether the requests of a rule need a credential.
type Mode string

// The modes of a rule.
const (
	Required Mode = "required"
	Optional Mode = "optional"
	Off      Mode = "off"
)

// A LoginMode is how a request without a credential is answered.
type LoginMode string

// The ways to answer a request without a credential.
const (
	LoginIfBrowser LoginMode = ""      // a browser's navigation is redirected to log in, any other request gets 401
	LoginAlways    LoginMode = "login" // every request for a page is redirected
	LoginNever     LoginMode = "401"   // every request gets 401
)

// A Grant is the result of a policy for an allowed request.
type Grant struct {
	Consumer       *Consumer // nil: none
	Anonymous      bool      // Consumer is the anonymous consumer
	Credential     string    // the value of credential_claim; may be empty
	Groups         []string  // authenticated_groups_claim
	ConsumerGroups []string  // the consumer's own, and those of consumer_groups_claim
}

// An Observer receives the results of single checks. Each of its functions may be nil.
type Observer struct {
	Report func(error)                        // the refusal of a rule with report_only
	Check  func(name, seen string, err error) // each check: its name, the values that it read, and its result
}

func (o *Observer) report(err error) {
	if o != nil && o.Report != nil {
		o.Report(err)
	}
}

// A subject is a request with all that checks read.
type subject struct {
	observer *Observer
	request  *auth.Request
	identity *auth.Identity // nil: the request has none
	claims   auth.Claims    // the claim set of the identity that policies read
	paths    *paths         // into claims
	grant    *Grant

	unknownGroups []string // of consumer_groups_claim, which no consumer has
}

// A requirement is one condition on an identity.
type requirement struct {
	name  string
	judge func(*subject) error  // returns nil or an *auth.Error
	seen  func(*subject) string // describes the values and the requirement, for explanations
}

// NewPolicy compiles a route's settings. By default the audience of a token that a client sent must be one of clientIDs.
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
	p.checks = append(p.checks, p.audienceCheck())
	for _, pair := range pairs(required) {
		p.checks = append(p.checks, pair.requirement())
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

// TakesTokensOf makes the policy accept access tokens of the built-in authorization server. audiences returns those for which it issues
// tokens on the route.
func (p *Policy) TakesTokensOf(audiences func(*auth.Request) []string) { p.issued = audiences }

// TakesTokensFor makes the policy accept access tokens of the route's issuer whose audience is the route as a resource (RFC 8707).
func (p *Policy) TakesTokensFor(resource func(*auth.Request) string) { p.resource = resource }

// NewRule compiles a rule. Its pairs read claims at the paths of the policy that is applied with it.
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
		rule.checks = append(rule.checks, pair.requirement())
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

// ReadsMethod reports whether the rule's expression may read the request's method.
func (r *Rule) ReadsMethod() bool { return r.allow != nil && r.allow.method }

// NeedsCredential reports whether a request must have a credential. If the route has an anonymous consumer, only a rule that itself
// requires an identity needs one.
func (p *Policy) NeedsCredential(rule *Rule) bool {
	return rule.Auth == Required && (rule.Own || p.consumers.anonymous == nil)
}

// Precheck evaluates a rule's expression if it depends only on the request. It is called before the request is authenticated.
func (p *Policy) Precheck(r *auth.Request, rule *Rule, o *Observer) error {
	if rule.allow == nil || !rule.allow.requestOnly || rule.ReportOnly {
		return nil
	}
	s := &subject{observer: o, request: r, grant: &Grant{}}
	err := rule.allow.judge(s)
	if err == nil { // Authorize reports it, together with the other checks
		return nil
	}
	return s.observe("allow", err, func(*subject) string { return rule.allow.text })
}

// Authorize checks an identity against the requirements of the route and the rule, and finds its consumer. The error is an *auth.Error. Its
// status is 401 if a token that the client sent has another audience, or if the login was too weak or too long ago; otherwise it is 403.
// Without an identity, Authorize checks only the ACL and the rule's expression.
func (p *Policy) Authorize(r *auth.Request, i *auth.Identity, rule *Rule, o *Observer) (*Grant, error) {
	var both struct { // in one allocation
		subject
		granted Grant
	}
	both.subject = subject{observer: o, request: r, identity: i, claims: i.Judged(), paths: p.paths, grant: &both.granted}
	s := &both.subject
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
	if err := s.runChecks(p.checks); err != nil {
		return err
	}
	if err := s.observe("consumer", p.consumers.find(s), p.consumers.seen); err != nil {
		return err
	}
	return s.observe("acl", p.acl.judge(s), p.acl.seen)
}

// audienceCheck returns the check of the audience of a token that the client sent.
func (p *Policy) audienceCheck() requirement {
	return requirement{
		name: "token_audience",
		judge: func(s *subject) error {
			if !s.identity.Presented || p.audience.holds(s) || p.isOwnToken(s) {
				return nil
			}
			return auth.InvalidToken("token_audience", p.audience.failure(s))
		},
		seen: func(s *subject) string {
			if !s.identity.Presented {
				return "the gate obtained the token itself"
			}
			return p.audience.requirement().seen(s)
		},
	}
}

// TakesAudience reports whether the policy accepts the audience of a token that a client sent, by the token's claims.
func (p *Policy) TakesAudience(claims auth.Claims) bool {
	return p.audience.holds(&subject{claims: claims, paths: p.paths})
}

// isOwnToken reports whether a token was issued for this route: by the built-in authorization server, and the audience is its iss here, or
// the route as a resource; or by the route's issuer, for the route as a resource. By default that is accepted like the audience of one of
// the gate's clients. With the iss of another route, the same subject may be another user.
func (p *Policy) isOwnToken(s *subject) bool {
	if !p.byDefault {
		return false
	}
	has := p.audience.has(s)
	if !s.identity.BuiltIn {
		return p.resource != nil && slices.Contains(has, p.resource(s.request))
	}
	if p.issued == nil {
		return false
	}
	return slices.ContainsFunc(p.issued(s.request), func(own string) bool { return slices.Contains(has, own) })
}

func (r *Rule) judge(s *subject) error {
	if err := s.runChecks(r.checks); err != nil || r.allow == nil {
		return err
	}
	return s.observe("allow", r.allow.judge(s), func(*subject) string { return r.allow.text })
}

// runChecks returns the error of the first check that fails. Without an identity there is nothing to check.
func (s *subject) runChecks(checks []requirement) error {
	if s.identity == nil {
		return nil
	}
	for _, c := range checks {
		if err := s.observe(c.name, c.judge(s), c.seen); err != nil {
			return err
		}
	}
	return nil
}

// observe passes the result of a check to the observer, and returns it.
func (s *subject) observe(name string, err error, seen func(*subject) string) error {
	if s.observer != nil && s.observer.Check != nil {
		s.observer.Check(name, seen(s), err)
	}
	return err
}

// forbidden returns a check that refuses an identity with one of these claims.
func forbidden(names []string) requirement {
	has := func(s *subject) string {
		for _, name := range names {
			if _, there := s.claims[name]; there {
				return name
			}
		}
		return ""
	}
	return requirement{
		name: "claims_forbidden",
		judge: func(s *subject) error {
			if name := has(s); name != "" {
				return forbid("claims_forbidden", "the identity has the claim %s", name)
			}
			return nil
		},
		seen: func(s *subject) string {
			return fmt.Sprintf("none of the claims %s is allowed; the identity has %q", strings.Join(names, ", "), has(s))
		},
	}
}

// domains returns a check that accepts only accounts of these Google hosted domains.
func domains(accepted []string) requirement {
	return requirement{
		name: "domains",
		judge: func(s *subject) error {
			hd, _ := s.identity.Lookup([]string{"hd"})
			if name, ok := hd.(string); ok && slices.Contains(accepted, name) {
				return nil
			}
			return forbid("domains", "hd: expected one of %q, got %q", accepted, fmt.Sprint(hd))
		},
		seen: func(s *subject) string {
			hd, _ := s.identity.Lookup([]string{"hd"})
			return fmt.Sprintf("hd is %q, accepted are %q", fmt.Sprint(hd), accepted)
		},
	}
}
