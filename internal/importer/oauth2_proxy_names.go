package importer

import "strings"

// An o2pOption is an option of oauth2-proxy.
type o2pOption struct {
	name   string // in the configuration file; OAUTH2_PROXY_ and upper case in the environment
	flag   string // on the command line
	list   bool
	onoff  bool   // a flag without a value means true
	differ string // what differs if it is set; "" if a converter reads it
}

// o2pNames has the options by the name in the configuration file, o2pFlags by the flag.
var o2pNames, o2pFlags = o2pTable()

// o2pTable reads o2pOptionTable.
func o2pTable() (names, flags map[string]*o2pOption) {
	names, flags = map[string]*o2pOption{}, map[string]*o2pOption{}
	for line := range strings.Lines(o2pOptionTable) {
		head, differ, _ := strings.Cut(strings.TrimSpace(line), " | ")
		words := strings.Fields(head)
		if len(words) == 0 {
			continue
		}
		o := &o2pOption{name: words[0], flag: strings.ReplaceAll(words[0], "_", "-"), differ: differ}
		for _, word := range words[1:] {
			switch word {
			case "list":
				o.list = true
			case "singular": // the flag has no s
				o.flag = strings.TrimSuffix(o.flag, "s")
			case "switch":
				o.onoff = true
			}
		}
		names[o.name], flags[o.flag] = o, o
	}
	names["google_group"] = names["google_groups"] // its former name
	return names, flags
}

// o2pOptionTable has a line for each option: its name, whether it is a list whose flag is singular, or a switch, and what differs if it is
// set. An option without a text is read by a converter.
const o2pOptionTable = `
acr_values
allow_query_semicolons switch | the gate sends the query unchanged, semicolons included
allowed_groups list singular
allowed_roles list singular
api_routes list singular
approval_prompt | it isn't sent; prompt: write authorization_query_args_names and authorization_query_args_values
auth_logging switch | the log has a line for each request, and log.audit for each login
auth_logging_format | the log's lines are JSON, or text with log.format: text
auth_request_response_mode
authenticated_emails_file
azure_graph_group_field | the gate doesn't ask Microsoft Graph: let Entra ID write groups into the ID token (Token configuration)
azure_tenant
backend_logout_url | at a logout the gate sends the browser to the issuer's end_session_endpoint; logout_revoke: true revokes the tokens
banner | for texts of your own write pages, a folder with templates
basic_auth_password
bearer_token_login_fallback switch | a bad token is always refused with 401; a request without a token may log in
bitbucket_repository
bitbucket_team
client_id
client_secret
client_secret_file
code_challenge_method
cookie_csrf_expire
cookie_csrf_per_request switch | each login has a cookie of its own, always
cookie_csrf_per_request_limit | the number of logins at the same time is bounded by the gate
cookie_csrf_samesite
cookie_domains list singular
cookie_expire
cookie_httponly switch
cookie_name
cookie_path
cookie_refresh
cookie_samesite
cookie_secret
cookie_secret_file
cookie_secure switch
custom_sign_in_logo | there is no sign-in page: a browser goes to the issuer at once
custom_templates_dir | the templates have another form: write pages, a folder with templates
disable_keep_alives switch
display_htpasswd_form switch | there is no form for passwords
email_domains list singular
encode_state switch | the state is opaque, always
entra_id_allowed_tenants list singular
entra_id_federated_token_auth switch
errors_to_info_log switch | the whole log is on standard error
exclude_logging_paths list singular | log.access: false keeps the lines of refusals and errors only; single paths can't be left out
extra_jwt_issuers list
flush_interval | a response is forwarded as it comes, without a buffer
footer | for texts of your own write pages, a folder with templates
force_code_challenge_method
force_https switch
force_json_errors switch | a browser gets a page, and a program JSON
gcp_healthchecks switch | the admin listener answers /healthz and /readyz
github_org
github_repo
github_team
github_token
github_users list singular
gitlab_groups list singular
gitlab_projects list singular
google_admin_api_user_scope | the gate doesn't ask Google's Admin API
google_admin_email
google_groups list singular
google_service_account_json
google_target_principal
google_use_application_default_credentials switch
google_use_organization_id switch
htpasswd_file | the gate has no passwords of its own: these users can't log in, until the issuer has them
htpasswd_user_groups list singular | the gate has no passwords of its own
http_address
https_address
insecure_oidc_allow_unverified_email switch
insecure_oidc_skip_issuer_verification switch
insecure_oidc_skip_nonce switch
jwt_key
jwt_key_file
keycloak_groups list singular
logging_compress switch | the log is on standard error: let the system rotate it
logging_filename | the log is on standard error: let the system write it to a file
logging_local_time switch | the times of the log are those of the system
logging_max_age | the log is on standard error: let the system rotate it
logging_max_backups | the log is on standard error: let the system rotate it
logging_max_size | the log is on standard error: let the system rotate it
login_url
metrics_address
metrics_secure_address
metrics_tls_cert_file
metrics_tls_key_file
oidc_audience_claims list singular
oidc_email_claim
oidc_enabled_signing_algs list singular
oidc_extra_audiences list singular
oidc_groups_claim
oidc_issuer_url
oidc_jwks_url
oidc_public_key_files list singular
pass_access_token switch
pass_authorization_header switch
pass_basic_auth switch
pass_host_header switch
pass_user_headers switch
ping_path | the admin listener answers /healthz: let the probes ask it
ping_user_agent | the admin listener answers /healthz: let the probes ask it
prefer_email_to_user switch
profile_url
prompt
provider
provider_ca_files list singular
provider_display_name | there is no sign-in page: a browser goes to the issuer at once
proxy_prefix
proxy_websockets switch
pubjwk_url
ready_path | the admin listener answers /readyz: let the probes ask it
real_client_ip_header
redeem_url
redirect_url
redis_ca_path
redis_cluster_connection_urls list
redis_connection_idle_timeout | a connection to Redis that has ended is replaced
redis_connection_url
redis_insecure_skip_tls_verify switch
redis_password
redis_sentinel_connection_urls list
redis_sentinel_master_name
redis_sentinel_password
redis_use_cluster switch
redis_use_sentinel switch
redis_username
relative_redirect_url switch
request_id_header
request_logging switch
request_logging_format | the log's lines are JSON, or text with log.format: text
resource
reverse_proxy switch
scope
session_cookie_minimal switch | the browser has a signed ID only, and the tokens stay in the gate or in Redis
session_store_type
set_authorization_header switch
set_basic_auth switch
set_xauthrequest switch
show_debug_on_error switch | the cause of an error is in the log; display_errors: true shows it to clients
signature_key | requests to the upstream have no GAP-Signature: upstream_assertion_header sends a signed JWT about the user
silence_ping_logging switch | requests to the admin listener aren't logged
skip_auth_preflight switch
skip_auth_regex list
skip_auth_routes list singular
skip_auth_strip_headers switch
skip_claims_from_profile_url switch
skip_jwt_bearer_tokens switch
skip_oidc_discovery switch
skip_provider_button switch
ssl_insecure_skip_verify switch
ssl_upstream_insecure_skip_verify switch
standard_logging switch | log.level: error leaves out all but errors
standard_logging_format | the log's lines are JSON, or text with log.format: text
tls_cert_file
tls_cipher_suites list singular
tls_key_file
tls_min_version
trusted_ips list singular
trusted_proxy_ips list singular
upstream_timeout
upstreams list singular
use_system_trust_store switch
user_id_claim
validate_url
whitelist_domains list singular
`
