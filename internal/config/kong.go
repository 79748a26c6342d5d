package config

// kongObjects are the refused parameters that are mappings, or lists of mappings.
var kongObjects = []string{
	"client_jwk", "cluster_cache_redis", "downstream_headers", "principals", "proof_of_possession_mtls_from_header",
	"protected_resource_metadata", "token_exchange",
}

const (
	fromMetadata = "it comes from the issuer's metadata; take it out"
	noAssertions = "write client_auth: client_secret_basic or client_secret_post, with client_secret"
	noIntrospect = "auth_methods has no introspection: access tokens are verified as JWTs by bearer; take it out"
	noUserinfo   = "userinfo isn't asked: claims come from the access token and the ID token; take it out"
	noGrant      = "auth_methods has no flow that reads it; take it out"
	noDownstream = "tokens and claims aren't sent to clients; an upstream can answer with what upstream_headers gave it; take it out"
	noConsumers  = "there are no consumers: use groups_required or roles_required, and upstream_headers to name the user; take it out"
	noMemcached  = "write session_storage: redis, and redis: {host: ...}"
	noExchange   = "tokens aren't exchanged: the upstream gets the caller's own; take it out"
	noCache      = "nothing of that kind is cached, and verified tokens are kept until they expire; take it out"
	noRemember   = "for longer sessions write session_rolling_timeout and session_absolute_timeout; take it out"
	noDPoP       = "tokens aren't bound to keys or certificates; take it out"
	noTokenArgs  = "the token request has the standard's parameters only; take it out"
	ownLogout    = "POST to oauth2/logout below the route's first path ends a session; take it out"
	afterLogin   = "after a login the browser is sent to the page that it asked for, without tokens; take it out"
)

