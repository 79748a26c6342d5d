package importer

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// An o2pProvider says how a provider of oauth2-proxy becomes an issuer.
type o2pProvider struct {
	issuer string // by default; {tenant} is azure_tenant
	scopes string // by default
	differ string // what differs, if anything
	noOIDC bool   // it issues no ID tokens
}

const throughDex = "issues no ID tokens, so no login can rest on it: put Dex with its connector for it in between, and set " +
	"OIDC_ISSUER to Dex's issuer"

// o2pProviders has the providers by name.
var o2pProviders = map[string]o2pProvider{
	"oidc":   {scopes: "openid email profile"},
	"adfs":   {scopes: "openid email profile"},
	"azure":  {issuer: "https://login.microsoftonline.com/{tenant}/v2.0", scopes: "openid email profile"},
	"cidaas": {scopes: "openid email profile roles groups"},
	"entra-id": {scopes: "openid email profile", differ: "groups are read from the ID token alone: more than 200 of a user " +
		"need application groups or roles"},
	"gitlab":        {issuer: "https://gitlab.com", scopes: "openid email"},
	"google":        {issuer: "https://accounts.google.com", scopes: "openid email profile"},
	"keycloak-oidc": {scopes: "openid email profile"},
	"login.gov":     {issuer: "https://secure.login.gov/", scopes: "openid email"},

	"bitbucket":    {noOIDC: true},
	"digitalocean": {noOIDC: true},
	"facebook":     {noOIDC: true},
	"github":       {noOIDC: true},
	"keycloak": {scopes: "openid email profile", differ: "Keycloak is an OpenID Provider: write its issuer, " +
		"https://HOST/realms/REALM, into OIDC_ISSUER"},
	"linkedin":  {issuer: "https://www.linkedin.com/oauth", scopes: "openid email profile"},
	"nextcloud": {noOIDC: true},
	"srht":      {noOIDC: true},
}

// setProvider sets the issuer, the client and the parameters of logins.
func (d *o2pDeployment) setProvider() error {
	name := d.textOr("provider", "google")
	p, known := o2pProviders[name]
	if !known {
		return fmt.Errorf("%s: provider: %q isn't known: expected one of %s", d.place("provider"), name,
			strings.Join(slices.Sorted(maps.Keys(o2pProviders)), ", "))
	}
	if err := d.setIssuer(name, p); err != nil {
		return err
	}
	if err := d.setClient(); err != nil {
		return err
	}
	d.oidc.Set("scopes", d.scopes(p))
	d.setEndpoints()
	d.setTrust()
	d.setLoginArguments()
	d.setVerification()
	return nil
}

// setIssuer sets the issuer.
func (d *o2pDeployment) setIssuer(name string, p o2pProvider) error {
	if p.differ != "" {
		d.note("provider", "%s: %s", name, p.differ)
	}
	tenant := d.textOr("azure_tenant", "common")
	issuer := d.textOr("oidc_issuer_url", strings.ReplaceAll(p.issuer, "{tenant}", tenant))
	switch {
	case p.noOIDC:
		d.note("provider", "%s %s", name, throughDex)
		d.oidc.Set("issuer", d.AddVariable(Variable{Name: "OIDC_ISSUER", Sample: "https://dex.example.com"}))
	case issuer == "" && name == "keycloak":
		d.oidc.Set("issuer", d.AddVariable(Variable{Name: "OIDC_ISSUER", Sample: "https://idp.example.com/realms/main"}))
	case issuer == "":
		return fmt.Errorf("%s: the provider %s needs oidc_issuer_url, which is the issuer", d.place("provider"), name)
	default:
		d.oidc.Set("issuer", issuer)
	}
	if tenants := []string{"common", "organizations", "consumers"}; strings.Contains(issuer, "login.microsoftonline.com/") &&
		slices.ContainsFunc(tenants, func(t string) bool { return strings.Contains(issuer, "/"+t+"/") }) && !d.given("entra_id_allowed_tenants") {
		d.note("provider", "the issuer of several tenants of Entra ID: only tokens of the issuer in its metadata are accepted. "+
			"Write the issuer of your tenant, or list the issuers of the tenants that may log in in issuers_allowed")
	}
	var allowed []string
	for _, t := range d.list("entra_id_allowed_tenants") {
		allowed = append(allowed, "https://login.microsoftonline.com/"+t+"/v2.0")
	}
	if len(allowed) > 0 {
		d.oidc.Set("issuers_allowed", allowed)
	}
	return nil
}

// setClient sets the client and its secret, which stays out of the configuration.
func (d *o2pDeployment) setClient() error {
	id, err := d.publicText("client_id")
	if err != nil {
		return err
	}
	if id == "" {
		return fmt.Errorf("%s: client_id isn't set", d.place("client_id", "provider"))
	}
	d.oidc.Set("client_id", id)
	switch {
	case d.given("jwt_key_file"):
		d.oidc.Set("client_auth", "private_key_jwt")
		d.note("jwt_key_file", "the gate authenticates with a key: write it as client_jwk, or register the gate's own public key at the issuer")
	case d.given("jwt_key"):
		d.oidc.Set("client_auth", "private_key_jwt")
		d.note("jwt_key", "the gate authenticates with a key: write it as client_jwk, or register the gate's own public key at the issuer")
	case d.given("client_secret"):
		d.oidc.Set("client_secret", d.secret("client_secret", "OIDC_CLIENT_SECRET", "client-secret"))
		d.get("client_secret_file")
	case d.given("client_secret_file"):
		d.setSecretFile(d.text("client_secret_file"))
	}
	d.unused("entra_id_federated_token_auth", "write client_auth: private_key_jwt with client_assertion_file, the file of the token")
	d.unused("pubjwk_url", "keys.public_path publishes the gate's own public keys")
	return nil
}

