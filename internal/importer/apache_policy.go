package importer

import (
	"regexp"
	"strings"

	"sallyport/internal/strict"
)

// open is the result of a Require that needs no user.
const open = "open"

// An apachePolicy says who may request the paths of a section.
type apachePolicy struct {
	authType string
	require  string   // the expression, or open; "" if nothing is required
	partial  []string // conditions under which a path needs no user
	onAnonym string   // OIDCUnAuthAction
	always   bool     // it is written with an expression that is always true
	mixed    bool     // the host has sections for logins and sections for tokens
	unknown  bool     // what restricts it may be in files that aren't known
	closed   bool     // something restricts it that can't be imported
}

// An apacheRequirement turns the Require directives of a virtual host into expressions.
type apacheRequirement struct {
	result   *Result
	sets     string // the sets of claims, as a list of an expression
	user     []string
	issuer   string // that a name of a user ends with; "" if it doesn't
	named    bool   // Require user can be judged
	hidden   func(claim string) bool
	filtered bool // claims are changed before they are judged
}

// An apachePart is the expression of a Require directive or of a section of them.
type apachePart struct {
	text     string // an expression, or open
	negative bool   // it can't grant alone: Require not, RequireNone
	unsure   bool   // a part of it can't be imported and is denied
}

// all returns the expression for the directives of a section: one of them must be satisfied. It is "" without any.
func (r *apacheRequirement) all(nodes []*apacheNode) string {
	parts := r.parts(nodes)
	if len(parts) == 0 {
		return ""
	}
	return anyOf(parts).text
}

// parts returns the expression of each Require, RequireAll, RequireAny and RequireNone.
func (r *apacheRequirement) parts(nodes []*apacheNode) (parts []apachePart) {
	for _, n := range nodes {
		switch {
		case n.is("Require") && !n.section:
			parts = append(parts, r.one(n))
		case n.is("RequireAll"):
			parts = append(parts, allOf(r.parts(n.children)))
		case n.is("RequireAny"):
			parts = append(parts, anyOf(r.parts(n.children)))
		case n.is("RequireNone"):
			parts = append(parts, negation(anyOf(r.parts(n.children))))
		}
	}
	return parts
}

// anyOf returns the part that is true if one of some is. Negative ones grant nothing.
func anyOf(parts []apachePart) (all apachePart) {
	var texts []string
	for _, p := range parts {
		all.unsure = all.unsure || p.unsure
		switch {
		case p.negative:
		case p.text == open:
			return apachePart{text: open}
		default:
			texts = append(texts, p.text)
		}
	}
	all.text = celOr(texts...)
	return all
}

// allOf returns the part that is true if all of some are. It grants nothing if all of them are negative.
func allOf(parts []apachePart) (all apachePart) {
	var texts []string
	all.negative = true
	for _, p := range parts {
		all.unsure, all.negative = all.unsure || p.unsure, all.negative && p.negative
		if p.text != open {
			texts = append(texts, p.text)
		}
	}
	all.text = celAnd(texts...)
	if len(texts) == 0 && len(parts) > 0 {
		all.text = open
	}
	return all
}

// negation returns the negation of a part. What isn't known as a whole is denied.
func negation(p apachePart) apachePart {
	if p.text == open || p.text == denied || p.text == "true" || p.unsure {
		return apachePart{text: denied, negative: true, unsure: p.unsure}
	}
	return apachePart{text: "!(" + p.text + ")", negative: true}
}

// one returns the part of a Require directive. A note means that some of it can't be imported.
func (r *apacheRequirement) one(n *apacheNode) apachePart {
	args := n.args
	negate := len(args) > 0 && strings.EqualFold(args[0], "not")
	if negate {
		args = args[1:]
	}
	if len(args) == 0 {
		return apachePart{text: r.unknown(n, "it names nothing"), unsure: true}
	}
	before := len(r.result.Notes)
	p := apachePart{text: r.provider(n, strings.ToLower(args[0]), args[1:])}
	p.unsure = len(r.result.Notes) > before
	if negate {
		return negation(p)
	}
	return p
}

// provider returns the expression of what a Require directive names.
func (r *apacheRequirement) provider(n *apacheNode, kind string, args []string) string {
	switch {
	case kind == "all" && len(args) == 1 && strings.EqualFold(args[0], "granted"):
		return open
	case kind == "all" && len(args) == 1 && strings.EqualFold(args[0], "denied"):
		return denied
	case kind == "valid-user":
		return "true"
	case kind == "claim":
		return r.claims(n, args)
	case kind == "user":
		return r.users(n, args)
	}
	return r.unknown(n, "it isn't one of valid-user, user, claim and all")
}

// unknown notes a Require that can't be imported, and denies.
func (r *apacheRequirement) unknown(n *apacheNode, why string) string {
	r.result.Notef(n.place, "Require %s: %s, so no request passes by it", n.raw, why)
	return denied
}

// claims returns the expression for one of several claims.
func (r *apacheRequirement) claims(n *apacheNode, specs []string) string {
	var parts []string
	for _, spec := range specs {
		parts = append(parts, r.claim(n, spec))
	}
	if len(parts) == 0 {
		return r.unknown(n, "it names no claim")
	}
	return celOr(parts...)
}

// claim returns the expression for NAME:VALUE, NAME.MEMBER:VALUE or NAME~REGEX.
func (r *apacheRequirement) claim(n *apacheNode, spec string) string {
	path, operator, value := splitClaim(spec)
	switch {
	case operator == 0:
		return r.unknown(n, "expected NAME:VALUE or NAME~PATTERN")
	case r.filtered:
		return r.unknown(n, "an expression changes the claims before, and it isn't imported")
	case r.hidden(path[0]):
		return r.unknown(n, "the claim "+path[0]+" is filtered out")
	}
	test := "string(v) == " + celText(value)
	if operator == '~' {
		if _, err := regexp.Compile(value); err != nil {
			return r.unknown(n, "the pattern isn't one of RE2")
		}
		test = "string(v).matches(" + celText(value) + ")"
	}
	return r.inSets(path, func(claim string) string {
		return "(type(" + claim + ") == list ? " + claim + " : [" + claim + "]).exists(v, " + test + ")"
	})
}

