package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// checkDoubts warns of what works and is seldom meant. Of sessions and logins it warns only where there are any.
func (r *Route) checkDoubts() {
	b, f := r.block, &r.OIDC.Flow
	r.checkTenant()
	for i, secret := range f.Client.ClientSecret {
		b.example(fmt.Sprintf("client_secret[%d]", i), secret)
	}
	if !f.HasSessions() {
		return
	}
	for i, secret := range f.Session.Secret {
		b.example(fmt.Sprintf("session_secret[%d]", i), secret)
	}
	s := &f.Session
	if s.Storage == "redis" && len(s.Secret) == 0 {
		b.warn("session_storage", "without session_secret each process makes one up, so no restart and no other replica can read what Redis holds: "+
			"write session_secret (openssl rand -base64 32)")
	}
	if s.IdlingTimeout == 0 && s.RollingTimeout == 0 && s.AbsoluteTimeout == 0 {
		b.warn("session_absolute_timeout", "all three session timeouts are 0, so a session that somebody has stolen never ends: write one of them")
	}
	r.checkScopesOfClaims()
}

// placeholderSecret matches secrets that stand in examples.
var placeholderSecret = regexp.MustCompile(`(?i)change[-_ ]?(me|this)|changeit|replace[-_ ]?(me|this)|your[-_ ]|<[^>]*>|example|placeholder|todo|xxxx`)

// example warns of a secret that everybody may know.
func (b *block) example(key string, secret auth.Secret) {
	if placeholderSecret.MatchString(string(secret)) {
		b.warn(key, "it looks like the secret of an example, which others know: write one of your own (openssl rand -base64 32)")
	}
}

// checkTenant warns of Entra's issuers for all tenants, whose tokens name another issuer than their metadata.
func (r *Route) checkTenant() {
	u, err := url.Parse(r.OIDC.Flow.Client.Issuer)
	if err != nil || !strings.HasPrefix(u.Host, "login.microsoftonline.") || len(r.OIDC.Flow.Client.IssuersAllowed) > 0 {
		return
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if slices.Contains([]string{"common", "organizations", "consumers"}, tenant) {
		r.block.warn("issuer", "tokens of /%s name the issuer of their own tenant, which its metadata doesn't: write the tenant's ID in its place, "+
			"or the issuer of each tenant that may log in into issuers_allowed", tenant)
	}
}

// scopeOf are the standard claims and the scope that asks for each (OIDC Core §5.4).
var scopeOf = map[string]string{
	"name": "profile", "family_name": "profile", "given_name": "profile", "middle_name": "profile", "nickname": "profile",
	"preferred_username": "profile", "profile": "profile", "picture": "profile", "website": "profile", "gender": "profile",
	"birthdate": "profile", "zoneinfo": "profile", "locale": "profile", "updated_at": "profile",
	"email": "email", "email_verified": "email", "address": "address", "phone_number": "phone", "phone_number_verified": "phone",
}

// checkScopesOfClaims warns of a claim that is sent to the upstream or the client, and that a login doesn't ask for.
func (r *Route) checkScopesOfClaims() {
	h, scopes := &r.OIDC.Headers, r.OIDC.Flow.Client.Scopes
	for key, list := range map[string][]string{"upstream_headers_claims": h.UpstreamHeadersClaims, "downstream_headers_claims": h.DownstreamHeadersClaims} {
		for i, claim := range list {
			r.claimScope(fmt.Sprintf("%s[%d]", key, i), claim, scopes)
		}
	}
	for i, m := range h.UpstreamHeaders {
		r.claimScope(fmt.Sprintf("upstream_headers[%d].path", i), m.Path[0], scopes)
	}
	for i, m := range h.DownstreamHeaders {
		r.claimScope(fmt.Sprintf("downstream_headers[%d].path", i), m.Path[0], scopes)
	}
}

func (r *Route) claimScope(key, claim string, scopes []string) {
	scope := scopeOf[claim]
	if scope != "" && !slices.Contains(scopes, scope) {
		r.block.warn(key, "%s is a claim of the scope %s (OIDC Core §5.4), and a login doesn't ask for it: add %[2]s to scopes", claim, scope)
	}
}
