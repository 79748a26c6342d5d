package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/fapi"
	"sallyport/internal/strict"
)

// profiled returns a file with a profile, and with more settings of the oidc block and of the process.
func profiled(profile, oidc, process string) string {
	if process == "" {
		process = "listen: 127.0.0.1:8000"
	}
	return process + "\nroutes:\n  - route: {upstream: \"http://127.0.0.1:8080\"}\n    oidc: {profile: " + profile +
		", issuer: \"https://idp.example.com\", client_id: app, " + oidc + "}\n"
}

const (
	login   = `session_secret: "0123456789abcdef0123456789abcdef"`
	onlyAPI = `auth_methods: [bearer]`
)

// TestProfiles checks what each profile sets where nothing is written.
func TestProfiles(t *testing.T) {
	for _, c := range []struct{ profile, oidc, key, want string }{
		{fapi.Security2, login, "client_auth", "private_key_jwt"},
		{fapi.Security2, login, "client_alg", "PS256"},
		{fapi.Security2, login, "id_token_signed_response_alg", "PS256 ES256 EdDSA Ed25519"},
		{fapi.Security2, login, "token_signing_algs", "PS256 ES256 EdDSA Ed25519"},
		{fapi.Security2, login, "require_pushed_authorization_requests", "true"},
		{fapi.Security2, login, "require_proof_key_for_code_exchange", "true"},
		{fapi.Security2, login, "verify_response_issuer", "true"},
		{fapi.Security2, login, "client_dpop", "true"},
		{fapi.Security2, login, "proof_of_possession_required", "true"},
		{fapi.Security2, login, "hsts_max_age", "8760h0m0s"},
		{fapi.Security2, login, "response_mode", "query"},
		{fapi.Security2, login, "require_signed_request_object", ""},
		{fapi.Security2, onlyAPI, "client_dpop", "false"},
		{fapi.Signing2, login, "require_signed_request_object", "true"},
		{fapi.Signing2, login, "response_mode", "jwt"},
		{fapi.Signing2, login, "introspection_accept", "application/token-introspection+jwt"},
		{fapi.Signing2, login + ", profile_message_signing: [request]", "response_mode", "query"},
		{fapi.Signing2, login + ", profile_message_signing: [response]", "introspection_accept", "application/json"},
		{fapi.Advanced1, onlyAPI, "proof_of_possession_mtls", "strict"},
		{fapi.Advanced1, onlyAPI, "fapi_interaction_id", "true"},
		{fapi.Advanced1, onlyAPI, "token_signing_algs", "PS256 ES256"},
	} {
		file, err := loadText(t, profiled(c.profile, c.oidc, ""))
		if err != nil {
			t.Errorf("%s, %s: %v", c.profile, c.oidc, err)
			continue
		}
		if got := strings.Join(settingTexts(valueIn(&file.Routes[0].OIDC, oidcShape.ByName[c.key])), " "); got != c.want {
			t.Errorf("%s, %s: %s is %q, expected %q", c.profile, c.oidc, c.key, got, c.want)
		}
	}
}

// TestProfilesRefuse writes, for each requirement of each profile, a value that the profile doesn't allow. The file is refused with the
// key and the clause.
func TestProfilesRefuse(t *testing.T) {
	for _, profile := range []string{fapi.Advanced1, fapi.Security2, fapi.Signing2} {
		s := fapi.Settings{Profile: profile, MessageSigning: []string{"request", "response", "introspection"}}
		for _, q := range s.Requirements() {
			f := oidcShape.ByName[q.Key]
			if f == nil {
				t.Errorf("%s: there is no setting %s", profile, q.Key)
				continue
			}
			value := refusedValue(f, &q)
			if value == "" {
				continue
			}
			oidc := q.Key + ": " + value
			if q.Key != "auth_methods" {
				oidc += ", " + login
			}
			_, err := loadText(t, profiled(profile, oidc, ""))
			if err == nil || !strings.Contains(err.Error(), q.Key+": ") || !strings.Contains(err.Error(), q.Clause) {
				t.Errorf("%s: %s: got %v, expected the clause %s", profile, oidc, err, q.Clause)
			}
		}
	}
}

