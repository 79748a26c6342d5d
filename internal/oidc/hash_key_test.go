package oidc

import (
	"bytes"
	"testing"

	"sallyport/internal/auth"
)

// TestHashKey checks that different settings, secrets among them, have different keys, and equal settings equal ones.
func TestHashKey(t *testing.T) {
	seen := map[string]string{}
	for name, change := range map[string]func(*Settings){
		"nothing":            func(*Settings) {},
		"scopes":             func(s *Settings) { s.Scopes = []string{"openid", "admin"} },
		"another list":       func(s *Settings) { s.Audience = []string{"openid", "admin"} },
		"two for one":        func(s *Settings) { s.Scopes = []string{"openid admin"} },
		"a secret":           func(s *Settings) { s.TokenPostArgsValues = []auth.Secret{"a"} },
		"another secret":     func(s *Settings) { s.TokenPostArgsValues = []auth.Secret{"b"} },
		"verify_signature":   func(s *Settings) { s.VerifySignature = true },
		"verify_claims":      func(s *Settings) { s.VerifyClaims = true },
		"leeway":             func(s *Settings) { s.Leeway = 1 },
		"token_exchange":     func(s *Settings) { s.TokenExchange = &TokenExchange{} },
		"within it":          func(s *Settings) { s.TokenExchange = &TokenExchange{Provider: "microsoft"} },
		"conditions, of one": func(s *Settings) { s.TokenExchange = &TokenExchange{SubjectTokenIssuers: []SubjectTokenIssuer{{}}} },
	} {
		made := func() []byte {
			c := ClientConfig{HashKey: []byte("key")}
			change(&c.Settings)
			return hashKey(c)
		}
		key := made()
		if !bytes.Equal(key, made()) {
			t.Errorf("%s: equal settings have two keys", name)
		}
		if other, found := seen[string(key)]; found {
			t.Errorf("%s: the key of %s", name, other)
		}
		seen[string(key)] = name
	}
}
