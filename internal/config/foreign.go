package config

import (
	"slices"
	"strings"
)

// oneOnly has the advice for keys that are a list in other tools and one value here.
var oneOnly = map[string]string{
	"upstream": ": write upstream: {targets: [http://a:8080, http://b:8080]}",
}

// A foreign is a key of other proxies, or one that users expect, that has another name here.
type foreign struct {
	names  string // space-separated, in lower case with _ for -
	advice string // what to write instead
}

// foreignKeys has the foreign keys by the mapping that has them: "" for any mapping, top for the top level. The first entry with a key
// counts.
var foreignKeys = map[string][]foreign{
	"": {
		// expected by users
		{"role roles allowed_roles required_roles", "write roles_required: [admin], in the oidc block or in a rule"},
		{"group groups allowed_groups required_groups", "write groups_required: [staff], in the oidc block or in a rule"},
		{"audience audiences aud", "write audience_required: [api]"},
		{"path location prefix path_prefix", "write paths: [/admin], in the route or in a rule"},
		{"public skip_auth no_auth", "write auth: off in a rule, as in rules: [{paths: [/public], auth: off}]"},
		{"retries retry proxy_next_upstream", "take it out: the gate repeats a request once where it is safe, and no setting changes that"},
		{"service url backend target proxy_pass upstreams upstream_url to", "write route: {upstream: http://app:8080}"},
		{"port address bind addr http_address", "write listen: 127.0.0.1:8000 beside route:"},
		{"cors", "write run_on_preflight: false, and let the upstream answer preflights"},
		{"headers request_headers", "write upstream_headers: [{header: X-User, path: [sub]}]"},

		// Kong's plugin with its envelope, and Kong's declarative configuration
		{"config", "write only its members below oidc:, without name: and config:"},
		{"plugins services _format_version", "write a route for each service, with the members of its plugin's config: below oidc:"},

		// oauth2-proxy
		{"oidc_issuer_url issuer_url oidcprovidermetadataurl oidcproviderissuer discovery_url well_known",
			"write issuer: https://idp.example.com below oidc:"},
		{"provider", "write issuer: every OpenID Provider is configured by the URL of its issuer"},
		{"client_secret_file oidcclientsecret", "write client_secret: ${file:/path} below oidc:"},
		{"oidcclientid", "write client_id below oidc:"},
		{"cookie_secret cookie_secret_file oidccryptopassphrase", "write session_secret below oidc: (openssl rand -base64 32)"},
		{"cookie_name oidccookie", "write session_cookie_name below oidc:"},
		{"cookie_domain cookie_domains oidccookiedomain", "write session_cookie_domain below oidc:"},
		{"cookie_path oidccookiepath", "write session_cookie_path below oidc:"},
		{"cookie_secure", "write session_cookie_secure below oidc:"},
		{"cookie_samesite oidccookiesamesite", "write session_cookie_same_site below oidc:"},
		{"cookie_httponly oidccookiehttponly", "write session_cookie_http_only below oidc:"},
		{"cookie_expire oidcsessionmaxduration", "write session_absolute_timeout below oidc:"},
		{"cookie_refresh", "take it out: tokens are refreshed before they expire"},
		{"oidcsessioninactivitytimeout", "write session_idling_timeout below oidc:"},
		{"session_store_type oidccachetype", "write session_storage: redis below oidc:"},
		{"redis_connection_url redis_url oidcrediscacheserver", "write redis: {host: redis.example.com} below oidc:"},
		{"redirect_url callback_url oidcredirecturi",
			"write redirect_uri below oidc:, or leave it out for oauth2/callback below the route's path"},
		{"scope oidcscope", "write scopes: [openid, profile] below oidc:"},
		{"email_domain email_domains", `write a rule with allow: claims.email_verified == true && claims.email.endsWith("@example.com")`},
		{"authenticated_emails_file", "write consumers: [...] beside routes:, and consumer_claims: [[email]] below oidc:"},
		{"skip_auth_routes skip_auth_regex skip_auth_paths", "write rules: [{paths: [/public], auth: off}]"},
		{"reverse_proxy trusted_ips trusted_proxy real_client_ip_header set_real_ip_from forwardedheaders",
			"write trusted_proxies: [10.0.0.0/8] beside routes:"},
		{"pass_access_token pass_authorization_header set_authorization_header", "write upstream_access_token_header below oidc:"},
		{"pass_user_headers set_xauthrequest pass_basic_auth oidcremoteuserclaim oidcpassclaimsas inject_request_headers " +
			"injectrequestheaders",
			"write upstream_headers: [{header: X-User, path: [preferred_username]}] below oidc:"},
		{"inject_response_headers injectresponseheaders", "write downstream_headers below oidc:"},
		{"skip_jwt_bearer_tokens", "write auth_methods: [authorization_code, session, bearer] below oidc:"},
		{"extra_jwt_issuers", "write issuers: [...] below oidc:"},
		{"oidc_groups_claim", "write groups_claim: [groups] below oidc:"},
		{"oidc_audience_claims oidc_extra_audiences", "write audience_required: [api] below oidc:"},
		{"code_challenge_method force_code_challenge_method oidcpkcemethod", "take it out: PKCE with S256 is always used"},
		{"skip_provider_button", "take it out: browsers are redirected to the login at once"},
		{"whitelist_domains whitelist_domain", "write logout_redirect_uri below oidc: for the page after a logout"},
		{"custom_templates_dir banner footer", "write pages: /path/of/a/folder"},
		{"ping_path ready_path metrics_address", "write admin: {listen: 127.0.0.1:9000}, which has /healthz and /readyz"},
		{"ssl_insecure_skip_verify insecure_skip_verify insecureskipverify oidcsslvalidateserver",
			"write ssl_verify: false below oidc:, or below upstream:"},
		{"provider_ca_files", "write ca_file: /path below oidc:"},
		{"insecure_oidc_skip_issuer_verification", "write issuers_allowed below oidc:"},
		{"logging_filename request_logging silence_ping_logging standard_logging", "write log: {level: info, access: true}"},

		// Traefik, nginx and mod_auth_openidc
		{"entrypoints entry_points", "write listen: 127.0.0.1:8000"},
		{"middlewares middleware http routers", "write route: and oidc: in a file for each route"},
		{"rule match", "write hosts: and paths: below route:"},
		{"oidcunauthaction", "write auth: in a rule, or on_unauthenticated"},
		{"require", "write claims and roles in rules:, as in roles_required: [admin]"},
	},
	"top": {
		{"upstream", "write route: {upstream: http://app:8080}"},
		{"tls https_address tls_cert_file tls_key_file ssl_certificate ssl_certificate_key cert_file",
			"write listen: {address: :8443, tls: {cert_file: /path, key_file: /path}}"},
	},
	"route": {
		{"host server_name domain", "write hosts: [app.example.com]"},
		{"timeout timeouts read_timeout proxy_read_timeout", "write upstream: {url: http://app:8080, response_header_timeout: 60s}"},
		{"connect_timeout proxy_connect_timeout", "write upstream: {url: http://app:8080, connect_timeout: 10s}"},
	},
	"rules": {
		{"scope", "write scopes_required: [read]"},
		{"claims required_claims", `write a CEL expression, as in allow: claims.email_verified == true`},
		{"user users emails", `write a CEL expression, as in allow: claims.email in ["john@example.com"]`},
		{"method", "write methods: [GET]"},
	},
	"oidc": {
		{"name instance_name enabled protocols tags", "write only the members of the plugin's config: here"},
	},
	"oidc.redis": {
		{"url uri dsn connection_string", "write host and port (and username, password, database, ssl), or socket"},
	},
}

// foreignKey returns what to write instead of a foreign key of a scope of foreignKeys, or "" for another key.
func foreignKey(scope, key string) string {
	key = strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	for _, f := range foreignKeys[scope] {
		if slices.Contains(strings.Fields(f.names), key) {
			return f.advice
		}
	}
	return ""
}
