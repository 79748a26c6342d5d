package provider_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

const introspectionJWT = "application/token-introspection+jwt"

// do sends a request with an Accept header and returns the response and its body.
func do(t *testing.T, r *http.Request, accept string) (*http.Response, string) {
	t.Helper()
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// verified verifies a JWT with the published keys and returns its claims.
func verified(t *testing.T, p *provider.Provider, token, alg, typ string) (c map[string]any) {
	t.Helper()
	r, err := http.Get(p.URL + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(r.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		t.Fatalf("%v in %s", err, token)
	}
	header := jws.Signatures[0].Header
	if header.ExtraHeaders[jose.HeaderType] != typ {
		t.Errorf("typ: expected %s, got %v", typ, header.ExtraHeaders[jose.HeaderType])
	}
	payload, err := jws.Verify(set.Key(header.KeyID)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func introspectAs(t *testing.T, p *provider.Provider, client, token, accept string) (*http.Response, string) {
	t.Helper()
	r, _ := http.NewRequest(http.MethodPost, p.URL+"/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, "s3cret")
	return do(t, r, accept)
}

// TestIntrospectionJWT checks signed introspection responses (RFC 9701).
func TestIntrospectionJWT(t *testing.T) {
	p, clock := startWith(t, provider.Client{ID: "es", Secret: "s3cret", IntrospectionSignedResponseAlg: "ES256"})
	token := p.AccessToken("john", "app", map[string]any{"aud": []string{"app", "es"}})
	for client, alg := range map[string]string{"app": "RS256", "es": "ES256"} {
		r, body := introspectAs(t, p, client, token, introspectionJWT)
		if got := r.Header.Get("Content-Type"); r.StatusCode != 200 || got != introspectionJWT ||
			r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %s, %q", client, r.Status, got)
		}
		c := verified(t, p, body, alg, "token-introspection+jwt")
		about, _ := c["token_introspection"].(map[string]any)
		if c["iss"] != p.Issuer() || c["aud"] != client || c["iat"] != float64(clock.Now().Unix()) || len(c) != 4 {
			t.Errorf("%s: got %v", client, c)
		}
		if about["active"] != true || about["sub"] != "u-1" || about["username"] != "john" || about["client_id"] != "app" {
			t.Errorf("%s: got the token_introspection %v", client, about)
		}
	}
	for accept, signed := range map[string]bool{"": false, "*/*": false, "application/json": false, "application/jwt": false,
		introspectionJWT + ", application/json;q=0.5": true, "application/json, " + introspectionJWT + ";q=0.5": false,
		introspectionJWT + ";q=0": false} {
		r, _ := introspectAs(t, p, "app", token, accept)
		if got := r.Header.Get("Content-Type") == introspectionJWT; got != signed {
			t.Errorf("Accept: %s: got %s", accept, r.Header.Get("Content-Type"))
		}
	}
	p.AdjustAnswer(provider.Introspection, func(a map[string]any) { a["active"] = "yes" })
	p.AdjustSignedAnswer(provider.Introspection, func(c map[string]any) { c["aud"] = "another" })
	_, body := introspectAs(t, p, "app", token, introspectionJWT)
	if c := verified(t, p, body, "RS256", "token-introspection+jwt"); c["aud"] != "another" ||
		c["token_introspection"].(map[string]any)["active"] != "yes" {
		t.Errorf("adjusted: got %v", c)
	}
	if r, _ := introspectAs(t, p, "public", token, introspectionJWT); r.StatusCode != http.StatusUnauthorized ||
		r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a refusal: got %s, %s", r.Status, r.Header.Get("Content-Type"))
	}
}

// TestIntrospectionAudience checks which clients may introspect tokens for another audience.
func TestIntrospectionAudience(t *testing.T) {
	p, _ := startWith(t,
		provider.Client{ID: "own", Secret: "s3cret", OnlyOwnAudience: true},
		provider.Client{ID: "any", Secret: "s3cret", AnyAudience: true},
	)
	for _, tc := range []struct {
		client, aud  string
		json, signed bool
	}{
		{"app", "app", true, true},
		{"app", "api", true, false},
		{"own", "own", true, true},
		{"own", "api", false, false},
		{"any", "api", true, true},
	} {
		token := p.AccessToken("john", "app", map[string]any{"aud": tc.aud})
		for accept, expected := range map[string]bool{"application/json": tc.json, introspectionJWT: tc.signed} {
			_, body := introspectAs(t, p, tc.client, token, accept)
			var about map[string]any
			if accept == introspectionJWT {
				about = verified(t, p, body, "RS256", "token-introspection+jwt")["token_introspection"].(map[string]any)
			} else if err := json.Unmarshal([]byte(body), &about); err != nil {
				t.Fatal(err)
			}
			if about["active"] != expected || !expected && len(about) != 1 {
				t.Errorf("%s about a token for %s as %s: got %v", tc.client, tc.aud, accept, about)
			}
		}
	}
}

func TestUserinfoJWT(t *testing.T) {
	p, _ := startWith(t, provider.Client{ID: "signed", Secret: "s3cret", UserinfoSignedResponseAlg: "PS256"})
	for name, tc := range map[string]struct{ client, accept, alg string }{
		"plain":               {"app", "", ""},
		"JSON":                {"app", "application/json", ""},
		"JSON rather":         {"app", "application/jwt;q=0.1, application/json", ""},
		"asked for":           {"app", "application/jwt", "RS256"},
		"registered":          {"signed", "", "PS256"},
		"registered, for all": {"signed", "application/json", "PS256"},
	} {
		r, _ := http.NewRequest(http.MethodGet, p.URL+"/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+p.AccessToken("john", tc.client, nil))
		answer, body := do(t, r, tc.accept)
		if tc.alg == "" {
			if got := answer.Header.Get("Content-Type"); got != "application/json" || strings.Contains(body, `"iss"`) {
				t.Errorf("%s: got %s %s", name, got, body)
			}
			continue
		}
		c := verified(t, p, body, tc.alg, "JWT")
		if answer.Header.Get("Content-Type") != "application/jwt" || c["iss"] != p.Issuer() || c["aud"] != tc.client || c["sub"] != "u-1" ||
			c["email"] == nil {
			t.Errorf("%s: got %s %v", name, answer.Header.Get("Content-Type"), c)
		}
	}
}
