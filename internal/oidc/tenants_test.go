package oidc

import "testing"

// TestTenantOf checks that only the ID of a tenant takes the place of {tenantid}.
func TestTenantOf(t *testing.T) {
	const id = "11111111-2222-3333-4444-55555555abcd"
	for name, c := range map[string]struct{ iss, template, want string }{
		"a tenant":           {"https://idp.example.com/" + id + "/v2.0", "https://idp.example.com/{tenantid}/v2.0", id},
		"at the end":         {"https://idp.example.com/" + id, "https://idp.example.com/{tenantid}", id},
		"another host":       {"https://idp.example.com.evil.example/" + id + "/v2.0", "https://idp.example.com/{tenantid}/v2.0", ""},
		"a longer path":      {"https://idp.example.com/x/" + id + "/v2.0", "https://idp.example.com/{tenantid}/v2.0", ""},
		"something after it": {"https://idp.example.com/" + id + "/v2.0/", "https://idp.example.com/{tenantid}/v2.0", ""},
		"another version":    {"https://idp.example.com/" + id + "/v1.0", "https://idp.example.com/{tenantid}/v2.0", ""},
		"a name":             {"https://idp.example.com/common/v2.0", "https://idp.example.com/{tenantid}/v2.0", ""},
		"nothing":            {"https://idp.example.com//v2.0", "https://idp.example.com/{tenantid}/v2.0", ""},
		"the template":       {"https://idp.example.com/{tenantid}/v2.0", "https://idp.example.com/{tenantid}/v2.0", ""},
		"upper case": {"https://idp.example.com/11111111-2222-3333-4444-55555555ABCD/v2.0",
			"https://idp.example.com/{tenantid}/v2.0", ""},
		"36 characters": {"https://idp.example.com/11111111-2222-3333-4444-5555555/../x/v2.0",
			"https://idp.example.com/{tenantid}/v2.0", ""},
		"no template":   {"https://idp.example.com/" + id, "https://idp.example.com/" + id, ""},
		"two templates": {"https://" + id + "/" + id, "https://{tenantid}/{tenantid}", ""},
		"shared ends":   {"https://idp.example.com/v2.0", "https://idp.example.com/{tenantid}/v2.0", ""},
	} {
		if got := tenantOf(c.iss, c.template); got != c.want {
			t.Errorf("%s: tenantOf(%q, %q) = %q, want %q", name, c.iss, c.template, got, c.want)
		}
	}
}
