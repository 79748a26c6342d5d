package oidc

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"sallyport/internal/provider"
)

// TestResponseJWT verifies authorization responses in JWTs, good ones and each that differs in one thing (JARM §2.4).
func TestResponseJWT(t *testing.T) {
	p, c, now := begin(t, func(s *Settings) { s.AuthorizationSignedResponseAlg = "PS256" })
	stranger, _ := rsa.GenerateKey(rand.Reader, 2048)
	with := func(name string, v any) map[string]any {
		claims := map[string]any{"iss": p.Issuer(), "aud": "app", "exp": now.Now().Add(time.Minute).Unix(), "code": "c", "state": "s"}
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
		return claims
	}
	ps := provider.WithAlg("PS256")
	for _, test := range []struct {
		name, text, says string // says is empty: it passes
	}{
		{"good", p.SignJWT(with("code", "c"), ps), ""},
		{"aud is a list", p.SignJWT(with("aud", []string{"x", "app"}), ps), ""},
		{"an error", p.SignJWT(with("error", "access_denied"), ps), ""},
		{"no typ", p.SignJWT(with("code", "c"), ps, provider.WithHeader("typ", nil)), ""},
		{"no iss", p.SignJWT(with("iss", nil), ps), "iss: expected"},
		{"another iss", p.SignJWT(with("iss", "https://evil"), ps), "iss: expected"},
		{"no aud", p.SignJWT(with("aud", nil), ps), "aud: expected"},
		{"another aud", p.SignJWT(with("aud", "other"), ps), "aud: expected"},
		{"no exp", p.SignJWT(with("exp", nil), ps), "exp is missing"},
		{"exp is text", p.SignJWT(with("exp", "soon"), ps), "exp is missing"},
		{"expired", p.SignJWT(with("exp", now.Now().Unix()), ps), "exp was"},
		{"none", p.SignJWT(with("code", "c"), provider.WithAlg("none")), `it is signed with "none"`},
		{"another alg of the issuer", p.SignJWT(with("code", "c")), `it is signed with "RS256"`},
		{"HMAC with the public key", p.SignJWT(with("code", "c"), provider.WithAlg("HS256"), provider.WithKey(p.PublicKeyPEM())),
			`it is signed with "HS256"`},
		{"another key", p.SignJWT(with("code", "c"), ps, provider.WithKey(stranger)), errBadSignature.Error()},
		{"an access token", p.SignJWT(with("code", "c"), ps, provider.WithHeader("typ", "at+jwt")), "its typ is"},
		{"crit", p.SignJWT(with("code", "c"), ps, provider.WithHeader("crit", []string{"x"}), provider.WithHeader("x", 1)), "crit"},
		{"a claim twice", p.SignPayload(twice(t, with("code", "c"), "code", "d"), ps), "duplicate"},
		{"no JWT", "code", errMalformed.Error()},
		{"too long", p.SignJWT(with("pad", strings.Repeat("a", maxJWT)), ps), errTooLong.Error()},
	} {
		r, err := c.ParseResponse(test.text)
		if err == nil {
			err = c.VerifyResponse(t.Context(), r)
		}
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, expected %q", test.name, err, test.says)
		}
		if errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v, which says nothing about the response", test.name, err)
		}
	}
}

// TestResponseJWTIsAlwaysVerified: no setting switches the verification off, because the response comes through a browser.
func TestResponseJWTIsAlwaysVerified(t *testing.T) {
	p, c, now := begin(t, func(s *Settings) {
		s.AuthorizationSignedResponseAlg, s.VerifySignature, s.VerifyClaims = "RS256", false, false
		s.IgnoreSignature = []string{GrantAuthorizationCode}
	})
	stranger, _ := rsa.GenerateKey(rand.Reader, 2048)
	claims := map[string]any{"iss": p.Issuer(), "aud": "app", "exp": now.Now().Add(time.Minute).Unix(), "code": "c", "state": "s"}
	for name, change := range map[string]func() []provider.SignOption{
		"another key": func() []provider.SignOption { return []provider.SignOption{provider.WithKey(stranger)} },
		"expired":     func() []provider.SignOption { claims["exp"] = now.Now().Unix(); return nil },
		"another iss": func() []provider.SignOption { claims["iss"] = "https://evil"; return nil },
	} {
		text := p.SignJWT(claims, change()...)
		r, err := c.ParseResponse(text)
		if err == nil {
			err = c.VerifyResponse(t.Context(), r)
		}
		if err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

// TestResponseJWTWithoutKeys: an outage says nothing about the response.
func TestResponseJWTWithoutKeys(t *testing.T) {
	p, c, now := begin(t, func(s *Settings) { s.AuthorizationSignedResponseAlg = "RS256" })
	text := p.SignJWT(map[string]any{"iss": p.Issuer(), "aud": "app", "exp": now.Now().Add(time.Minute).Unix(), "code": "c"})
	p.Close()
	r, err := c.ParseResponse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.VerifyResponse(t.Context(), r); !IsOutage(err) {
		t.Errorf("got %v", err)
	}
}

// TestFrontChannelIDToken verifies ID tokens of authorization responses, good ones and each that differs in one thing (OIDC Core
// §3.3.2.11).
func TestFrontChannelIDToken(t *testing.T) {
	p, c, now := begin(t, func(s *Settings) { s.IDTokenSignedResponseAlg = []string{"ES256"} })
	r := FrontChannel{Nonce: "n", State: "the state", Code: "the code"}
	with := func(name string, v any) map[string]any {
		claims := good(p, now.Now())
		claims["nonce"], claims["c_hash"], claims["s_hash"] = "n", halfHash("ES256", r.Code), halfHash("ES256", r.State)
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
		return claims
	}
	for _, test := range []struct {
		name   string
		claims map[string]any
		says   string
	}{
		{"good", with("x", 1), ""},
		{"another c_hash", with("c_hash", halfHash("ES256", "other")), "c_hash: expected"},
		{"no c_hash", with("c_hash", nil), "c_hash: expected"},
		{"another s_hash", with("s_hash", halfHash("ES256", "other")), "s_hash: expected"},
		{"no s_hash", with("s_hash", nil), "s_hash: expected"},
		{"c_hash isn't text", with("c_hash", 1), "c_hash: expected"},
		{"another nonce", with("nonce", "other"), "nonce: expected"},
		{"no nonce", with("nonce", nil), "nonce: expected"},
		{"another aud", with("aud", "other"), "aud: expected"},
		{"another iss", with("iss", "https://evil"), "iss: expected"},
		{"expired", with("exp", now.Now().Unix()), "exp was"},
	} {
		claims, err := c.FrontChannelIDToken(t.Context(), p.SignJWT(test.claims, provider.WithAlg("ES256")), r)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, expected %q", test.name, err, test.says)
		}
		if err == nil && claims.String("sub") != "john" {
			t.Errorf("%s: the claims are %v", test.name, claims)
		}
	}
	if _, err := c.FrontChannelIDToken(t.Context(), p.SignJWT(with("x", 1)), r); err == nil {
		t.Error("another alg passed")
	}
	front, _ := c.FrontChannelIDToken(t.Context(), p.SignJWT(with("x", 1), provider.WithAlg("ES256")), r)
	for name, ok := range map[string]bool{"john": true, "jane": false} {
		token := p.SignJWT(with("sub", name), provider.WithAlg("ES256"))
		_, _, err := c.IDToken(t.Context(), token, IDTokenWant{Grant: GrantAuthorizationCode, Front: front})
		if (err == nil) != ok {
			t.Errorf("the token endpoint's ID token about %s: %v", name, err)
		}
	}
}
