package importer

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// setAccess sets the expression that a user must satisfy: the e-mail address, and the groups, roles or names.
func (d *o2pDeployment) setAccess() {
	d.sets.token = d.on("skip_jwt_bearer_tokens", false)
	d.setUserinfo()
	d.access = celAnd(d.verifiedEmail(), d.emailAccess(), d.groupAccess(), d.unknownAccess())
	if len(d.access) > maxExpression-1000 {
		d.Notef(d.place("authenticated_emails_file", "email_domains", "allowed_groups"),
			"the addresses and groups don't fit into an expression, so no request may pass: write consumers, or a group at the issuer")
		d.access = denied
	}
	for _, option := range []string{
		"github_repo", "github_token", "google_admin_email", "google_service_account_json", "google_target_principal",
		"google_use_application_default_credentials", "google_use_organization_id",
	} {
		d.get(option) // a part of the groups, which groupAccess notes
	}
}

// setUserinfo lets userinfo be asked for claims that the ID token lacks, as oauth2-proxy does. Some providers write all of them into the ID
// token.
func (d *o2pDeployment) setUserinfo() {
	complete := slices.Contains([]string{"google", "keycloak-oidc", "entra-id", "azure"}, d.textOr("provider", "google"))
	if d.on("skip_claims_from_profile_url", false) || complete && !d.given("gitlab_groups") {
		return
	}
	d.sets.userinfo = true
	d.oidc.Set("search_user_info", true)
}

// emailClaim returns the path of the claim with the e-mail address.
func (d *o2pDeployment) emailClaim() []string {
	claim, user := d.textOr("oidc_email_claim", "email"), d.textOr("user_id_claim", "email")
	if claim == "email" {
		claim = user
	}
	return strings.Split(claim, ".")
}

// verifiedEmail returns the expression that refuses an address that the issuer says isn't verified.
func (d *o2pDeployment) verifiedEmail() string {
	if d.on("insecure_oidc_allow_unverified_email", false) || !slices.Equal(d.emailClaim(), []string{"email"}) {
		return ""
	}
	if d.sets == (claimSets{}) {
		return `!(has(id_token.email_verified) && string(id_token.email_verified) == "false")`
	}
	return "!" + d.sets.names() + `.exists(c, has(c.email_verified) && string(c.email_verified) == "false")`
}

// restricting are parts of names of options that restrict who may pass.
var restricting = []string{"allow", "deny", "restrict", "group", "role", "domain", "email", "user", "org", "tenant", "require"}

// unknownAccess returns the expression that refuses every request if an option that isn't known here may restrict who passes.
func (d *o2pDeployment) unknownAccess() string {
	access := ""
	for _, name := range sortedKeys(d.unknown) {
		place, lower := d.unknown[name], strings.ToLower(name)
		if slices.ContainsFunc(restricting, func(part string) bool { return strings.Contains(lower, part) }) {
			d.Notef(place, "%s isn't known here and may restrict who passes, so no user may pass: write the rules for it, and import "+
				"again without it", name)
			access = denied
		}
	}
	return access
}

// emailAccess returns the expression for e-mail addresses. Without email_domains and a file, oauth2-proxy doesn't start.
func (d *o2pDeployment) emailAccess() string {
	claim := d.sets.claim(d.emailClaim())
	domains := d.list("email_domains")
	emails := d.listedEmails()
	switch {
	case slices.Contains(domains, "*"):
		if d.sets.token {
			return "token.presented || " + claim + ` != ""`
		}
		return claim + ` != ""`
	case len(domains) == 0 && len(emails) == 0 && !d.given("authenticated_emails_file"):
		d.Notef(d.place("provider", "client_id"), "neither email_domains nor authenticated_emails_file is set, so no user may pass, "+
			"and oauth2-proxy "+
			"doesn't start: import it again with email_domains")
	}
	var ways []string
	for _, domain := range domains {
		ways = append(ways, "[^@]+@"+domainPattern(domain))
	}
	for _, email := range emails {
		ways = append(ways, regexp.QuoteMeta(email))
	}
	if len(ways) == 0 {
		return denied
	}
	return claim + ".matches(" + celText("(?i)^("+strings.Join(ways, "|")+")$") + ")"
}

// domainPattern returns a regular expression for a domain; one that begins with . or *. is every domain below it.
func domainPattern(domain string) string {
	domain = strings.TrimPrefix(strings.ToLower(domain), "*")
	if strings.HasPrefix(domain, ".") {
		return "[^@]*" + regexp.QuoteMeta(domain)
	}
	return regexp.QuoteMeta(domain)
}

