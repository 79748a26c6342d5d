package provider_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

// A recorder is a provider.TB that records errors.
type recorder struct {
	cleanups []func()
	errors   []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(f string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(f, args...))
}
func (r *recorder) Fatalf(f string, args ...any) { r.Errorf(f, args...) }

func TestWant(t *testing.T) {
	var tb recorder
	p := provider.Start(&tb, config())
	p.Want(provider.Token, func(r *http.Request) error {
		if got := r.PostForm.Get("resource"); got != "https://api.test" {
			return fmt.Errorf("resource: expected https://api.test, got %q", got)
		}
		return nil
	})
	p.Want(provider.Userinfo, func(*http.Request) error { return nil })
	oauthConfig(p, "app", "s3cret").PasswordCredentialsToken(t.Context(), "john", "doe")
	for _, f := range tb.cleanups {
		f()
	}
	expected := []string{
		`unexpected request to the provider: POST /token: resource: expected https://api.test, got ""`,
		`unexpected request to the provider: /userinfo: expected a request, got none`,
	}
	if strings.Join(tb.errors, "\n") != strings.Join(expected, "\n") {
		t.Errorf("got %q", tb.errors)
	}
	if p.Requests(provider.Token) != 1 || p.Grants("password") != 1 || p.Requests(provider.JWKS) != 0 {
		t.Error("the requests aren't counted right")
	}
}

func TestBreakAndHold(t *testing.T) {
	p, _ := start(t)
	p.Break(provider.JWKS, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	if r, _ := get(t, p.URL+"/jwks", ""); r.StatusCode != 500 {
		t.Errorf("broken: got %s", r.Status)
	}
	waiting, release := p.Hold(provider.JWKS)
	answered := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	for _, c := range []context.Context{ctx, t.Context()} {
		r, _ := http.NewRequestWithContext(c, http.MethodGet, p.URL+"/jwks", nil)
		go func() {
			answer, err := http.DefaultClient.Do(r)
			if err == nil && answer.StatusCode != http.StatusOK {
				err = errors.New(answer.Status)
			}
			answered <- err
		}()
		<-waiting
	}
	cancel()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("expected the first to be cancelled, got %v", err)
	}
	release()
	if err := <-answered; err != nil {
		t.Errorf("released: %v", err)
	}
	if r, _ := get(t, p.URL+"/jwks", ""); r.StatusCode != 200 {
		t.Errorf("mended: got %s", r.Status)
	}
	if got := p.Requests(provider.JWKS); got != 4 {
		t.Errorf("expected 4 requests, got %d", got)
	}
}

func TestCloseAndReopen(t *testing.T) {
	p, _ := start(t)
	p.Close()
	if _, err := http.Get(p.URL + "/jwks"); err == nil {
		t.Error("expected a closed provider not to answer")
	}
	p.Reopen()
	if r, _ := get(t, p.URL+"/jwks", ""); r.StatusCode != 200 {
		t.Errorf("got %s", r.Status)
	}
}

func TestAdjust(t *testing.T) {
	p, _ := start(t)
	c := oauthConfig(p, "app", "s3cret")
	p.AdjustAnswer(provider.Token, func(a map[string]any) { a["expires_in"] = 0; delete(a, "refresh_token") })
	p.AdjustIDToken(func(c map[string]any) { c["nonce"] = "another" })
	p.AdjustAccessToken(func(c map[string]any) { c["aud"] = "another" })
	p.AdjustAnswer(provider.Authorization, func(a map[string]any) { a["iss"] = "https://evil.test" })
	if got := mustLogIn(t, p, browser(p), c.AuthCodeURL("st")).Get("iss"); got != "https://evil.test" {
		t.Errorf("iss: got %q", got)
	}
	token := mustTokens(t, p, c)
	if token.RefreshToken != "" || token.Extra("expires_in") != 0.0 {
		t.Errorf("got %v", token)
	}
	if id := claims(t, token.Extra("id_token").(string)); id["nonce"] != "another" {
		t.Errorf("got %v", id)
	}
	if access := claims(t, token.AccessToken); access["aud"] != "another" {
		t.Errorf("got %v", access)
	}
}

