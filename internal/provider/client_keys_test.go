package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

// TestJWKSURI checks that keys are fetched once, and again for an unknown kid, and that unknown key types are ignored.
func TestJWKSURI(t *testing.T) {
	keys := assertionKeys(t)
	var mu sync.Mutex
	served, fetched := publicKeys(keys, "p256"), 0
	set := func(s jose.JSONWebKeySet) { mu.Lock(); served = s; mu.Unlock() }
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fetched++
		list := []string{`{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`}
		for _, k := range served.Keys {
			b, _ := json.Marshal(k)
			list = append(list, string(b))
		}
		fmt.Fprintf(w, `{"keys":[%s]}`, strings.Join(list, ","))
	}))
	defer up.Close()
	p, clock := startWith(t, provider.Client{ID: "key", AuthMethod: "private_key_jwt", JWKSURI: up.URL})
	ask := func(alg, kid string) int {
		assertion := p.SignJWT(assertionClaims(p, "key", clock.Now(), nil), provider.WithAlg(alg), provider.WithKey(keys[kid]),
			provider.WithHeader("kid", kid))
		r, _ := post(t, p.URL+"/token", "", "", assertionForm(assertion, nil))
		return r.StatusCode
	}
	for i, tc := range []struct {
		alg, kid          string
		set               jose.JSONWebKeySet
		expected, fetches int
	}{
		{"ES256", "p256", publicKeys(keys, "p256"), 200, 1},
		{"ES256", "p256", publicKeys(keys, "p256"), 200, 1},
		{"EdDSA", "ed", publicKeys(keys, "p256"), 401, 2},
		{"EdDSA", "ed", publicKeys(keys, "ed"), 200, 3},
		{"ES256", "p256", publicKeys(keys, "ed"), 401, 4},
	} {
		set(tc.set)
		got := ask(tc.alg, tc.kid)
		mu.Lock()
		if got != tc.expected || fetched != tc.fetches {
			t.Errorf("%d: expected %d and %d fetches, got %d and %d", i, tc.expected, tc.fetches, got, fetched)
		}
		mu.Unlock()
	}
	up.Close()
	if got := ask("ES256", "p256"); got != 401 {
		t.Errorf("keys that can't be fetched: expected 401, got %d", got)
	}
}

// TestForeignAssertion checks client authentication by a Kubernetes service account token (RFC 7523 §3).
func TestForeignAssertion(t *testing.T) {
	keys := assertionKeys(t)
	const cluster, account = "https://kubernetes.default.svc.cluster.local", "system:serviceaccount:gate:sallyport"
	p, clock := startWith(t, provider.Client{ID: "pod", AuthMethod: "private_key_jwt", JWKS: publicKeys(keys, "ed"),
		AssertionIssuer: cluster, AssertionSubject: account, AssertionJWKS: publicKeys(keys, "rsa")})
	now := clock.Now()
	for name, tc := range map[string]struct {
		change   map[string]any
		kid      string
		more     url.Values
		expected string
	}{
		"good":             {nil, "rsa", nil, ""},
		"with client_id":   {nil, "rsa", url.Values{"client_id": {"pod"}}, ""},
		"other client_id":  {nil, "rsa", url.Values{"client_id": {"app"}}, "invalid_client"},
		"one aud":          {map[string]any{"aud": p.Issuer()}, "rsa", nil, ""},
		"other aud":        {map[string]any{"aud": []string{cluster}}, "rsa", nil, "invalid_client"},
		"no exp":           {map[string]any{"exp": nil}, "rsa", nil, "invalid_client"},
		"expired":          {map[string]any{"exp": now.Unix()}, "rsa", nil, "invalid_client"},
		"other account":    {map[string]any{"sub": account + "2"}, "rsa", nil, "invalid_client"},
		"other cluster":    {map[string]any{"iss": "https://evil.test"}, "rsa", nil, "invalid_client"},
		"the client's own": {map[string]any{"iss": "pod", "sub": "pod"}, "ed", nil, "invalid_client"},
		"another key":      {nil, "ed", nil, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			claims := assertionClaims(p, "pod", now, map[string]any{"iss": cluster, "sub": account, "aud": []string{cluster, p.Issuer()},
				"exp": now.Add(time.Hour).Unix()})
			maps.Copy(claims, tc.change)
			maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
			alg := map[string]string{"rsa": "RS256", "ed": "EdDSA"}[tc.kid]
			assertion := p.SignJWT(claims, provider.WithAlg(alg), provider.WithKey(keys[tc.kid]), provider.WithHeader("kid", tc.kid),
				provider.WithHeader("typ", nil))
			for range 2 { // these tokens are used until they expire
				_, answer := post(t, p.URL+"/token", "", "", assertionForm(assertion, tc.more))
				if got, _ := answer["error"].(string); got != tc.expected {
					t.Errorf("expected %q, got %v", tc.expected, answer)
				}
			}
		})
	}
}
