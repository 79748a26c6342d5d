package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// example is the EC key of RFC 7517 A.2.
var example = JWK{Kty: "EC", Crv: "P-256",
	X: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", Y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
	D: "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}

// certificate returns a certificate of a key in the form of x5c; of another key if it is nil.
func certificate(t *testing.T, of *JWK) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if of != nil {
		private, err := of.private()
		if err != nil {
			t.Fatal(err)
		}
		key = private.Key.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// TestJWK signs with configured keys of each type. The header has the parameters of the key and of its certificate.
func TestJWK(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	secret := func(n *big.Int) auth.Secret { return auth.Secret(text(n)) }
	named := example
	named.Use, named.KeyOps, named.Alg, named.Kid, named.Issuer = "sig", []string{"sign", "verify"}, "ES256", "k1", "https://ca.example.com"
	named.X5U, named.X5C = "https://app.example.com/cert.pem", []string{certificate(t, &example)}
	named.X5T, named.X5TS256 = "dGh1bWI", "dGh1bWIy"
	for name, c := range map[string]struct {
		jwk  JWK
		want map[string]any
	}{
		"EC": {named, map[string]any{"alg": "ES256", "kid": "k1", "typ": "JWT",
			"x5u": "https://app.example.com/cert.pem", "x5c": []any{named.X5C[0]},
			"x5t": "dGh1bWI", "x5t#S256": "dGh1bWIy"}},
		"RSA": {JWK{Kty: "RSA", Alg: "PS256", N: text(rsaKey.N), E: "AQAB", D: secret(rsaKey.D),
			P: secret(rsaKey.Primes[0]), Q: secret(rsaKey.Primes[1]),
			DP: secret(rsaKey.Precomputed.Dp), DQ: secret(rsaKey.Precomputed.Dq), QI: secret(rsaKey.Precomputed.Qinv)},
			map[string]any{"alg": "PS256", "typ": "JWT"}},
	} {
		if err := c.jwk.Check(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		now := newClock()
		p := provider.Start(t, provider.Config{Now: now.Now})
		client := begun{p, now}.client(t, Settings{ClientSettings: ClientSettings{ClientID: []string{"app"}, ClientJWK: []JWK{c.jwk}}})
		m, err := client.issuer.Metadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		jwt, err := client.assertionFor("private_key_jwt", m, Credentials{ID: "app"})
		if err != nil {
			t.Fatal(err)
		}
		var header map[string]any
		b, _, _ := strings.Cut(jwt, ".")
		if b, err := base64.RawURLEncoding.DecodeString(b); err != nil || json.Unmarshal(b, &header) != nil ||
			!reflect.DeepEqual(header, c.want) {
			t.Errorf("%s: the header is %s, expected %v", name, b, c.want)
		}
		signed, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.ES256, jose.PS256})
		if err != nil {
			t.Fatal(err)
		}
		private, err := c.jwk.private()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := signed.Verify(private.Public()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestJWKCheck checks that keys which can't sign are refused.
func TestJWKCheck(t *testing.T) {
	for want, change := range map[string]func(*JWK){
		"d is missing":                  func(j *JWK) { j.D = "" },
		"isn't base64":                  func(j *JWK) { j.X5C = []string{"MIIB"} },
		"is another key's":              func(j *JWK) { j.X5C = []string{certificate(t, nil)} },
		"it isn't a private key":        func(j *JWK) { j.Kty = "RSA" },
		"write the members":             func(j *JWK) { j.Crv = "P-999" },
		"its key_ops don't let it sign": func(j *JWK) { j.KeyOps = []string{"verify"} },
	} {
		j := example
		change(&j)
		if err := j.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %q", err, want)
		}
	}
}