// kong are the parameters of Kong's openid-connect plugin that aren't built.
var kong = []refusal{
	{"using_pseudo_issuer", "false", "metadata is always fetched; take it out"},
	{"extra_jwks_uris", "[]", "keys belong to one issuer: give other issuers routes of their own"},
	{"jwks_endpoint authorization_endpoint token_endpoint userinfo_endpoint end_session_endpoint", "", fromMetadata},
	{"introspection_endpoint mtls_introspection_endpoint introspection_endpoint_auth_method", "", noIntrospect},
	{"revocation_endpoint mtls_revocation_endpoint revocation_endpoint_auth_method", "", "tokens aren't revoked at logout; take it out"},
	{"token_exchange_endpoint token_exchange", "", noExchange},
	{"pushed_authorization_request_endpoint pushed_authorization_request_endpoint_auth_method", "", "authorization requests aren't pushed; take it out"},
	{"mtls_token_endpoint", "", "clients prove themselves by secret: " + noAssertions},

	{"client_alg client_jwk", "[]", "clients prove themselves by secret: " + noAssertions},
	{"client_arg", "client_id", "a route has one client: make a route for each"},
	{"token_endpoint_auth_method", "", "write client_auth"},
	{"tls_client_auth_cert_id", "", "it is an entity of Kong's, and client certificates will be read from tls_client_auth_cert_file and tls_client_auth_key_file: " + noAssertions},
	{"tls_client_auth_ssl_verify", "true", "write ssl_verify"},

	{"disable_session", "[]", "a session begins with a login only, never with a bearer token; take it out"},
	{"anonymous", "", "it is a consumer of Kong's: write a rule with auth: optional"},
	{"run_on_preflight", "true", "write a rule with methods: [OPTIONS] and auth: off"},
	{"hide_credentials", "true", "credentials never reach the upstream; the access token does by upstream_access_token_header"},

	{"bearer_token_header_name", "Authorization|authorization", "a bearer token is read from the Authorization header (RFC 6750 §2.1); take it out"},
	{"bearer_token_cookie_name", "", "a bearer token is read from the Authorization header (RFC 6750 §2.1); take it out"},
	{"client_credentials_param_type password_param_type refresh_token_param_type id_token_param_type", "[body, header, query]", noGrant},
	{"refresh_token_param_name id_token_param_name", "", noGrant},
	{"jwt_session_cookie", "", "a token isn't compared with a cookie; take it out"},
	{"jwt_session_claim", "sid", "a token isn't compared with a cookie; take it out"},

	{"require_pushed_authorization_requests", "false", "authorization requests aren't pushed: choose a client at the issuer that needn't"},
	{"require_signed_request_object", "false", "request objects aren't signed: choose a client at the issuer that needn't"},
	{"preserve_query_args", "true", "the query of the page that was asked for is always kept"},

	{"token_headers_names token_headers_values token_headers_client", "[]", noTokenArgs},
	{"token_post_args_names token_post_args_values token_post_args_client", "[]", noTokenArgs},
	{"token_headers_replay token_headers_grants", "[]", noDownstream},
	{"token_headers_prefix", "", noDownstream},

	{"introspect_jwt_tokens", "false", noIntrospect},
	{"introspection_check_active", "true", noIntrospect},
	{"introspection_hint", "access_token", noIntrospect},
	{"introspection_token_param_name revocation_token_param_name", "token", "no token is sent there; take it out"},
	{"introspection_accept", "application/json", noIntrospect},
	{"introspection_headers_names introspection_headers_values introspection_headers_client", "[]", noIntrospect},
	{"introspection_post_args_names introspection_post_args_values introspection_post_args_client", "[]", noIntrospect},
	{"introspection_post_args_client_headers", "[]", noIntrospect},

	{"search_user_info resolve_distributed_claims", "false", noUserinfo},
	{"userinfo_accept", "application/json", noUserinfo},
	{"userinfo_headers_names userinfo_headers_values userinfo_headers_client", "[]", noUserinfo},
	{"userinfo_query_args_names userinfo_query_args_values userinfo_query_args_client", "[]", noUserinfo},

	{"verify_parameters", "false", "the issuer's metadata decides; take it out"},
	{"verify_nonce verify_claims verify_signature", "true", "it is always verified; for a lenient clock write leeway, for another issuer issuers_allowed"},
	{"ignore_signature", "[]", "signatures are always verified; take it out"},
	{"enable_hs_signatures", "false", "a secret that verifies can also sign: have the issuer sign with RS256 or ES256"},
	{"domains claims_forbidden", "[]", "it would let everybody in, so the file is refused: use groups_required, roles_required or scopes_required"},
	{"reverify", "false", "the tokens of a session are verified at login and at each refresh; take it out"},

	{"proof_of_possession_dpop proof_of_possession_mtls", "off", noDPoP},
	{"dpop_use_nonce", "false", noDPoP},
	{"dpop_proof_lifetime", "300", noDPoP},
	{"proof_of_possession_auth_methods_validation", "true", noDPoP},
	{"proof_of_possession_mtls_from_header", "", "tokens aren't bound to certificates, and ca_certificates are entities of Kong's, which will be read from a file, ca_file; take it out"},

	{"consumer_claims consumer_groups_claim", "[]", noConsumers},
	{"consumer_by", "[custom_id, username]", noConsumers},
	{"by_username_ignore_case consumer_optional consumer_groups_optional", "false", noConsumers},
	{"credential_claim", "", "write upstream_headers: [{header: X-Credential-Identifier, path: [sub]}]"},
	{"authenticated_groups_claim", "[]", "write upstream_headers: [{header: X-Authenticated-Groups, path: [groups]}]"},
	{"principals", "{enabled: false}", "it is a directory of Kong's; take it out"},

	{"upstream_access_token_jwk_header upstream_id_token_jwk_header", "", "keys aren't sent to the upstream, which can ask the issuer; take it out"},
	{"upstream_refresh_token_header", "", "a refresh token never leaves the gate; take it out"},
	{"upstream_user_info_header upstream_user_info_jwt_header", "", noUserinfo},
	{"upstream_introspection_header upstream_introspection_jwt_header", "", noIntrospect},
	{"upstream_session_id_header", "", "a session ID never leaves the gate: write upstream_headers: [{header: X-Session, path: [sid]}]"},
	{"downstream_headers downstream_headers_claims downstream_headers_names", "[]", noDownstream},
	{"downstream_access_token_header downstream_access_token_jwk_header downstream_id_token_header downstream_id_token_jwk_header", "", noDownstream},
	{"downstream_refresh_token_header downstream_user_info_header downstream_user_info_jwt_header", "", noDownstream},
	{"downstream_introspection_header downstream_introspection_jwt_header downstream_session_id_header", "", noDownstream},

	{"session_remember", "false", noRemember},
	{"session_remember_cookie_name", "remember", noRemember},
	{"session_remember_rolling_timeout", "604800", noRemember},
	{"session_remember_absolute_timeout", "2592000", noRemember},
	{"session_bind", "[]", "a session isn't bound to address or browser, which change; take it out"},
	{"session_hash_storage_key", "true", "the store sees only a hash of the session ID"},
	{"session_store_metadata", "true", "sessions are always indexed by subject"},
	{"session_hash_subject", "true", "the index holds only hashes"},
	{"session_enforce_same_subject", "false", "audiences in one session are independent; take it out"},
	{"session_request_headers session_response_headers", "[]", "properties of a session aren't sent; take it out"},
	{"session_memcached_host", "127.0.0.1", noMemcached},
	{"session_memcached_port", "11211", noMemcached},
	{"session_memcached_socket session_memcached_prefix", "", noMemcached},
	{"session_memcached_ssl", "false", noMemcached},
	{"session_memcached_ssl_verify", "true", noMemcached},

	{"cache_tokens cache_introspection cache_user_info cache_token_exchange", "true", noCache},
	{"cache_tokens_salt cache_ttl_max cache_ttl_min cache_ttl_neg cache_ttl_resurrect", "", noCache},
	{"token_cache_key_include_scope", "false", noCache},
	{"cache_ttl", "3600", noCache},
	{"cluster_cache_strategy", "off", noCache},
	{"cluster_cache_items", "[]|[introspection]", noCache},
	{"cluster_cache_redis", "", noCache},

	{"login_methods", "[authorization_code]", afterLogin},
	{"login_action", "redirect", afterLogin},
	{"login_tokens", "[]", afterLogin},
	{"login_redirect_mode", "fragment", afterLogin},
	{"login_redirect_uri", "[]", afterLogin},
	{"logout_methods", "[DELETE, POST]", ownLogout},
	{"logout_query_arg logout_post_arg logout_uri_suffix", "", ownLogout},
	{"logout_revoke", "false", "tokens aren't revoked at logout, which ends the provider's session instead; take it out"},
	{"logout_revoke_access_token logout_revoke_refresh_token", "true", "tokens aren't revoked at logout; take it out"},

	{"unauthorized_destroy_session", "true|false", "a 401 finds no session to end; take it out"},
	{"forbidden_destroy_session", "false", "a person who may not see one page stays logged in"},
	{"http_version", "1.1", "the version is negotiated; take it out"},
	{"protected_resource_metadata", "", "no metadata of the resource is served; take it out"},
}