// setSecretFile sets the client's secret to the content of a file.
func (d *o2pDeployment) setSecretFile(name string) {
	if strings.ContainsAny(name, "${}") {
		d.note("client_secret_file", "a reference can't have this name: write client_secret: ${file:...} with another one")
		return
	}
	d.oidc.Set("client_secret", Raw("${file:"+name+"}"))
}

// secret returns the reference to the environment variable that has the value of an option.
func (d *o2pDeployment) secret(option, name, sample string) Raw {
	s := d.get(option)
	if s.variable != "" {
		return d.AddVariable(Variable{Name: s.variable, Sample: sample})
	}
	d.note(option, "the value isn't written into the configuration: set the environment variable %s to it", name)
	return d.AddVariable(Variable{Name: name, Sample: sample})
}

// publicText returns the value of an option that isn't secret: a reference if the source has one.
func (d *o2pDeployment) publicText(option string) (any, error) {
	s := d.get(option)
	switch {
	case s == nil:
		return "", nil
	case s.variable != "":
		return d.AddVariable(Variable{Name: s.variable, Sample: "sample"}), nil
	}
	return d.text(option), nil
}

// scopes returns the scopes of logins.
func (d *o2pDeployment) scopes(p o2pProvider) []string {
	scopes := strings.Fields(d.textOr("scope", p.scopes))
	if len(scopes) == 0 {
		scopes = []string{"openid", "email", "profile"}
	}
	if !d.given("scope") && d.given("allowed_groups") && d.text("provider") == "oidc" {
		scopes = append(scopes, "groups")
	}
	if !slices.Contains(scopes, "openid") {
		d.note("scope", "openid is added: without it the issuer sends no ID token")
		scopes = append([]string{"openid"}, scopes...)
	}
	return scopes
}

// setEndpoints sets the addresses that replace those of the metadata.
func (d *o2pDeployment) setEndpoints() {
	if d.on("skip_oidc_discovery", false) {
		d.oidc.Set("using_pseudo_issuer", true)
	}
	for _, e := range [][2]string{{"login_url", "authorization_endpoint"}, {"redeem_url", "token_endpoint"},
		{"profile_url", "userinfo_endpoint"}, {"oidc_jwks_url", "jwks_endpoint"}} {
		switch address := d.text(e[0]); {
		case address == "":
		case d.on("skip_oidc_discovery", false):
			d.oidc.Set(e[1], address)
		default:
			d.note(e[0], "the endpoints are those of the issuer's metadata, as with oauth2-proxy's discovery; %s replaces this one", e[1])
		}
	}
	d.unused("validate_url", "access tokens of sessions aren't validated there: reverify: true verifies them again on each request")
	d.unused("oidc_public_key_files", "keys are read from a key set only: publish them as JWKS and write jwks_endpoint")
}

// setTrust sets whose certificates the issuer may have. What would switch the verification off isn't imported.
func (d *o2pDeployment) setTrust() {
	files := d.list("provider_ca_files")
	if len(files) > 0 {
		d.oidc.Set("ca_file", files[0])
	}
	if len(files) > 1 {
		d.note("provider_ca_files", "ca_file is one file: append the others to %s", files[0])
	}
	d.unused("use_system_trust_store", "the system's authorities are trusted, always")
	if d.on("ssl_insecure_skip_verify", false) {
		d.note("ssl_insecure_skip_verify", "the issuer's certificate is verified: write ca_file with its authority")
	}
}

// setLoginArguments sets the parameters of the authorization request.
func (d *o2pDeployment) setLoginArguments() {
	var names, values []string
	for _, option := range []string{"prompt", "acr_values", "resource"} {
		if text := d.text(option); text != "" {
			names, values = append(names, option), append(values, text)
		}
	}
	if len(names) > 0 {
		d.oidc.Set("authorization_query_args_names", names)
		d.oidc.Set("authorization_query_args_values", values)
	}
	if mode := d.text("auth_request_response_mode"); mode != "" && mode != "query" {
		d.oidc.Set("response_mode", mode)
	}
	for _, option := range []string{"code_challenge_method", "force_code_challenge_method"} {
		if method := d.text(option); method == "plain" {
			d.note(option, "PKCE has the method S256, always")
		}
	}
}

// setVerification sets what is verified. The gate verifies more than oauth2-proxy, and what is insecure isn't imported.
func (d *o2pDeployment) setVerification() {
	if algorithms := d.list("oidc_enabled_signing_algs"); len(algorithms) > 0 {
		d.oidc.Set("id_token_signed_response_alg", algorithms)
	}
	if extra := d.list("oidc_extra_audiences"); len(extra) > 0 {
		d.oidc.Set("id_token_audiences_trusted", extra)
		d.note("oidc_extra_audiences", "an ID token must name client_id in aud, and may have these audiences besides")
	}
	if claims := d.list("oidc_audience_claims"); len(claims) > 0 && !slices.Equal(claims, []string{"aud"}) {
		d.note("oidc_audience_claims", "the audience of an ID token is its claim aud, as OpenID Connect says")
	}
	if d.on("insecure_oidc_skip_issuer_verification", false) {
		d.note("insecure_oidc_skip_issuer_verification", "iss is verified: list other accepted values in issuers_allowed")
	}
	d.get("insecure_oidc_skip_nonce") // the nonce is verified, always
}

// parseHTTP returns a URL of http or https with a host, or nil.
func parseHTTP(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	return u
}
