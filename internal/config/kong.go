package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A later parameter is one of Kong's that this version doesn't have. It is refused by name, so that nothing is silently
// ignored, unless its value says what the gate does anyway: null, or same.
type later struct {
	same string
	why  string
}

// kong are the parameters of Kong's openid-connect plugin that aren't fields.
var kong = map[string]*later{
	"using_pseudo_issuer":                               {same: "false"},
	"extra_jwks_uris":                                   {},
	"jwks_endpoint":                                     {},
	"authorization_endpoint":                            {},
	"token_endpoint":                                    {},
	"introspection_endpoint":                            {},
	"revocation_endpoint":                               {},
	"userinfo_endpoint":                                 {},
	"end_session_endpoint":                              {},
	"token_exchange_endpoint":                           {},
	"pushed_authorization_request_endpoint":             {},
	"mtls_token_endpoint":                               {},
	"mtls_introspection_endpoint":                       {},
	"mtls_revocation_endpoint":                          {},
	"client_alg":                                        {},
	"client_jwk":                                        {},
	"client_arg":                                        {},
	"token_endpoint_auth_method":                        {},
	"introspection_endpoint_auth_method":                {},
	"revocation_endpoint_auth_method":                   {},
	"pushed_authorization_request_endpoint_auth_method": {},
	"tls_client_auth_cert_id":                           {why: "entity ids mean nothing here"},
	"tls_client_auth_ssl_verify":                        {same: "true"},
	"disable_session":                                   {same: "[]"},
	"anonymous":                                         {why: "use a rule with auth: optional"},
	"run_on_preflight":                                  {same: "true", why: "use a rule with methods: [OPTIONS] and auth: off"},
	"hide_credentials":                                  {same: "true", why: "a credential never goes to the upstream but as upstream_access_token_header says"},
	"bearer_token_header_name":                          {},
	"bearer_token_cookie_name":                          {},
	"client_credentials_param_type":                     {},
	"password_param_type":                               {},
	"refresh_token_param_type":                          {},
	"refresh_token_param_name":                          {},
	"id_token_param_type":                               {},
	"id_token_param_name":                               {},
	"jwt_session_cookie":                                {},
	"jwt_session_claim":                                 {},
	"require_pushed_authorization_requests":             {same: "false"},
	"require_signed_request_object":                     {same: "false"},
	"preserve_query_args":                               {why: "the page that was asked for keeps its query anyway: leave it out"},
	"token_headers_names":                               {},
	"token_headers_values":                              {},
	"token_headers_client":                              {},
	"token_post_args_names":                             {},
	"token_post_args_values":                            {},
	"token_post_args_client":                            {},
	"token_headers_replay":                              {},
	"token_headers_prefix":                              {},
	"token_headers_grants":                              {},
	"introspect_jwt_tokens":                             {same: "false"},
	"introspection_check_active":                        {},
	"introspection_hint":                                {},
	"introspection_token_param_name":                    {},
	"introspection_accept":                              {},
	"introspection_headers_names":                       {},
	"introspection_headers_values":                      {},
	"introspection_headers_client":                      {},
	"introspection_post_args_names":                     {},
	"introspection_post_args_values":                    {},
	"introspection_post_args_client":                    {},
	"introspection_post_args_client_headers":            {},
	"search_user_info":                                  {same: "false"},
	"userinfo_accept":                                   {},
	"userinfo_headers_names":                            {},
	"userinfo_headers_values":                           {},
	"userinfo_headers_client":                           {},
	"userinfo_query_args_names":                         {},
	"userinfo_query_args_values":                        {},
	"userinfo_query_args_client":                        {},
	"resolve_distributed_claims":                        {same: "false"},
	"verify_parameters":                                 {same: "false"},
	"verify_nonce":                                      {same: "true", why: "the nonce is always verified"},
	"verify_claims":                                     {same: "true", why: "standard claims are always verified"},
	"verify_signature":                                  {same: "true", why: "signatures are always verified"},
	"ignore_signature":                                  {same: "[]", why: "signatures are always verified"},
	"enable_hs_signatures":                              {same: "false", why: "only asymmetric algorithms are accepted"},
	"domains":                                           {},
	"reverify":                                          {same: "false"},
	"claims_forbidden":                                  {},
	"proof_of_possession_dpop":                          {same: "off"},
	"dpop_use_nonce":                                    {same: "false"},
	"dpop_proof_lifetime":                               {},
	"proof_of_possession_mtls":                          {same: "off"},
	"proof_of_possession_auth_methods_validation":       {},
	"proof_of_possession_mtls_from_header":              {},
	"consumer_claims":                                   {},
	"consumer_by":                                       {},
	"by_username_ignore_case":                           {same: "false"},
	"consumer_optional":                                 {same: "false"},
	"consumer_groups_claim":                             {},
	"consumer_groups_optional":                          {same: "false"},
	"credential_claim":                                  {},
	"authenticated_groups_claim":                        {},
	"principals":                                        {why: "it is a service of another product"},
	"upstream_access_token_jwk_header":                  {},
	"upstream_id_token_jwk_header":                      {},
	"upstream_refresh_token_header":                     {},
	"upstream_user_info_header":                         {},
	"upstream_user_info_jwt_header":                     {},
	"upstream_introspection_header":                     {},
	"upstream_introspection_jwt_header":                 {},
	"upstream_session_id_header":                        {},
	"downstream_headers":                                {},
	"downstream_headers_claims":                         {},
	"downstream_headers_names":                          {},
	"downstream_access_token_header":                    {},
	"downstream_access_token_jwk_header":                {},
	"downstream_id_token_header":                        {},
	"downstream_id_token_jwk_header":                    {},
	"downstream_refresh_token_header":                   {},
	"downstream_user_info_header":                       {},
	"downstream_user_info_jwt_header":                   {},
	"downstream_introspection_header":                   {},
	"downstream_introspection_jwt_header":               {},
	"downstream_session_id_header":                      {},
	"session_remember":                                  {same: "false"},
	"session_remember_cookie_name":                      {},
	"session_remember_rolling_timeout":                  {},
	"session_remember_absolute_timeout":                 {},
	"session_bind":                                      {},
	"session_hash_storage_key":                          {same: "true", why: "the store never sees a session ID"},
	"session_store_metadata":                            {same: "true", why: "sessions are always indexed by subject"},
	"session_hash_subject":                              {same: "true", why: "the index never holds a subject in the clear"},
	"session_enforce_same_subject":                      {same: "false"},
	"session_request_headers":                           {},
	"session_response_headers":                          {},
	"session_memcached_host":                            {why: "use session_storage: redis"},
	"session_memcached_port":                            {why: "use session_storage: redis"},
	"session_memcached_socket":                          {why: "use session_storage: redis"},
	"session_memcached_prefix":                          {why: "use session_storage: redis"},
	"session_memcached_ssl":                             {why: "use session_storage: redis"},
	"session_memcached_ssl_verify":                      {why: "use session_storage: redis"},
	"cache_tokens":                                      {},
	"cache_tokens_salt":                                 {},
	"token_cache_key_include_scope":                     {},
	"cache_introspection":                               {},
	"cache_user_info":                                   {},
	"cache_token_exchange":                              {},
	"cache_ttl":                                         {},
	"cache_ttl_max":                                     {},
	"cache_ttl_min":                                     {},
	"cache_ttl_neg":                                     {},
	"cache_ttl_resurrect":                               {},
	"cluster_cache_strategy":                            {same: "off"},
	"cluster_cache_items":                               {},
	"cluster_cache_redis":                               {},
	"login_methods":                                     {},
	"login_action":                                      {why: "after a login the browser goes to the page that it asked for: leave it out"},
	"login_tokens":                                      {same: "[]", why: "no tokens are put into answers"},
	"login_redirect_mode":                               {},
	"login_redirect_uri":                                {},
	"logout_methods":                                    {},
	"logout_query_arg":                                  {},
	"logout_post_arg":                                   {},
	"logout_uri_suffix":                                 {},
	"logout_revoke":                                     {same: "false"},
	"logout_revoke_access_token":                        {},
	"logout_revoke_refresh_token":                       {},
	"revocation_token_param_name":                       {},
	"unauthorized_destroy_session":                      {same: "false", why: "a session ends by logout, time, or its issuer: a link on a foreign page must not end it"},
	"forbidden_destroy_session":                         {same: "false", why: "a session ends by logout, time, or its issuer: a link on a foreign page must not end it"},
	"http_version":                                      {same: "1.1", why: "the version is negotiated"},
	"token_exchange":                                    {},
	"protected_resource_metadata":                       {},
}

