package authz

// Settings are the route's pairs: where a claim is and what it must say.
type Settings struct {
	ScopesClaim   []string `yaml:"scopes_claim" default:"[scope]" min:"1"`
	AudienceClaim []string `yaml:"audience_claim" default:"[aud]" min:"1"`
	GroupsClaim   []string `yaml:"groups_claim" default:"[groups]" min:"1"`
	RolesClaim    []string `yaml:"roles_claim" default:"[roles]" min:"1"`
	RequiredSettings
}

// RequiredSettings are the required values, of a route or of a rule. Entries are alternatives; the words inside an entry
// must all be there: ["employee marketing", "admin"] is (employee and marketing) or admin.
type RequiredSettings struct {
	ScopesRequired   []string `yaml:"scopes_required"`
	AudienceRequired []string `yaml:"audience_required"` // "any" alone: no check
	GroupsRequired   []string `yaml:"groups_required"`
	RolesRequired    []string `yaml:"roles_required"`
}

// RuleSettings are one entry of rules:. Hosts, paths and methods choose the rule; the first that fits is the one.
type RuleSettings struct {
	Hosts   []string `yaml:"hosts"`
	Paths   []string `yaml:"paths"`
	Methods []string `yaml:"methods"`
	Auth    string   `yaml:"auth" default:"required" enum:"required,optional,off"`
	RequiredSettings
}