// inSets returns the expression that is true if one of the sets of claims has a claim that satisfies a test.
func (r *apacheRequirement) inSets(path []string, test func(claim string) string) string {
	if r.sets == "[claims]" {
		claim, has := celClaim("claims", path)
		return "(" + has + " && " + test(claim) + ")"
	}
	claim, has := celClaim("c", path)
	return r.sets + ".exists(c, " + has + " && " + test(claim) + ")"
}

// splitClaim splits the specification of a claim. The operator is 0 if there is none. A name that is a URL ends at the last colon.
func splitClaim(spec string) (path []string, operator byte, value string) {
	i := strings.IndexAny(spec, ":~")
	if strings.Contains(spec, "://") {
		i = strings.LastIndexByte(spec, ':')
		if strings.HasPrefix(spec[i:], "://") {
			return []string{spec}, 0, ""
		}
		return []string{spec[:i]}, ':', spec[i+1:]
	}
	if i <= 0 {
		return []string{spec}, 0, ""
	}
	return strings.Split(spec[:i], "."), spec[i], spec[i+1:]
}

// users returns the expression for one of several names of users.
func (r *apacheRequirement) users(n *apacheNode, names []string) string {
	if !r.named {
		return r.unknown(n, "the name of a user is made by a pattern")
	}
	var parts []string
	for _, name := range names {
		name, ours := strings.CutSuffix(name, r.issuer)
		if !ours {
			r.result.Notef(n.place, "Require user: a name without %s can't occur with this OIDCRemoteUserClaim, and is left out", r.issuer)
			continue
		}
		parts = append(parts, r.inSets(r.user, func(claim string) string { return "string(" + claim + ") == " + celText(name) }))
	}
	return celOr(parts...)
}

// rule returns the rule of a policy, without its paths. The conditions must hold, too.
func (p *apachePolicy) rule(conditions string) *Mapping {
	rule := NewMapping()
	needed := p.need()
	if p.closed || conditions == denied {
		needed = denied
	}
	switch {
	case needed == open && conditions == "true":
		return rule.Set("auth", "off")
	case needed == open:
		return rule.Set("auth", "optional").Set("allow", conditions)
	case len(p.partial) > 0 && needed != denied:
		if needed == "true" {
			needed = `token.flow != ""`
		}
		return rule.Set("auth", "optional").Set("allow", celAnd(conditions, celOr(append(p.partial, needed)...)))
	case strings.EqualFold(p.onAnonym, "pass") && needed != denied:
		return allowing(rule.Set("auth", "optional"), celAnd(conditions, needed))
	case p.onAnonym == "401" || p.onAnonym == "407" || p.onAnonym == "410":
		rule.Set("on_unauthenticated", "401")
	case strings.EqualFold(p.onAnonym, "auth") && p.always:
		rule.Set("on_unauthenticated", "login")
	}
	return allowing(rule, celAnd(conditions, needed))
}

// need returns the expression of a policy. Apache asks for no user where nothing is required.
func (p *apachePolicy) need() string {
	switch {
	case p.unknown && (p.require == open || p.require == ""):
		return "true"
	case p.require == open, p.require == "" && p.authType == "":
		return open
	case p.require == "":
		return "true"
	case !isOIDC(p.authType):
		return denied
	case p.mixed && strings.EqualFold(p.authType, "openid-connect"):
		return celAnd("!token.presented", p.require)
	case p.mixed && strings.EqualFold(p.authType, "oauth20"):
		return celAnd("token.presented", p.require)
	}
	return p.require
}

// isOIDC reports whether a kind of authentication is one of mod_auth_openidc.
func isOIDC(authType string) bool {
	switch strings.ToLower(authType) {
	case "openid-connect", "oauth20", "auth-openidc":
		return true
	}
	return false
}

// merge adds the settings of a section to those of the sections before it. Require replaces what was required before.
func (p *apachePolicy) merge(s *apacheSection, requirement *apacheRequirement) {
	if !s.judged {
		s.require, s.judged = requirement.all(s.nodes), true // notes are written once
	}
	require := s.require
	for _, n := range s.nodes {
		switch {
		case n.is("AuthType") && !n.section:
			p.authType = strings.Trim(n.arg(0), `"`)
			if strings.EqualFold(p.authType, "none") {
				p.authType = ""
			}
		case n.is("OIDCUnAuthAction"):
			p.onAnonym, p.always = n.arg(0), strings.EqualFold(n.arg(1), "true")
		case n.is("AuthMerging") && strings.EqualFold(n.arg(0), "And") && p.require != "" && p.require != open && require != "":
			require = allOf([]apachePart{{text: p.require}, {text: require}}).text
		}
	}
	p.closed = p.closed || s.closed // conditions are judged after all sections
	switch {
	case require == open && s.condition != "":
		if p.need() != open {
			p.partial = append(p.partial, s.condition)
		}
	case require != "":
		p.require, p.partial = require, nil
	}
}

// An apacheSection is a section for a path, or the server as a whole.
type apacheSection struct {
	path      string // segments
	condition string // an expression for the paths below that are meant; "" for all
	nodes     []*apacheNode
	closed    bool
	folder    bool   // it is one of files
	require   string // the expression of its directives
	judged    bool   // require is set
	place     strict.Mark
}
