package authz

import (
	"slices"
	"strings"
	"time"
)

// Settings are a route's requirements on identities, and how an identity is mapped to a consumer.
type Settings struct {
	ScopesClaim   []string `yaml:"scopes_claim" default:"[scope]" min:"1"`
	AudienceClaim []string `yaml:"audience_claim" default:"[aud]" min:"1"`
	GroupsClaim   []string `yaml:"groups_claim" default:"[groups]" min:"1"`
	RolesClaim    []string `yaml:"roles_claim" default:"[roles]" min:"1"`
	RequiredSettings

	ClaimsForbidden []string `yaml:"claims_forbidden"`       // an identity with one of these claims is refused, whatever its value
	Domains         []string `yaml:"domains" group:"issuer"` // accepted values of hd, Google's hosted domain

	ConsumerSettings
}

// ConsumerSettings map an identity to a configured consumer.
type ConsumerSettings struct {
	ConsumerClaims           [][]string `yaml:"consumer_claims"` // paths; the first that the identity has counts
	ConsumerClaim            []string   `yaml:"consumer_claim"`  // one path: Kong's older spelling
	ConsumerBy               []string   `yaml:"consumer_by" default:"[custom_id, username]" enum:"custom_id,id,username" min:"1"`
	ByUsernameIgnoreCase     bool       `yaml:"by_username_ignore_case" default:"false"`
	ConsumerOptional         bool       `yaml:"consumer_optional" default:"false"` // an identity without a consumer is allowed
	ConsumerGroupsClaim      []string   `yaml:"consumer_groups_claim"`
	ConsumerGroupsOptional   bool       `yaml:"consumer_groups_optional" default:"false"`
	CredentialClaim          []string   `yaml:"credential_claim" default:"[sub]" min:"1"`
	AuthenticatedGroupsClaim []string   `yaml:"authenticated_groups_claim"`
	Anonymous                string     `yaml:"anonymous"` // username or id of the consumer for requests without an identity
}

// RequiredSettings are the required values of a route or a rule. Entries are alternatives. All words of an entry are required:
// ["employee marketing", "admin"] means (employee and marketing) or admin.
type RequiredSettings struct {
	ScopesRequired   []string `yaml:"scopes_required"`
	AudienceRequired []string `yaml:"audience_required"` // "any" alone: no check
	GroupsRequired   []string `yaml:"groups_required"`
	RolesRequired    []string `yaml:"roles_required"`
}

// RequiresRoles reports whether roles or groups are required, which only some have of those who can log in.
func (r *RequiredSettings) RequiresRoles() bool {
	return len(strings.Fields(strings.Join(slices.Concat(r.RolesRequired, r.GroupsRequired), " "))) > 0
}

func (r *RequiredSettings) none() bool {
	return len(r.ScopesRequired)+len(r.AudienceRequired)+len(r.GroupsRequired)+len(r.RolesRequired) == 0
}

// ACLSettings are a route's access control list. It applies to the groups of authenticated_groups_claim, of the consumer and of
// consumer_groups_claim. Deny comes before allow.
type ACLSettings struct {
	Allow []string `yaml:"allow"` // empty: all that are not denied
	Deny  []string `yaml:"deny"`
}

// A Consumer is a configured user or client.
type Consumer struct {
	Username string   `yaml:"username" cel:"username"`
	CustomID string   `yaml:"custom_id" cel:"custom_id"`
	ID       string   `yaml:"id" cel:"id"`
	Groups   []string `yaml:"groups" cel:"groups"`
}

// RuleSettings are one entry of rules. A request has the first rule whose hosts, paths and methods match.
type RuleSettings struct {
	Hosts   []string `yaml:"hosts"`
	Paths   []string `yaml:"paths"`
	Methods []string `yaml:"methods"`

	MCPTools []string `yaml:"mcp_tools"` // the tools of an MCP server that a request calls; empty: every request

	Auth string `yaml:"auth" enum:"required,optional,off"` // default required
	RequiredSettings
	Allow             string         `yaml:"allow" lines:"true"` // a CEL expression
	ACRValues         []string       `yaml:"acr_values"`         // the acr of the login must be one of them (OIDC Core §2, RFC 9470)
	MaxAge            *time.Duration `yaml:"max_age"`            // of the login
	OnUnauthenticated string         `yaml:"on_unauthenticated" enum:"login,401"`
	ReportOnly        bool           `yaml:"report_only" default:"false"` // refusals are only logged
	LoginIssuer       string         `yaml:"login_issuer"`                // the issuer at which a login starts, if the route has several
}
