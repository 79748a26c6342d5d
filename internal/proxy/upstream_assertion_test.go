package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// TestUpstreamAssertion verifies assertions as an upstream does. A client can't send one of its own, in any spelling.
func TestUpstreamAssertion(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var keysErr error
	var got http.Header
	front, _ := start(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header }, func(r *Route, _ *Config) {
		r.Headers.AssertionSettings = AssertionSettings{
			UpstreamAssertionHeader: "X-Assertion", UpstreamAssertionIssuer: "https://gate.example.com",
			UpstreamAssertionClaims: []string{"roles", "absent"},
		}
		r.Keys = func(alg string) (*jose.JSONWebKey, error) {
			return &jose.JSONWebKey{Key: private, KeyID: "k1", Algorithm: alg}, keysErr
		}
	})
	ask := func(path, authorization string) int {
		r, _ := http.NewRequest("GET", front.URL+path, nil)
		r.Header = http.Header{"X-Assertion": {"forged"}, "X_assertion": {"forged"}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		got = nil
		res, err := front.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	seen := map[any]bool{}
	for range 2 {
		if status := ask("/", "Bearer good"); status != 200 || len(got["X-Assertion"]) != 1 {
			t.Fatalf("%d, %v", status, got)
		}
		parsed, err := jwt.ParseSigned(got.Get("X-Assertion"), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := parsed.Claims(private.Public(), &claims); err != nil {
			t.Fatal(err)
		}
		if h := parsed.Headers[0]; h.KeyID != "k1" || h.ExtraHeaders["typ"] != "upstream-assertion+jwt" {
			t.Errorf("header: %+v", h)
		}
		iat, _ := claims["iat"].(float64)
		exp, _ := claims["exp"].(float64)
		if age := time.Since(time.Unix(int64(iat), 0)); exp-iat != 60 || age < -time.Second || age > time.Minute {
			t.Errorf("it is valid from %v to %v", iat, exp)
		}
		if seen[claims["jti"]] || len(fmt.Sprint(claims["jti"])) < 22 {
			t.Errorf("jti: %v", claims["jti"])
		}
		seen[claims["jti"]] = true
		aud := "http://" + got.Get("X-Forwarded-Host")
		if upstream, _ := claims["aud"].(string); !strings.HasPrefix(upstream, "http://127.0.0.1:") || upstream == aud {
			t.Errorf("aud is %v, expected the upstream's origin", claims["aud"])
		}
		for _, name := range []string{"iat", "exp", "jti", "aud"} {
			delete(claims, name)
		}
		want := "map[iss:https://gate.example.com roles:[user] sub:john sub_id:map[format:iss_sub iss: sub:john]]"
		if fmt.Sprint(claims) != want {
			t.Errorf("claims: expected %s, got %v", want, claims)
		}
	}
	for _, name := range []string{"X-Assertion", "X_assertion"} {
		if ask("/off", ""); len(got[name]) > 0 {
			t.Errorf("without an identity the upstream received %v", got)
		}
	}
	keysErr = errors.New("the store is away")
	if status := ask("/", "Bearer good"); status != 503 || got != nil {
		t.Errorf("without a key: %d, and the upstream received %v", status, got)
	}
}