// kongRedis are the members of redis that aren't built.
var kongRedis = []refusal{
	{"keepalive_backlog", "", "write keepalive_pool_size"},
	{"connection_is_proxied", "false", "give the proxy's address as host; take it out"},
	{"cluster_max_redirections", "5", "one Redis server is used: write host"},
	{"cluster_nodes sentinel_nodes", "[]", "one Redis server is used: write host"},
	{"sentinel_master sentinel_role sentinel_username sentinel_password", "", "one Redis server is used: write host"},
	{"cloud_authentication", "", "write username and password"},
}

// renamed are parameters that Kong itself calls otherwise by now.
var renamed = []refusal{
	{"authorization_cookie_lifetime", "", "Kong renamed it: write authorization_rolling_timeout"},
	{"authorization_cookie_samesite", "", "Kong renamed it: write authorization_cookie_same_site"},
	{"authorization_cookie_httponly", "", "Kong renamed it: write authorization_cookie_http_only"},
	{"session_cookie_lifetime", "", "Kong renamed it: write session_rolling_timeout"},
	{"session_cookie_idletime", "", "Kong renamed it: write session_idling_timeout"},
	{"session_cookie_samesite", "", "Kong renamed it: write session_cookie_same_site"},
	{"session_cookie_httponly", "", "Kong renamed it: write session_cookie_http_only"},
	{"session_cookie_renew session_cookie_maxsize session_strategy session_compressor", "", "Kong removed it; take it out"},
	{"session_redis_host session_redis_port session_redis_socket session_redis_prefix session_redis_username session_redis_password", "", "Kong renamed it: write redis: {...} with the same member"},
	{"session_redis_ssl session_redis_ssl_verify session_redis_server_name session_redis_connect_timeout session_redis_send_timeout session_redis_read_timeout", "", "Kong renamed it: write redis: {...} with the same member"},
	{"session_redis_auth", "", "Kong renamed it: write redis: {password: ...}"},
	{"session_redis_cluster_nodes session_redis_cluster_max_redirections", "", "one Redis server is used: write redis: {host: ...}"},
	{"consumer_claim", "[]", noConsumers},
}

