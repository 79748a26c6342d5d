package importer

import (
	"slices"
	"strings"
)

// ordinary are the keys that say nothing about requests.
const ordinary = "id name tags created_at updated_at ws_id _comment "

// keys are the keys that are read, or say nothing about requests, by the kind of entity.
var keys = map[string][]string{
	"services": strings.Fields(ordinary + "url protocol host port path retries connect_timeout read_timeout write_timeout tls_verify " +
		"tls_verify_depth tls_sans ca_certificates client_certificate enabled routes plugins"),
	"routes": strings.Fields(ordinary + "service plugins hosts paths methods protocols strip_path preserve_host headers sources " +
		"destinations snis regex_priority path_handling https_redirect_status_code request_buffering response_buffering expression priority"),
	"plugins": strings.Fields(ordinary + "config _config enabled service route consumer consumer_group protocols instance_name ordering " +
		"run_on"),
	"consumers": strings.Fields(ordinary + "username custom_id type groups plugins acls " + strings.Join(credentials, " ")),
	"upstreams": strings.Fields(ordinary + "algorithm hash_on hash_on_cookie hash_on_cookie_path hash_on_header hash_on_query_arg " +
		"hash_on_uri_capture hash_fallback hash_fallback_header hash_fallback_query_arg hash_fallback_uri_capture slots healthchecks " +
		"host_header client_certificate use_srv_name targets sticky_sessions_cookie sticky_sessions_cookie_path"),
}

// noteUnknownKeys notes the keys of entities that aren't read. Those of routes are judged with their conditions.
func (k *kong) noteUnknownKeys() {
	for _, kind := range []string{"services", "plugins", "consumers", "upstreams"} {
		for _, e := range k.all[kind] {
			for _, p := range e.Pairs {
				if !slices.Contains(keys[kind], p.Key) && !p.Value.Null && len(elements(p.Value)) > 0 {
					k.Notef(p.Mark, "%s: this key of %s isn't known, and isn't imported", p.Key, kind)
				}
			}
		}
	}
}