// laterBlocks are blocks that this version doesn't have.
var laterBlocks = map[string]string{
	"consumers": "consumers aren't in this version",
	"oauth2":    "the built-in issuer isn't in this version",
	"metrics":   "metrics aren't in this version",
	"tracing":   "tracing isn't in this version",
	"issuers":   "several issuers on one route aren't in this version: write a route for each",
	"acl":       "acl isn't in this version: use groups_required",
	"pages":     "pages of one's own aren't in this version",
}

// laterValues say why a value of Kong's is refused.
var laterValues = func() map[string]string {
	all := map[string]string{
		"session_storage=cookie":    "this version keeps sessions on the server",
		"session_storage=memcached": "use redis",
		"session_storage=memcache":  "use redis",
	}
	for name, values := range map[string]string{
		"auth_methods":                 "client_credentials introspection kong_oauth2 password refresh_token userinfo",
		"bearer_token_param_type":      "body cookie query",
		"response_mode":                "form_post form_post.jwt jwt query.jwt",
		"client_auth":                  "client_secret_jwt private_key_jwt self_signed_tls_client_auth tls_client_auth",
		"id_token_signed_response_alg": "HS256 HS384 HS512 none",
	} {
		for v := range strings.FieldsSeq(values) {
			all[name+"="+v] = v + " isn't in this version"
		}
	}
	all["response_mode=fragment"] = "a server never sees a fragment"
	all["response_mode=fragment.jwt"] = "a server never sees a fragment"
	return all
}()

// unknownOIDC says what is wrong with a key of the oidc block that is no field.
func unknownOIDC(p pair) string {
	l := kong[p.name]
	if l == nil {
		if why := laterBlocks[p.name]; why != "" {
			return "oidc: " + p.name + ": " + why
		}
		if _, found := routeFields[p.name]; found || slices.Contains(routeKeys, p.name) {
			return "oidc: unknown key " + p.name + ": it belongs under route:, or beside oidc:"
		}
		return "oidc: unknown key " + p.name + didYouMean(p.name, oidcNames)
	}
	if l.means(p.value) {
		return ""
	}
	text := p.name + " isn't in this version"
	if l.why != "" {
		text += ": " + l.why
	}
	if l.same != "" {
		text += fmt.Sprintf(" (only %s can be written)", l.same)
	}
	return text
}

// means reports whether a value says what the gate does anyway.
func (l *later) means(n *yaml.Node) bool {
	switch {
	case isNull(n):
		return true
	case l.same == "[]":
		return n.Kind == yaml.SequenceNode && len(n.Content) == 0
	default:
		return n.Kind == yaml.ScalarNode && l.same != "" && n.Value == l.same
	}
}