// claims decodes the claims of a JWT without verifying it.
func claims(t *testing.T, token string) (c map[string]any) {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA, jose.PS256})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSign verifies the provider's tokens, including forged ones, with go-oidc.
func TestSign(t *testing.T) {
	p, _ := start(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keySet := func() oidc.KeySet { return oidc.NewRemoteKeySet(t.Context(), p.URL+"/jwks") }
	verify := func(token string) error {
		_, err := oidc.NewVerifier(p.Issuer(), keySet(), &oidc.Config{ClientID: "app",
			SupportedSigningAlgs: []string{"RS256", "RS512", "PS256", "ES256", "EdDSA"}}).
			Verify(t.Context(), token)
		return err
	}
	good := claims(t, p.IDToken("john", "app", nil))
	for name, tc := range map[string]struct {
		opts []provider.SignOption
		good bool
	}{
		"RS256":     {nil, true},
		"PS256":     {[]provider.SignOption{provider.WithAlg("PS256")}, true},
		"ES256":     {[]provider.SignOption{provider.WithAlg("ES256")}, true},
		"EdDSA":     {[]provider.SignOption{provider.WithAlg("EdDSA")}, true},
		"RS512":     {[]provider.SignOption{provider.WithAlg("RS512")}, true},
		"no kid":    {[]provider.SignOption{provider.WithHeader("kid", nil)}, true},
		"none":      {[]provider.SignOption{provider.WithAlg("none")}, false},
		"HS256":     {[]provider.SignOption{provider.WithAlg("HS256"), provider.WithKey(p.PublicKeyPEM())}, false},
		"other key": {[]provider.SignOption{provider.WithAlg("ES256"), provider.WithKey(other)}, false},
		"wrong alg": {[]provider.SignOption{provider.WithHeader("alg", "ES256")}, false},
		"other kid": {[]provider.SignOption{provider.WithHeader("kid", "x")}, false},
	} {
		if err := verify(p.SignJWT(good, tc.opts...)); (err == nil) != tc.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	header := func(token string) map[any]any {
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		m := map[any]any{}
		for k, v := range jws.Signatures[0].Protected.ExtraHeaders {
			m[string(k)] = v
		}
		return m
	}
	if got := header(p.AccessToken("john", "app", nil))["typ"]; got != "at+jwt" {
		t.Errorf("typ of an access token: got %v", got)
	}
	if got := header(p.SignJWT(nil, provider.WithHeader("typ", "logout+jwt")))["typ"]; got != "logout+jwt" {
		t.Errorf("typ: got %v", got)
	}
	token := p.SignJWT(good)
	p.RotateKeys(true)
	if err := verify(token); err != nil {
		t.Errorf("after a rotation that keeps the old keys: %v", err)
	}
	p.RotateKeys(false)
	if verify(token) == nil {
		t.Error("expected the withdrawn key not to verify")
	}
	if err := verify(p.SignJWT(good)); err != nil {
		t.Errorf("with the new key: %v", err)
	}
}

func TestMintedTokens(t *testing.T) {
	p, clock := start(t)
	token := p.AccessToken("john", "app", map[string]any{"aud": []string{"a", "b"}, "email": nil, "exp": clock.Now().Unix() + 1})
	c := claims(t, token)
	if c["sub"] != "u-1" || c["client_id"] != "app" || c["email"] != nil || len(c["aud"].([]any)) != 2 || c["realm_access"] == nil ||
		c["scope"] != "openid profile email address phone orders:read" {
		t.Errorf("got %v", c)
	}
	if !active(t, p, token) {
		t.Error("expected it to be active")
	}
	clock.advance(2e9)
	if active(t, p, token) {
		t.Error("expected it to have expired")
	}
	own := claims(t, p.AccessToken("", "post", nil))
	if own["sub"] != "post" || own["groups"] == nil {
		t.Errorf("the client's own: got %v", own)
	}
	p.SetAccessTokenLifetime(10e9)
	later := p.AccessToken("jane", "app", nil)
	if c := claims(t, later); c["exp"].(float64)-c["iat"].(float64) != 10 || c["sub"] != "jane" || c["preferred_username"] != "jane" {
		t.Errorf("got %v", c)
	}
	p.RevokeAll()
	if active(t, p, later) {
		t.Error("expected it to be revoked")
	}
}

func TestMethods(t *testing.T) {
	p, _ := start(t)
	if r, _ := get(t, p.URL+"/token", ""); r.StatusCode != 405 || r.Header.Get("Allow") != "POST" {
		t.Errorf("got %s, Allow %s", r.Status, r.Header.Get("Allow"))
	}
	r, answer := post(t, p.URL+"/token", "app", "s3cret", map[string][]string{"x": {strings.Repeat("x", 65<<10)}})
	if r.StatusCode != 400 || answer["error"] != "invalid_request" {
		t.Errorf("a long body: got %s %v", r.Status, answer)
	}
}
