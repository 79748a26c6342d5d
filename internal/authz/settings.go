package authz

import "time"

// Settings say what an identity must be for a route, and whom it stands for.
type Settings struct {
	ScopesClaim   []string `yaml:"scopes_claim" default:"[scope]" min:"1"`
	AudienceClaim []string `yaml:"audience_claim" default:"[aud]" min:"1"`
	GroupsClaim   []string `yaml:"groups_claim" default:"[groups]" min:"1"`
	RolesClaim    []string `yaml:"roles_claim" default:"[roles]" min:"1"`
	RequiredSettings

	ClaimsForbidden []string `yaml:"claims_forbidden"`       // the mere presence of one refuses
	Domains         []string `yaml:"domains" group:"issuer"` // accepted values of hd, Google's hosted domain

	ConsumerSettings
}

// ConsumerSettings say which consumer of the configuration an identity stands for.
type ConsumerSettings struct {
	ConsumerClaims           [][]string `yaml:"consumer_claims"` // paths, of which the first that is there counts
	ConsumerClaim            []string   `yaml:"consumer_claim"`  // one path: Kong's older spelling
	ConsumerBy               []string   `yaml:"consumer_by" default:"[custom_id, username]" enum:"custom_id,id,username" min:"1"`
	ByUsernameIgnoreCase     bool       `yaml:"by_username_ignore_case" default:"false"`
	ConsumerOptional         bool       `yaml:"consumer_optional" default:"false"` // who stands for no consumer may pass all the same
	ConsumerGroupsClaim      []string   `yaml:"consumer_groups_claim"`
	ConsumerGroupsOptional   bool       `yaml:"consumer_groups_optional" default:"false"`
	CredentialClaim          []string   `yaml:"credential_claim" default:"[sub]" min:"1"`
	AuthenticatedGroupsClaim []string   `yaml:"authenticated_groups_claim"`
	Anonymous                string     `yaml:"anonymous"` // username or id of the consumer that stands for nobody
}

// RequiredSettings are the required values, of a route or of a rule. Entries are alternatives; the words inside an entry
// must all be there: ["employee marketing", "admin"] is (employee and marketing) or admin.
type RequiredSettings struct {
	ScopesRequired   []string `yaml:"scopes_required"`
	AudienceRequired []string `yaml:"audience_required"` // "any" alone: no check
	GroupsRequired   []string `yaml:"groups_required"`
	RolesRequired    []string `yaml:"roles_required"`
}

func (r *RequiredSettings) none() bool {
	return len(r.ScopesRequired)+len(r.AudienceRequired)+len(r.GroupsRequired)+len(r.RolesRequired) == 0
}

// ACLSettings are a route's access control list of groups: of authenticated_groups_claim, of the consumer, and those that
// consumer_groups_claim names. deny comes before allow.
type ACLSettings struct {
	Allow []string `yaml:"allow"` // empty: everybody who isn't denied
	Deny  []string `yaml:"deny"`
}

// A Consumer is somebody whom the configuration knows.
type Consumer struct {
	Username string   `yaml:"username" cel:"username"`
	CustomID string   `yaml:"custom_id" cel:"custom_id"`
	ID       string   `yaml:"id" cel:"id"`
	Groups   []string `yaml:"groups" cel:"groups"`
}

// RuleSettings are one entry of rules:. Hosts, paths and methods choose the rule; the first that fits is the one.
type RuleSettings struct {
	Hosts   []string `yaml:"hosts"`
	Paths   []string `yaml:"paths"`
	Methods []string `yaml:"methods"`
	Auth    string   `yaml:"auth" enum:"required,optional,off"` // default required
	RequiredSettings
	Allow             string         `yaml:"allow" lines:"true"` // a CEL expression
	ACRValues         []string       `yaml:"acr_values"`         // of which the login must have had one (OIDC Core §2, RFC 9470)
	MaxAge            *time.Duration `yaml:"max_age"`            // of the login
	OnUnauthenticated string         `yaml:"on_unauthenticated" enum:"login,401"`
	ReportOnly        bool           `yaml:"report_only" default:"false"` // what the rule requires is logged, not enforced
	LoginIssuer       string         `yaml:"login_issuer"`                // the name of the issuer at which a login begins, where a route has several
}
