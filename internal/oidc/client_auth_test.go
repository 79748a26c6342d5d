package oidc

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
	"sallyport/internal/signer"
)

// begun is a provider that runs.
type begun struct {
	provider *provider.Provider
	now      *clock
}

func (b begun) client(t *testing.T, s Settings) *Client {
	t.Helper()
	s.Issuer, s.RediscoveryLifetime = b.provider.URL, 30*time.Second
	s.Timeout, s.Keepalive, s.SSLVerify, s.TLSClientAuthSSLVerify = 2*time.Second, true, true, true
	s.VerifySignature, s.VerifyClaims = true, true
	s.IntrospectionTokenParamName, s.IntrospectionAccept, s.IDTokenSignedResponseAlg = "token", "application/json", []string{"RS256"}
	if b.provider.MTLSURL != "" {
		s.CAFile = filepath.Join(t.TempDir(), "ca.pem")
		write(t, s.CAFile, b.provider.CAPEM())
	}
	issuer, err := NewIssuer(Config{IssuerSettings: s.IssuerSettings, Now: b.now.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := signer.New(signer.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	clients, err := NewClients(ClientConfig{Settings: s, Issuer: issuer, HashKey: []byte("of the test"), Keys: keys.Key})
	if err != nil {
		t.Fatal(err)
	}
	return clients[0]
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestEveryClientAuthentication authenticates a client by each method at each of three endpoints, with good and bad credentials.
func TestEveryClientAuthentication(t *testing.T) {
	const secret = "a secret of 32 bytes: +/%& =é ok"
	jwk := JWK{Kty: "EC", Crv: "P-256", Kid: "k1",
		X: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", Y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
		D: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}
	private, err := jwk.private()
	if err != nil {
		t.Fatal(err)
	}
	public := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{private.Public()}}
	self := provider.SelfSignedCert("self")
	leaf := sha256.Sum256(self.Certificate[0])
	now := newClock()
	p := provider.StartTLS(t, provider.Config{Now: now.Now, Clients: []provider.Client{
		{ID: "basic:id", Secret: secret}, {ID: "post", Secret: secret, AuthMethod: "client_secret_post"},
		{ID: "hmac", Secret: secret, AuthMethod: "client_secret_jwt"}, {ID: "key", AuthMethod: "private_key_jwt", JWKS: public},
		{ID: "tls", AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=tls"},
		{ID: "self", AuthMethod: "self_signed_tls_client_auth", TLSThumbprint: base64.RawURLEncoding.EncodeToString(leaf[:])},
	}})
	dir := t.TempDir()
	pem := func(name string, certificate, key []byte) (string, string) {
		return write(t, filepath.Join(dir, name+".pem"), certificate), write(t, filepath.Join(dir, name+".key"), key)
	}
	certificate := func(name string, s *ClientSettings) {
		pair := self
		if name != "self" {
			pair = p.ClientCert(name)
		}
		c, k := provider.CertificatePEM(pair)
		s.TLSClientAuthCertFile, s.TLSClientAuthKeyFile = pem(name, c, k)
	}
	for name, c := range map[string]struct {
		settings ClientSettings
		tls      string
		ok       bool
	}{
		"client_secret_basic": {ClientSettings{ClientID: []string{"basic:id"}, ClientSecret: []auth.Secret{secret}}, "", true},
		"client_secret_post": {ClientSettings{ClientID: []string{"post"}, ClientSecret: []auth.Secret{secret},
			ClientAuth: []string{"client_secret_post"}}, "", true},
		"client_secret_jwt": {ClientSettings{ClientID: []string{"hmac"}, ClientSecret: []auth.Secret{secret},
			ClientAuth: []string{"client_secret_jwt"}}, "", true},
		"private_key_jwt": {ClientSettings{ClientID: []string{"key"}, ClientJWK: []JWK{jwk},
			ClientAlg: []string{"ES256"}}, "", true},
		"tls_client_auth": {ClientSettings{ClientID: []string{"tls"}, ClientAuth: []string{"tls_client_auth"}}, "tls", true},
		"self_signed_tls_client_auth": {ClientSettings{ClientID: []string{"self"},
			ClientAuth: []string{"self_signed_tls_client_auth"}}, "self", true},
		"for an audience that it takes, too": {ClientSettings{
			ClientID: []string{"key"}, ClientJWK: []JWK{jwk}, ClientAlg: []string{"ES256"},
			ClientAssertionAudience: "token_endpoint"}, "", true},

		"a wrong secret": {ClientSettings{ClientID: []string{"basic:id"},
			ClientSecret: []auth.Secret{"wrong"}}, "", false},
		"another method": {ClientSettings{ClientID: []string{"post"}, ClientSecret: []auth.Secret{secret},
			ClientAuth: []string{"client_secret_basic"}}, "", false},
		"an assertion by a wrong secret": {ClientSettings{ClientID: []string{"hmac"},
			ClientSecret: []auth.Secret{"another secret of thirty-two bytes"},
			ClientAuth:   []string{"client_secret_jwt"}}, "", false},
		"an assertion by a key of nobody": {ClientSettings{ClientID: []string{"key"}, ClientAuth: []string{"private_key_jwt"},
			ClientAlg: []string{"ES256"}}, "", false},
		"another's certificate": {ClientSettings{ClientID: []string{"tls"},
			ClientAuth: []string{"tls_client_auth"}}, "somebody", false},
		"no certificate": {ClientSettings{ClientID: []string{"tls"}, ClientAuth: []string{"tls_client_auth"}}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := Settings{ClientSettings: c.settings}
			if c.tls != "" {
				certificate(c.tls, &s.ClientSettings)
			}
			client := begun{p, now}.client(t, s)
			_, err := client.token(t.Context(), tokenRequest{tokenGrant: codeGrant, form: url.Values{"grant_type": {"client_credentials"}}})
			if (err == nil) != c.ok || errors.Is(err, ErrRefused) {
				t.Errorf("token endpoint: %v", err)
			}
			_, err = client.introspect(t.Context(), "unknown", Extra{})
			if c.ok && !errors.Is(err, ErrInactive) || !c.ok && !strings.Contains(fmt.Sprint(err), "answered 401") {
				t.Errorf("introspection: %v", err)
			}
			if err = client.Revoke(t.Context(), "unknown", "access_token", "token"); (err == nil) != c.ok {
				t.Errorf("revocation: %v", err)
			}
		})
	}
}

// TestAssertion checks that an assertion has the issuer as its only audience, a short lifetime, and a jti of its own (RFC 7523 §3).
func TestAssertion(t *testing.T) {
	now := newClock()
	p := provider.Start(t, provider.Config{Now: now.Now})
	c := begun{p, now}.client(t, Settings{ClientSettings: ClientSettings{ClientID: []string{"app"},
		ClientSecret: []auth.Secret{"a secret of thirty-two bytes, yes"}, ClientAuth: []string{"client_secret_jwt"}}})
	m, err := c.issuer.Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	for range 2 {
		jwt, err := c.assertionFor("client_secret_jwt", m, Credentials{c.ID, c.secret})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parseJWT(jwt)
		if err != nil {
			t.Fatal(err)
		}
		claims := parsed.claims
		exp, _ := claims.Time("exp")
		if claims["aud"] != p.Issuer() || claims["iss"] != "app" || claims["sub"] != "app" ||
			exp.Sub(now.Now()) != assertionLifetime || seen[claims["jti"]] {
			t.Errorf("the assertion is %v", claims)
		}
		seen[claims["jti"]] = true
	}
}

// TestAssertionFile checks that client_assertion_file is read again after another program has changed it.
func TestAssertionFile(t *testing.T) {
	now := newClock()
	key := &jose.JSONWebKey{KeyID: "cluster"}
	signerOf, err := signer.New(signer.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if key, err = signerOf.Key("RS256"); err != nil {
		t.Fatal(err)
	}
	p := provider.Start(t, provider.Config{Now: now.Now, Clients: []provider.Client{{ID: "pod", AuthMethod: "private_key_jwt",
		AssertionIssuer: "https://kubernetes.default.svc", AssertionSubject: "system:serviceaccount:default:gate",
		AssertionJWKS: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}}}})
	name := filepath.Join(t.TempDir(), "token")
	assertion := func(jti string) string {
		payload, _ := json.Marshal(map[string]any{"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:default:gate",
			"aud": []string{p.Issuer()},
			"iat": now.Now().Unix(), "exp": now.Now().Add(time.Hour).Unix(), "jti": jti})
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		jwt, _ := signed.CompactSerialize()
		return jwt
	}
	c := begun{p, now}.client(t, Settings{ClientSettings: ClientSettings{ClientID: []string{"pod"}, ClientAssertionFile: []string{name}}})
	ask := func() error {
		_, err := c.token(t.Context(), tokenRequest{tokenGrant: codeGrant, form: url.Values{"grant_type": {"client_credentials"}}})
		return err
	}
	if err := ask(); err == nil || !strings.Contains(err.Error(), "client_assertion_file") {
		t.Errorf("without the file: %v", err)
	}
	for n := range 3 {
		want := assertion(fmt.Sprint(n, strings.Repeat("x", n)))
		write(t, name, []byte(want+"\n"))
		if err := ask(); err != nil {
			t.Errorf("assertion %d: %v", n, err)
		}
		if got := p.LastForm(provider.Token).Get("client_assertion"); got != want {
			t.Errorf("assertion %d isn't the file's", n)
		}
	}
	write(t, name, []byte("not a token"))
	if err := ask(); err == nil || strings.Contains(err.Error(), "not a token") {
		t.Errorf("a file that holds no JWT: %v", err)
	}
}
