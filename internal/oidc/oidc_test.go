package oidc

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// A clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// begin starts a provider with the client app and the user john, and returns the gate's client of it.
func begin(t testing.TB, change func(*Settings)) (*provider.Provider, *Client, *clock) {
	t.Helper()
	now := newClock()
	p := provider.Start(t, provider.Config{
		Clients: []provider.Client{
			{ID: "app", Secret: "s e/cr%t", RedirectURIs: []string{"http://127.0.0.1/cb"}},
			{ID: "keeps", Secret: "s e/cr%t", KeepRefreshToken: true},
		},
		Users: []provider.User{{Username: "john", Password: "doe", Claims: map[string]any{"roles": []string{"user"}}}},
		Now:   now.Now,
	})
	return p, clientOf(t, p, now, change), now
}

// clientOf returns the gate's client of a provider that runs.
func clientOf(t testing.TB, p *provider.Provider, now *clock, change func(*Settings)) *Client {
	t.Helper()
	s := Settings{
		IssuerSettings: IssuerSettings{
			VerifySignature: true, VerifyClaims: true, Issuer: p.URL, RediscoveryLifetime: 30 * time.Second, CallsPerClient: 32,
			HTTPSettings: HTTPSettings{Timeout: 2 * time.Second, SSLVerify: true, Keepalive: true},
		},
		ClientSettings: ClientSettings{
			ClientID: []string{"app"}, ClientSecret: []auth.Secret{"s e/cr%t"}, IDTokenSignedResponseAlg: []string{"RS256"},
		},
	}
	if change != nil {
		change(&s)
	}
	issuer, err := NewIssuer(Config{IssuerSettings: s.IssuerSettings, Now: now.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	clients, err := NewClients(ClientConfig{Settings: s, Issuer: issuer, HashKey: []byte("of the test")})
	if err != nil {
		t.Fatal(err)
	}
	return clients[0]
}

// good returns the claims of an access token that passes.
func good(p *provider.Provider, now time.Time) map[string]any {
	return map[string]any{
		"iss": p.Issuer(), "sub": "john", "aud": "app", "client_id": "app",
		"exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "jti": "1",
	}
}

func TestAccessTokenKinds(t *testing.T) {
	p, c, now := begin(t, nil)
	with := func(name string, v any) map[string]any {
		claims := good(p, now.Now())
		claims[name] = v
		if v == nil {
			delete(claims, name)
		}
		return claims
	}
	both := func(name, second string, v any) map[string]any {
		claims := with(name, "x")
		claims[second] = v
		return claims
	}
	typ := func(v string) provider.SignOption { return provider.WithHeader("typ", v) }
	stranger, _ := rsa.GenerateKey(rand.Reader, 2048)
	for _, test := range []struct {
		name   string
		token  string
		wanted error // nil: passes; errAny: refused for whatever reason
	}{
		{"RFC 9068", p.SignJWT(good(p, now.Now()), typ("at+jwt")), nil},
		{"full media type", p.SignJWT(good(p, now.Now()), typ("application/at+jwt")), nil},
		{"plain", p.SignJWT(good(p, now.Now()), typ("JWT")), nil},
		{"no typ", p.SignJWT(good(p, now.Now()), provider.WithHeader("typ", nil)), nil},
		{"ES256", p.SignJWT(good(p, now.Now()), provider.WithAlg("ES256")), nil},
		{"EdDSA", p.SignJWT(good(p, now.Now()), provider.WithAlg("EdDSA")), nil},
		{"PS256", p.SignJWT(good(p, now.Now()), provider.WithAlg("PS256")), nil},
		{"nonce in at+jwt", p.SignJWT(with("nonce", "x"), typ("at+jwt")), nil},
		{"nonce, typ Bearer", p.SignJWT(both("nonce", "typ", "Bearer"), typ("JWT")), nil},
		{"nonce, typ DPoP", p.SignJWT(both("nonce", "typ", "DPoP"), typ("JWT")), nil},
		{"nonce, token_use access", p.SignJWT(both("nonce", "token_use", "access"), typ("JWT")), nil},
		{"aud list", p.SignJWT(with("aud", []string{"x", "app"})), nil},

		{"alg none", p.SignJWT(good(p, now.Now()), provider.WithAlg("none")), errAny},
		{"HS256 with the public key", p.SignJWT(good(p, now.Now()), provider.WithAlg("HS256"), provider.WithKey(p.PublicKeyPEM())), errAny},
		{"a stranger's key", p.SignJWT(good(p, now.Now()), provider.WithKey(stranger)), errBadSignature},
		{"unknown kid", p.SignJWT(good(p, now.Now()), provider.WithHeader("kid", "unknown")), errBadSignature},
		{"crit", p.SignJWT(good(p, now.Now()), provider.WithHeader("crit", []string{"x"}), provider.WithHeader("x", 1)), errAny},
		{"expired", p.SignJWT(with("exp", now.Now().Unix())), ErrExpired},
		{"no exp", p.SignJWT(with("exp", nil)), errAny},
		{"exp is text", p.SignJWT(with("exp", "soon")), errAny},
		{"exp is huge", p.SignJWT(with("exp", 1e300)), errAny},
		{"not yet valid", p.SignJWT(with("nbf", now.Now().Add(61*time.Second).Unix())), ErrNotYetValid},
		{"nbf three seconds ahead", p.SignJWT(with("nbf", now.Now().Add(3*time.Second).Unix())), nil},
		{"nonce, typ Bearer inside", p.SignJWT(both("nonce", "typ", "Bearer"), typ("JWT")), nil}, // Keycloak before 25
		{"iat in the future", p.SignJWT(with("iat", now.Now().Add(time.Hour).Unix())), ErrNotYetValid},
		{"another issuer", p.SignJWT(with("iss", "https://evil.example.com")), errAny},
		{"no issuer", p.SignJWT(with("iss", nil)), errAny},
		{"two issuers that differ in case", p.SignPayload(twice(t, with("iss", "https://evil"), "ISS", p.Issuer())), errAny},
		{"a claim twice", p.SignPayload(twice(t, good(p, now.Now()), "iss", p.Issuer())), errAny},
		{"no object", p.SignPayload([]byte(`["iss"]`)), errAny},
		{"an ID token", p.IDToken("john", "app", map[string]any{"nonce": "n"}), ErrNotAccessToken},
		{"nonce in a JWT", p.SignJWT(with("nonce", "x"), typ("JWT")), ErrNotAccessToken},
		{"nonce, no typ", p.SignJWT(with("nonce", "x"), provider.WithHeader("typ", nil)), ErrNotAccessToken},
		{"nonce, another typ inside", p.SignJWT(both("nonce", "typ", "JWT"), typ("JWT")), ErrNotAccessToken},
		{"at_hash, typ Bearer", p.SignJWT(both("at_hash", "typ", "Bearer"), typ("JWT")), ErrNotAccessToken},
		{"c_hash in at+jwt", p.SignJWT(with("c_hash", "x"), typ("at+jwt")), ErrNotAccessToken},
		{"s_hash, token_use access", p.SignJWT(both("s_hash", "token_use", "access"), typ("JWT")), ErrNotAccessToken},
		{"a signature with other unused bits", respelt(p.SignJWT(good(p, now.Now()))), errMalformed},
		{"at_hash", p.SignJWT(with("at_hash", "x"), typ("JWT")), ErrNotAccessToken},
		{"s_hash in at+jwt", p.SignJWT(with("s_hash", "x"), typ("at+jwt")), ErrNotAccessToken},
		{"token_use id", p.SignJWT(with("token_use", "id"), typ("at+jwt")), ErrNotAccessToken},
		{"typ ID in at+jwt", p.SignJWT(with("typ", "ID"), typ("at+jwt")), ErrNotAccessToken},
		{"empty sub", p.SignJWT(with("sub", ""), typ("at+jwt")), errAny},
		{"b64 in crit", p.SignJWT(good(p, now.Now()), provider.WithHeader("crit", []string{"b64"}),
			provider.WithHeader("b64", true)), errAny},
		{"typ ID", p.SignJWT(with("typ", "ID"), typ("JWT")), ErrNotAccessToken},
		{"typ Refresh", p.SignJWT(with("typ", "Refresh"), typ("JWT")), ErrNotAccessToken},
		{"events", p.SignJWT(with("events", map[string]any{}), typ("at+jwt")), ErrNotAccessToken},
		{"logout token", p.SignJWT(good(p, now.Now()), typ("logout+jwt")), ErrNotAccessToken},
		{"DPoP proof", p.SignJWT(good(p, now.Now()), typ("dpop+jwt")), ErrNotAccessToken},
		{"introspection response", p.SignJWT(good(p, now.Now()), typ("token-introspection+jwt")), ErrNotAccessToken},
		{"request object", p.SignJWT(good(p, now.Now()), typ("oauth-authz-req+jwt")), ErrNotAccessToken},
		{"security event", p.SignJWT(good(p, now.Now()), typ("secevent+JWT")), ErrNotAccessToken},
		{"JWS in JSON", `{"payload":"e30","signatures":[]}`, errMalformed},
		{"white space within", strings.Replace(p.SignJWT(good(p, now.Now())), ".", ". ", 1), errMalformed},
		{"too long", p.SignJWT(with("pad", strings.Repeat("a", maxJWT))), errTooLong},
		{"cut", p.SignJWT(good(p, now.Now()))[:300], errAny},
		{"empty signature", p.SignJWT(good(p, now.Now()))[:strings.LastIndex(p.SignJWT(good(p, now.Now())), ".")+1], errAny},
	} {
		_, err := c.issuer.AccessToken(t.Context(), test.token)
		switch {
		case test.wanted == nil && err != nil:
			t.Errorf("%s: %v, expected it to pass", test.name, err)
		case test.wanted != nil && err == nil:
			t.Errorf("%s passed", test.name)
		case test.wanted != nil && test.wanted != errAny && !errors.Is(err, test.wanted):
			t.Errorf("%s: %v, expected %v", test.name, err, test.wanted)
		case errors.Is(err, ErrUnavailable):
			t.Errorf("%s: %v, which says nothing about the token", test.name, err)
		}
	}
}

var errAny = errors.New("any")

// respelt returns a token whose signature has other unused bits: the last of its 342 characters has four of them.
func respelt(token string) string {
	const signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(signs[strings.IndexByte(signs, token[last])|1])
}

// twice appends a member to the JSON of claims, which may have it already.
func twice(t *testing.T, claims map[string]any, name, value string) []byte {
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return append(b[:len(b)-1], fmt.Sprintf(",%q:%q}", name, value)...)
}

func TestAccessTokenIsVerifiedOnceAndJudgedEachTime(t *testing.T) {
	p, c, now := begin(t, nil)
	token := p.SignJWT(good(p, now.Now()))
	first, err := c.issuer.AccessToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	again, err := c.issuer.AccessToken(t.Context(), token)
	if err != nil || !sharesClaims(again, first) {
		t.Fatalf("the second time: %p, %v, expected the claims of the first identity %p", again, err, first)
	}
	now.advance(time.Minute)
	if _, err := c.issuer.AccessToken(t.Context(), token); !errors.Is(err, ErrExpired) {
		t.Errorf("after its exp: %v", err)
	}
}

// TestWithdrawnKeyProvesNothing checks that the cache has no token of a key that was withdrawn.
func TestWithdrawnKeyProvesNothing(t *testing.T) {
	p, c, now := begin(t, nil)
	old := p.SignJWT(good(p, now.Now()))
	if _, err := c.issuer.AccessToken(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	p.RotateKeys(false)
	now.advance(31 * time.Second)
	if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.issuer.AccessToken(t.Context(), old); !errors.Is(err, errBadSignature) {
		t.Errorf("the old key's token: %v", err)
	}
}

func TestIssuerDownAndBack(t *testing.T) {
	p, c, now := begin(t, nil)
	token := p.SignJWT(good(p, now.Now()))
	p.Close()
	for range 3 {
		if _, err := c.issuer.AccessToken(t.Context(), token); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("while it is down: %v", err)
		}
	}
	p.Reopen()
	now.advance(retryAfterFail)
	if _, err := c.issuer.AccessToken(t.Context(), token); err != nil {
		t.Fatalf("after its return: %v", err)
	}
	p.Close()
	now.advance(2 * documentLifetime)
	if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); err != nil {
		t.Errorf("kept keys while it is down: %v", err)
	}
}

func TestTroubleAtTheIssuerIsNoVerdict(t *testing.T) {
	huge := func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"keys":["`)
		for range 2 * maxDocument / 1024 {
			if _, err := io.WriteString(w, strings.Repeat("a", 1024)); err != nil {
				return
			}
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"garbage": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"no keys": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"keys":[]}`) },
		"huge":    huge,
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			io.WriteString(w, "{")
		},
		"loop":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
		"downhill": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
	} {
		p, c, now := begin(t, nil)
		p.Break(provider.JWKS, h)
		if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v, expected it to say that the issuer can't be asked", name, err)
		}
	}
}

func TestSlowIssuerIsGivenUp(t *testing.T) {
	p, c, now := begin(t, func(s *Settings) { s.Timeout = 50 * time.Millisecond })
	_, release := p.Hold(provider.Discovery)
	defer release()
	if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestWellKnown(t *testing.T) {
	for in, want := range map[string][2]string{
		"https://idp/realms/x": {"https://idp/realms/x", "https://idp/realms/x/.well-known/openid-configuration"},
		"https://idp/":         {"https://idp/", "https://idp/.well-known/openid-configuration"},
		"https://idp/x/.well-known/openid-configuration": {"https://idp/x", "https://idp/x/.well-known/openid-configuration"},
		"https://idp/.well-known/oauth-authorization-server/tenant": {
			"https://idp/tenant", "https://idp/.well-known/oauth-authorization-server/tenant",
		},
	} {
		if issuer, document := wellKnown(in); issuer != want[0] || document != want[1] {
			t.Errorf("%s: %s, %s", in, issuer, document)
		}
	}
}