// listedEmails returns the addresses of authenticated_emails_file, if it is imported, too.
func (d *o2pDeployment) listedEmails() []string {
	file := d.text("authenticated_emails_file")
	if file == "" {
		return nil
	}
	emails := d.emails[path.Base(file)]
	if len(emails) == 0 {
		d.note("authenticated_emails_file", "the addresses in %s may not pass: name the file, too, when you import", file)
		return nil
	}
	d.note("authenticated_emails_file", "the addresses are part of the rules now: a change of %s has no effect", file)
	return emails
}

// groupAccess returns the expression for groups, roles and names of users: one of them is enough.
func (d *o2pDeployment) groupAccess() string {
	var ways []string
	groups := d.sets.claim(strings.Split(d.textOr("oidc_groups_claim", "groups"), "."))
	if names := append(d.list("allowed_groups"), d.list("keycloak_groups")...); len(names) > 0 {
		ways = append(ways, oneOf(groups, names))
	}
	for _, role := range d.list("allowed_roles") {
		ways = append(ways, d.roleAccess(role))
	}
	ways = append(ways, d.providerAccess()...)
	if len(ways) == 0 {
		return ""
	}
	return celOr(ways...)
}

// roleAccess returns the expression for a role of Keycloak: ROLE of the realm or CLIENT:ROLE, in the access token.
func (d *o2pDeployment) roleAccess(role string) string {
	if d.text("provider") != "keycloak-oidc" {
		return oneOf(d.sets.claim([]string{"roles"}), []string{role})
	}
	if client, name, ok := strings.Cut(role, ":"); ok {
		claim, _ := celClaim("claims", []string{"resource_access", client, "roles"})
		return celText(name) + " in " + claim
	}
	return celText(role) + " in claims.realm_access.roles"
}

// providerAccess returns the expressions for what some providers restrict. What the gate can't ask refuses every user.
func (d *o2pDeployment) providerAccess() (ways []string) {
	if groups := d.list("gitlab_groups"); len(groups) > 0 {
		ways = append(ways, oneOf("userinfo.groups", groups))
	}
	if users := d.list("github_users"); len(users) > 0 {
		ways = append(ways, oneOf(d.sets.claim([]string{"preferred_username"}), users))
		d.note("github_users", "the names are compared with preferred_username, where Dex writes them")
	}
	ways = append(ways, d.githubAccess()...)
	for _, option := range []string{"google_groups", "gitlab_projects", "github_repo", "bitbucket_team", "bitbucket_repository"} {
		if d.given(option) {
			d.note(option, "the gate can't ask the provider for it, so no user passes by it: let the provider write groups into the ID "+
				"token, and write allowed_groups")
			ways = append(ways, denied)
		}
	}
	return ways
}

// githubAccess returns the expression for an organization and its teams, as Dex writes them into groups.
func (d *o2pDeployment) githubAccess() []string {
	org, teams := d.text("github_org"), strings.FieldsFunc(d.text("github_team"), func(r rune) bool { return r == ',' || r == ' ' })
	if org == "" && len(teams) == 0 {
		return nil
	}
	var names []string
	for _, team := range teams {
		if org != "" {
			team = org + ":" + team
		}
		names = append(names, team)
	}
	if len(teams) == 0 {
		names = []string{org}
	}
	d.Notef(d.place("github_org", "github_team"), "membership is read from the claim groups, where Dex writes ORG:TEAM, and ORG "+
		"with teamNameField: both or orgs without teams")
	return []string{oneOf(d.sets.claim([]string{"groups"}), names)}
}

// setBearer sets the flows: logins, and tokens of clients where oauth2-proxy takes them.
func (d *o2pDeployment) setBearer() {
	methods := []string{"authorization_code", "session"}
	if d.on("skip_jwt_bearer_tokens", false) {
		methods = append(methods, "bearer")
		d.note("skip_jwt_bearer_tokens", "clients send access tokens that name client_id in aud; an ID token is refused (401 "+
			"not_an_access_token)")
	}
	d.oidc.Set("auth_methods", methods)
	d.unused("extra_jwt_issuers", "tokens of other issuers are refused: write an entry of issuers: for each")
	if d.given("skip_auth_preflight") && d.on("skip_auth_preflight", false) {
		d.oidc.Set("run_on_preflight", false)
		d.note("skip_auth_preflight", "only OPTIONS requests with Origin and Access-Control-Request-Method pass, without their body; "+
			"others must authenticate")
	}
}
