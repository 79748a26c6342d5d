package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A signer is a key pair of a client. The public key is published in a key set at url.
type signer struct {
	url     string
	fetched atomic.Int64 // number of requests for the key set
	alg     jose.SignatureAlgorithm

	mu  sync.Mutex
	key jose.JSONWebKey
}

func startSigner(t *testing.T, alg jose.SignatureAlgorithm) *signer {
	t.Helper()
	s := &signer{alg: alg}
	s.mustRotate(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.fetched.Add(1)
		w.Header().Set("Content-Type", "application/jwk-set+json")
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.current().Public()}})
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// mustRotate replaces the key.
func (s *signer) mustRotate(t *testing.T) {
	t.Helper()
	key := mustKey(t, s.alg)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
}

// mustKey generates a private signing key.
func mustKey(t *testing.T, alg jose.SignatureAlgorithm) jose.JSONWebKey {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: unique("key"), Algorithm: string(alg), Use: "sig"}
}

func (s *signer) current() *jose.JSONWebKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.key
	return &key
}

func (s *signer) mustSign(t *testing.T, typ string, claims object) string {
	t.Helper()
	return mustSign(t, jose.SigningKey{Algorithm: s.alg, Key: s.current()}, typ, claims)
}

// mustProve returns a DPoP proof for a request (RFC 9449 §4.2).
func (s *signer) mustProve(t *testing.T, method, address string, more object) string {
	t.Helper()
	claims := object{"jti": rand.Text(), "htm": method, "htu": address, "iat": time.Now().Unix()}
	for name, value := range more {
		claims[name] = value
	}
	key := jose.SigningKey{Algorithm: s.alg, Key: s.current().Key}
	return mustSignWith(t, key, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"), claims)
}

// jkt returns the thumbprint of the key, as in cnf of a bound token.
func (s *signer) jkt(t *testing.T) string {
	t.Helper()
	sum, err := s.current().Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

func mustSign(t *testing.T, key jose.SigningKey, typ string, claims object) string {
	t.Helper()
	return mustSignWith(t, key, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)), claims)
}

func mustSignWith(t *testing.T, key jose.SigningKey, options *jose.SignerOptions, claims object) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(key, options)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}
