package provider_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

const longSecret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" // enough for HS512 (RFC 7518 §3.2)

// assertionKeys generates a private key of each kind and returns them by kid.
func assertionKeys(t *testing.T) map[string]any {
	t.Helper()
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e256, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	e384, err3 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	e521, err4 := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, d, err5 := ed25519.GenerateKey(rand.Reader)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return map[string]any{"rsa": r, "p256": e256, "p384": e384, "p521": e521, "ed": d}
}

// publicKeys returns the key set with the public keys of these kids.
func publicKeys(keys map[string]any, kids ...string) (set jose.JSONWebKeySet) {
	for _, kid := range kids {
		private := jose.JSONWebKey{Key: keys[kid], KeyID: kid, Use: "sig"}
		set.Keys = append(set.Keys, private.Public())
	}
	return set
}

// assertionClaims returns the claims of a valid client assertion with changes; nil removes a claim.
func assertionClaims(p *provider.Provider, clientID string, now time.Time, change map[string]any) map[string]any {
	claims := map[string]any{"iss": clientID, "sub": clientID, "aud": p.Issuer(), "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(),
		"jti": rand.Text()}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func assertionForm(assertion string, more url.Values) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
	maps.Copy(form, more)
	return form
}

// startWith is like start, with additional clients.
func startWith(t *testing.T, clients ...provider.Client) (*provider.Provider, *clock) {
	t.Helper()
	c, k := config(), &clock{now: time.Now()}
	c.Now, c.Clients = k.Now, append(c.Clients, clients...)
	return provider.Start(t, c), k
}

func TestAssertionAlgs(t *testing.T) {
	keys := assertionKeys(t)
	p, clock := startWith(t,
		provider.Client{ID: "jwt", Secret: longSecret, AuthMethod: "client_secret_jwt"},
		provider.Client{ID: "short", Secret: "s3cret", AuthMethod: "client_secret_jwt"},
		provider.Client{ID: "hs512", Secret: longSecret, AuthMethod: "client_secret_jwt", AuthSigningAlg: "HS512"},
		provider.Client{ID: "key", AuthMethod: "private_key_jwt", JWKS: publicKeys(keys, "rsa", "p256", "p384", "p521", "ed")},
		provider.Client{ID: "one", AuthMethod: "private_key_jwt", AuthSigningAlg: "ES256", JWKS: publicKeys(keys, "p256")},
	)
	secret := []byte(longSecret)
	for _, tc := range []struct {
		client, alg, kid string
		key              any
		good             bool
	}{
		{"jwt", "HS256", "", secret, true},
		{"jwt", "HS384", "", secret, true},
		{"jwt", "HS512", "", secret, true},
		{"jwt", "HS256", "", []byte("another"), false},
		{"jwt", "RS256", "", keys["rsa"], false},
		{"jwt", "none", "", nil, false},
		{"short", "HS256", "", []byte("s3cret"), false},
		{"hs512", "HS512", "", secret, true},
		{"hs512", "HS256", "", secret, false},
		{"key", "RS256", "rsa", keys["rsa"], true},
		{"key", "RS384", "rsa", keys["rsa"], true},
		{"key", "RS512", "rsa", keys["rsa"], true},
		{"key", "PS256", "rsa", keys["rsa"], true},
		{"key", "PS384", "rsa", keys["rsa"], true},
		{"key", "PS512", "rsa", keys["rsa"], true},
		{"key", "ES256", "p256", keys["p256"], true},
		{"key", "ES384", "p384", keys["p384"], true},
		{"key", "ES512", "p521", keys["p521"], true},
		{"key", "EdDSA", "ed", keys["ed"], true},
		{"key", "ES256", "", keys["p256"], false}, // without a kid, which of the five?
		{"key", "ES256", "p384", keys["p256"], false},
		{"key", "ES256", "unknown", keys["p256"], false},
		{"key", "HS256", "rsa", p.PublicKeyPEM(), false},
		{"key", "none", "rsa", nil, false},
		{"one", "ES256", "", keys["p256"], true},
		{"one", "ES384", "p256", keys["p384"], false},
	} {
		options := []provider.SignOption{provider.WithAlg(tc.alg), provider.WithKey(tc.key), provider.WithHeader("kid", nil)}
		if tc.kid != "" {
			options = append(options, provider.WithHeader("kid", tc.kid))
		}
		form := assertionForm(p.SignJWT(assertionClaims(p, tc.client, clock.Now(), nil), options...), nil)
		r, answer := post(t, p.URL+"/token", "", "", form)
		if good := r.StatusCode == http.StatusOK; good != tc.good || !good && (r.StatusCode != 401 || answer["error"] != "invalid_client") {
			t.Errorf("%s with %s and kid %q: got %s %v", tc.client, tc.alg, tc.kid, r.Status, answer)
		}
	}
}

