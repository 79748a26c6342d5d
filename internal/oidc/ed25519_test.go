package oidc

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"testing"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// TestEd25519 combines the two names of EdDSA (RFC 9864 §2.2) in tokens, keys and settings.
func TestEd25519(t *testing.T) {
	p, _, now := begin(t, nil)
	for _, inKey := range []any{"EdDSA", "Ed25519", nil} {
		for _, inSettings := range []string{"EdDSA", "Ed25519"} {
			for _, inToken := range []string{"EdDSA", "Ed25519"} {
				c := clientOf(t, p, now, func(s *Settings) { s.IDTokenSignedResponseAlg, s.VerifyParameters = []string{inSettings}, true })
				changeKeys(p, map[string]any{"alg": inKey})
				claims := good(p, now.Now())
				if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(claims, provider.WithAlg(inToken))); err != nil {
					t.Errorf("key %v, access token %s: %v", inKey, inToken, err)
				}
				if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(claims, provider.WithAlg(inToken))+"A"); err == nil {
					t.Errorf("key %v, access token %s: a forged one passes", inKey, inToken)
				}
				claims["at_hash"] = halfHash(inToken, "at")
				if _, _, err := c.IDToken(t.Context(), p.SignJWT(claims, provider.WithAlg(inToken)),
					IDTokenWant{AccessToken: "at"}); err != nil {
					t.Errorf("key %v, ID token %s, id_token_signed_response_alg %s: %v", inKey, inToken, inSettings, err)
				}
				if _, _, err := c.IDToken(t.Context(), p.SignJWT(claims), IDTokenWant{}); err == nil {
					t.Error("an ID token of another algorithm passes")
				}
				p.AdjustAnswer(provider.Discovery, func(m map[string]any) {
					m["id_token_signing_alg_values_supported"] = []string{inToken}
				})
				c.issuer.Forget()
				_, err := c.AuthorizationURL(t.Context(), AuthorizationRequest{}, Caller{})
				p.AdjustAnswer(provider.Discovery, nil)
				if err != nil {
					t.Errorf("verify_parameters: the metadata says %s and the settings %s: %v", inToken, inSettings, err)
				}
			}
		}
	}
}

// TestEd25519Assertion checks that an assertion has the alg of the settings or of the key.
func TestEd25519Assertion(t *testing.T) {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	text := base64.RawURLEncoding.EncodeToString
	jwk := JWK{Kty: "OKP", Crv: "Ed25519", Kid: "k1", X: text(public), D: auth.Secret(text(private.Seed()))}
	p := provider.Start(t, provider.Config{})
	m := &Metadata{ProviderConfig: gooidc.ProviderConfig{IssuerURL: p.Issuer()}}
	for _, c := range []struct{ setting, inKey, want string }{
		{"EdDSA", "", "EdDSA"}, {"Ed25519", "", "Ed25519"}, {"", "EdDSA", "EdDSA"}, {"", "Ed25519", "Ed25519"},
		{"Ed25519", "EdDSA", "Ed25519"},
	} {
		jwk.Alg = c.inKey
		client := begun{p, newClock()}.client(t, Settings{ClientSettings: ClientSettings{
			ClientID: []string{"app"}, ClientJWK: []JWK{jwk}, ClientAlg: []string{c.setting},
		}})
		assertion, err := client.assertionFor("private_key_jwt", m, Credentials{ID: "app"})
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		jws, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{"EdDSA", "Ed25519"})
		if err != nil {
			t.Fatal(err)
		}
		header := jws.Signatures[0].Header
		verifier := key{JSONWebKey: jose.JSONWebKey{Key: public}}.verifier(header.Algorithm)
		if _, err := jws.Verify(verifier); err != nil || header.Algorithm != c.want || header.KeyID != "k1" {
			t.Errorf("%+v: the header is %+v, %v", c, header, err)
		}
	}
	made := begun{p, newClock()}.client(t, Settings{ClientSettings: ClientSettings{
		ClientID: []string{"app"}, ClientAlg: []string{"Ed25519"},
	}})
	assertion, err := made.assertionFor("private_key_jwt", m, Credentials{ID: "app"})
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := parseJWT(assertion); err != nil || parsed.header.Alg != "Ed25519" {
		t.Errorf("with a key that the gate makes: %+v, %v", parsed, err)
	}
}