// process are top-level keys that aren't built.
var process = []refusal{
	{"consumers", "[]", "use groups_required or roles_required, and upstream_headers to name the user"},
	{"oauth2", "", "there is no issuer built in: take tokens from the one that issuer: names"},
	{"metrics tracing", "", "the log has a line for each request; take it out"},
}

// laterRules and laterRoute are keys of rules and routes that aren't built.
var (
	laterRules = []refusal{{"allow", "", "use scopes_required, audience_required, groups_required or roles_required"}}
	laterRoute = []refusal{{"methods", "[]", "write them in an entry of rules:"}}
)

// kongValues are values of built parameters that aren't built.
var kongValues = map[string]map[string]string{
	"auth_methods": {
		"introspection":      "bearer verifies access tokens that are JWTs; have the issuer issue those",
		"userinfo":           "bearer verifies access tokens that are JWTs; have the issuer issue those",
		"kong_oauth2":        "there is no issuer built in; take tokens from the one that issuer: names, with bearer",
		"client_credentials": "have the program ask the issuer for a token, and read it with bearer",
		"password":           "have people log in with authorization_code",
		"refresh_token":      "have the program ask the issuer for a token, and read it with bearer; sessions refresh by themselves",
	},
	"bearer_token_param_type": {
		"query":  "a token in a URL ends up in logs (RFC 6750 §5.3); write header",
		"body":   "write header (RFC 6750 §2.1)",
		"cookie": "write header (RFC 6750 §2.1); for browsers there is session",
	},
	"session_storage": {
		"cookie":    "write memory for one replica, redis for several",
		"memcache":  "write redis",
		"memcached": "write redis",
	},
	"response_mode": {
		"form_post":     "write query; the code is bound to this browser by PKCE, and used once",
		"form_post.jwt": "write query",
		"query.jwt":     "write query",
		"jwt":           "write query",
		"fragment":      "a server can't read a fragment; write query",
		"fragment.jwt":  "a server can't read a fragment; write query",
	},
	"response_type": {
		"id_token":            "write code",
		"token":               "write code",
		"code id_token":       "write code",
		"code token":          "write code",
		"code id_token token": "write code",
	},
	"client_auth": {
		"client_secret_jwt":           "write client_secret_basic or client_secret_post",
		"private_key_jwt":             "write client_secret_basic or client_secret_post",
		"tls_client_auth":             "write client_secret_basic or client_secret_post",
		"self_signed_tls_client_auth": "write client_secret_basic or client_secret_post",
	},
	"id_token_signed_response_alg": {
		"HS256": "a secret that verifies can also sign; have the issuer sign with RS256 or ES256",
		"HS384": "a secret that verifies can also sign; have the issuer sign with RS256 or ES256",
		"HS512": "a secret that verifies can also sign; have the issuer sign with RS256 or ES256",
		"none":  "an unsigned ID token proves nothing; have the issuer sign with RS256 or ES256",
	},
}