func TestAssertionClaims(t *testing.T) {
	keys := assertionKeys(t)
	p, clock := startWith(t, provider.Client{ID: "key", AuthMethod: "private_key_jwt", JWKS: publicKeys(keys, "ed")})
	now := clock.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, tc := range map[string]struct {
		change   map[string]any
		more     url.Values
		typ      any
		expected string
	}{
		"good":               {nil, nil, "JWT", ""},
		"no typ":             {nil, nil, nil, ""},
		"explicit typ":       {nil, nil, "client-authentication+jwt", ""},
		"access token's typ": {nil, nil, "at+jwt", "invalid_client"},
		"with client_id":     {nil, url.Values{"client_id": {"key"}}, "JWT", ""},
		"other client_id":    {nil, url.Values{"client_id": {"app"}}, "JWT", "invalid_client"},
		"two client_ids":     {nil, url.Values{"client_id": {"key", "key"}}, "JWT", "invalid_request"},
		"and a secret":       {nil, url.Values{"client_id": {"key"}, "client_secret": {"x"}}, "JWT", "invalid_request"},
		"no type":            {nil, url.Values{"client_assertion_type": nil}, "JWT", "invalid_request"},
		"SAML": {nil, url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}},
			"JWT", "invalid_request"},
		"no assertion":            {nil, url.Values{"client_assertion": nil}, "JWT", "invalid_request"},
		"garbage":                 {nil, url.Values{"client_assertion": {"x.y.z"}}, "JWT", "invalid_client"},
		"no iss":                  {map[string]any{"iss": nil}, nil, "JWT", "invalid_client"},
		"no sub":                  {map[string]any{"sub": nil}, nil, "JWT", "invalid_client"},
		"iss isn't sub":           {map[string]any{"iss": "app"}, nil, "JWT", "invalid_client"},
		"another client's way":    {map[string]any{"iss": "app", "sub": "app"}, nil, "JWT", "invalid_client"},
		"aud: token endpoint":     {map[string]any{"aud": p.URL + "/token"}, nil, "JWT", ""},
		"aud: a list of one":      {map[string]any{"aud": []string{p.Issuer()}}, nil, "JWT", "invalid_client"},
		"aud: a slash more":       {map[string]any{"aud": p.Issuer() + "/"}, nil, "JWT", "invalid_client"},
		"aud: an endpoint beside": {map[string]any{"aud": p.URL + "/introspect"}, nil, "JWT", "invalid_client"},
		"no aud":                  {map[string]any{"aud": nil}, nil, "JWT", "invalid_client"},
		"no exp":                  {map[string]any{"exp": nil}, nil, "JWT", "invalid_client"},
		"exp is text":             {map[string]any{"exp": "soon"}, nil, "JWT", "invalid_client"},
		"expired":                 {map[string]any{"exp": in(0)}, nil, "JWT", "invalid_client"},
		"10 minutes":              {map[string]any{"exp": in(10 * time.Minute)}, nil, "JWT", ""},
		"11 minutes":              {map[string]any{"exp": in(11 * time.Minute)}, nil, "JWT", "invalid_client"},
		"iat in the future":       {map[string]any{"iat": in(time.Minute)}, nil, "JWT", "invalid_client"},
		"nbf in the future":       {map[string]any{"nbf": in(time.Minute)}, nil, "JWT", "invalid_client"},
		"nbf within the skew":     {map[string]any{"nbf": in(5 * time.Second)}, nil, "JWT", ""},
		"no iat":                  {map[string]any{"iat": nil}, nil, "JWT", ""},
		"no jti":                  {map[string]any{"jti": nil}, nil, "JWT", "invalid_client"},
		"empty jti":               {map[string]any{"jti": ""}, nil, "JWT", "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			assertion := p.SignJWT(assertionClaims(p, "key", now, tc.change), provider.WithAlg("EdDSA"), provider.WithKey(keys["ed"]),
				provider.WithHeader("kid", "ed"), provider.WithHeader("typ", tc.typ))
			_, answer := post(t, p.URL+"/token", "", "", assertionForm(assertion, tc.more))
			if got, _ := answer["error"].(string); got != tc.expected {
				t.Errorf("expected %q, got %v", tc.expected, answer)
			}
		})
	}
}

