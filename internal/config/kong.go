package config

// kongObjects are the refused parameters that are mappings, or lists of mappings.
var kongObjects = []string{"principals"}

const noMemcached = "write session_storage: redis, and redis: {host: ...}"

// kong has the parameters of Kong's openid-connect plugin that this version doesn't have.
var kong = []refusal{
	{"tls_client_auth_cert_id", "", "it names an entity of Kong: write tls_client_auth_cert_file and tls_client_auth_key_file"},

	{"introspection_check_active", "true", "a token that isn't active is always refused (RFC 7662 §2.2); take it out"},
	{"token_cache_key_include_scope", "true", "the cache key always has everything that changes the response; take it out"},

	{"principals", "{enabled: false}", "it is a directory of Kong; take it out"},

	{"session_memcached_host", "127.0.0.1", noMemcached},
	{"session_memcached_port", "11211", noMemcached},
	{"session_memcached_socket session_memcached_prefix", "", noMemcached},
	{"session_memcached_ssl", "false", noMemcached},
	{"session_memcached_ssl_verify", "true", noMemcached},

	{"unauthorized_destroy_session", "true",
		"a request with a valid session isn't refused with 401, and a session whose tokens can't be refreshed ends; take it out"},
	{"forbidden_destroy_session", "false", "a user who isn't allowed one page stays logged in"},
	{"http_version", "1.1", "the version is negotiated; take it out"},
}

// kongRedis has the members of redis that this version doesn't have.
var kongRedis = []refusal{
	{"keepalive_backlog", "", "write keepalive_pool_size"},
	{"cloud_authentication", "", "write username and password"},
}

// kongCertificate has the members of proof_of_possession_mtls_from_header that this version doesn't have.
var kongCertificate = []refusal{
	{"ca_certificates", "", "it names entities of Kong: write ca_file with the authorities' certificates as PEM"},
	{"secure_source", "true", "only a proxy of trusted_proxies is believed, because any other client could write the header; take it out"},
	{"revocation_check_mode", "SKIP", "revocation lists and OCSP aren't read: let the proxy that ends the client's TLS check them"},
	{"cert_cache_ttl http_timeout http_proxy_host http_proxy_port https_proxy_host https_proxy_port ssl_verify", "",
		"revocation isn't checked, so nothing is requested for it; take it out"},
}

// kongJWK has the members of client_jwk that this version doesn't have.
var kongJWK = []refusal{
	{"k", "", "the secret for client_secret_jwt is client_secret: write client_auth: client_secret_jwt"},
	{"oth r t", "", "a key with more than two primes isn't supported: generate one with two"},
}

// renamed has the former names of Kong's parameters.
var renamed = []refusal{
	{"authorization_cookie_lifetime", "", "Kong renamed it: write authorization_rolling_timeout"},
	{"authorization_cookie_samesite", "", "Kong renamed it: write authorization_cookie_same_site"},
	{"authorization_cookie_httponly", "", "Kong renamed it: write authorization_cookie_http_only"},
	{"session_cookie_lifetime", "", "Kong renamed it: write session_rolling_timeout"},
	{"session_cookie_idletime", "", "Kong renamed it: write session_idling_timeout"},
	{"session_cookie_samesite", "", "Kong renamed it: write session_cookie_same_site"},
	{"session_cookie_httponly", "", "Kong renamed it: write session_cookie_http_only"},
	{"session_cookie_renew session_cookie_maxsize session_strategy session_compressor", "", "Kong removed it; take it out"},
	{"session_redis_host session_redis_port session_redis_socket session_redis_prefix session_redis_username session_redis_password " +
		"session_redis_ssl session_redis_ssl_verify session_redis_server_name session_redis_connect_timeout " +
		"session_redis_send_timeout session_redis_read_timeout", "", "Kong renamed it: write redis: {...} with the same member"},
	{"session_redis_auth", "", "Kong renamed it: write redis: {password: ...}"},
	{"session_redis_cluster_nodes session_redis_cluster_max_redirections", "", "Kong renamed it: write redis: {...} with the same member"},
}

// laterRoute has the keys of routes that this version doesn't have.
var laterRoute = []refusal{{"methods", "[]", "write them in an entry of rules:"}}

// kongValues has, by parameter, the values that this version doesn't have.
var kongValues = map[string]map[string]string{
	"disable_session": {
		"session": "a session gets a new ID after 3/4 of session_rolling_timeout, which 0 switches off; take it out",
	},
	"session_storage": {
		"memcache":  "write redis",
		"memcached": "write redis",
	},
	"response_mode": {
		"fragment":     "browsers don't send fragments to a server; write query",
		"fragment.jwt": "browsers don't send fragments to a server; write query.jwt",
	},
	"response_type": {
		"id_token":            "write code",
		"token":               "write code",
		"code token":          "write code",
		"code id_token token": "write code id_token",
	},
	"id_token_signed_response_alg": {
		"none": "an unsigned ID token proves nothing; let the issuer sign with RS256 or ES256",
	},
}