// refusedValue returns the YAML of a value that a requirement doesn't allow; "" if the setting has no such value.
func refusedValue(f *strict.Field, q *fapi.Requirement) string {
	values := slices.Concat(f.Enum, []string{"true", "false", "https://idp.example.com/x", "30s", "0s"})
	for _, v := range values {
		if q.Allows(v) || !settable(f, v) {
			continue
		}
		return fmt.Sprintf("%q", v)
	}
	return ""
}

// settable reports whether a setting can have a value.
func settable(f *strict.Field, value string) bool {
	if len(f.Enum) > 0 {
		return slices.Contains(f.Enum, value)
	}
	switch kindOf(f.Type) {
	case "boolean":
		return value == "true" || value == "false"
	case "time":
		return value == "30s" || value == "0s"
	}
	return strings.HasPrefix(value, "https:")
}

// tlsListener returns a listener with TLS and further settings of it.
func tlsListener(t *testing.T, more string) string {
	certificate, key := MustCertify(t)
	dir := MustWrite(t, map[string]string{"cert.pem": certificate, "key.pem": key})
	return fmt.Sprintf("listen: [{address: 127.0.0.1:8443, tls: {cert_file: %s/cert.pem, key_file: %[1]s/key.pem%s}}]", dir, more)
}

// acmeListener returns a listener with certificates by ACME, whose keys are of a type, and a further setting of TLS.
func acmeListener(t *testing.T, more, keyType string) string {
	return fmt.Sprintf("listen: [{address: 127.0.0.1:8443, tls: {%s, "+
		"acme: {agree_tos: true, folder: %s, hosts: [a.example], key_type: %s}}}]", more, filepath.Join(t.TempDir(), "acme"), keyType)
}

// TestProfileNeeds checks the requirements that depend on several settings, and on the listeners.
func TestProfileNeeds(t *testing.T) {
	for name, c := range map[string]struct{ profile, oidc, process, want string }{
		"a certificate": {fapi.Advanced1, login, "", "tls_client_auth_cert_file is missing"},
		"a bound login": {fapi.Security2, login + ", client_dpop: false", "", "client_dpop: profile: fapi2-security requires tokens"},
		"https":         {fapi.Security2, onlyAPI + `, issuer: "http://idp.example.com"`, "", "requires TLS to the issuer"},
		"plain":         {fapi.Security2, onlyAPI, "listen: :8000", "fapi2-security requires TLS, and the listener :8000 has none"},
		"a proxy":       {fapi.Security2, onlyAPI, "listen: :8000\ntrusted_proxies: [10.0.0.1]", ""},
		"suites":        {fapi.Security2, onlyAPI, tlsListener(t, ""), "requires TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM"},
		"TLS 1.3":       {fapi.Security2, onlyAPI, tlsListener(t, `, min_version: "1.3"`), ""},
		"AES-GCM":       {fapi.Security2, onlyAPI, tlsListener(t, `, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]`), ""},
		"for RSA": {fapi.Advanced1, onlyAPI,
			tlsListener(t, `, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]`), "allows more"},
		"ACME":         {fapi.Security2, onlyAPI, acmeListener(t, `min_version: "1.3"`, "ecdsa"), ""},
		"ACME, suites": {fapi.Security2, onlyAPI, acmeListener(t, `min_version: "1.2"`, "ecdsa"), "allows more"},
		"ACME, RSA":    {fapi.Advanced1, onlyAPI, acmeListener(t, "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]", "rsa"), ""},
		"ChaCha20": {fapi.Security2, onlyAPI, tlsListener(t,
			`, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]`), "allows more"},
	} {
		text := profiled(c.profile, c.oidc, c.process)
		if strings.Contains(c.oidc, "issuer:") {
			text = strings.Replace(text, `issuer: "https://idp.example.com", `, "", 1)
		}
		_, err := loadText(t, text)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, expected %q", name, err, c.want)
		}
	}
}