// TestAssertionOnce checks that all endpoints together accept a jti once, and that each accepts its own URL as aud.
func TestAssertionOnce(t *testing.T) {
	p, clock := startWith(t, provider.Client{ID: "jwt", Secret: longSecret, AuthMethod: "client_secret_jwt"})
	ask := func(path, assertion string) int {
		r, _ := post(t, p.URL+path, "", "", assertionForm(assertion, url.Values{"token": {"x"}}))
		return r.StatusCode
	}
	made := func(change map[string]any) string {
		return p.SignJWT(assertionClaims(p, "jwt", clock.Now(), change), provider.WithAlg("HS256"), provider.WithKey([]byte(longSecret)))
	}
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		one := made(map[string]any{"aud": p.URL + path})
		if got := ask(path, one); got != 200 {
			t.Errorf("%s: got %d", path, got)
		}
		for _, again := range []string{"/token", "/introspect", "/revoke"} {
			if got := ask(again, one); got != 401 {
				t.Errorf("%s after %s: expected 401, got %d", again, path, got)
			}
		}
	}
	wrong := made(map[string]any{"jti": "mine", "aud": "https://evil.test"})
	if ask("/token", wrong) != 401 || ask("/token", made(map[string]any{"jti": "mine"})) != 200 {
		t.Error("expected the jti of a rejected assertion to stay unused")
	}
	var good sync.Map
	var all sync.WaitGroup
	raced := made(nil)
	for i := range 10 {
		all.Go(func() {
			if r, err := http.PostForm(p.URL+"/token", assertionForm(raced, nil)); err == nil {
				r.Body.Close()
				if r.StatusCode == 200 {
					good.Store(i, true)
				}
			}
		})
	}
	all.Wait()
	count := 0
	good.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Errorf("at once: expected one success, got %d", count)
	}
}

// TestAssertionAtAlias checks that aud may be the mTLS alias of the endpoint.
func TestAssertionAtAlias(t *testing.T) {
	c := config()
	c.Clients = append(c.Clients, provider.Client{ID: "jwt", Secret: longSecret, AuthMethod: "client_secret_jwt"})
	p := provider.StartTLS(t, c)
	for _, aud := range []string{p.Issuer(), p.URL + "/token", p.MTLSURL + "/token"} {
		assertion := p.SignJWT(assertionClaims(p, "jwt", time.Now(), map[string]any{"aud": aud}), provider.WithAlg("HS256"),
			provider.WithKey([]byte(longSecret)))
		if status, answer := ask(t, p, nil, p.MTLSURL+"/token", assertionForm(assertion, nil)); status != http.StatusOK {
			t.Errorf("aud %s: got %d %v", aud, status, answer)
		}
	}
}

// TestAssertionWithExtension checks that assertions with crit are rejected (RFC 7515 §4.1.11), also with b64 (RFC 7797 §7).
func TestAssertionWithExtension(t *testing.T) {
	keys := assertionKeys(t)
	p, clock := startWith(t, provider.Client{ID: "key", AuthMethod: "private_key_jwt", JWKS: publicKeys(keys, "ed")})
	for name, header := range map[string]map[string]any{
		"none": {}, "unknown": {"crit": []string{"x"}, "x": 1},
		"b64": {"crit": []string{"b64"}, "b64": true}, "empty": {"crit": []string{}},
	} {
		options := []provider.SignOption{provider.WithAlg("EdDSA"), provider.WithKey(keys["ed"]), provider.WithHeader("kid", "ed")}
		for k, v := range header {
			options = append(options, provider.WithHeader(k, v))
		}
		r, answer := post(t, p.URL+"/token", "", "", assertionForm(p.SignJWT(assertionClaims(p, "key", clock.Now(), nil), options...), nil))
		if good := r.StatusCode == http.StatusOK; good != (name == "none") {
			t.Errorf("crit %s: got %s %v", name, r.Status, answer)
		}
	}
}
