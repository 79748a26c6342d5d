package oidc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// TestNewKeys checks that a key with which the issuer has just begun to sign is fetched at once, with a new or an old kid, soon after the
// first fetch and in spite of forged tokens.
func TestNewKeys(t *testing.T) {
	change := map[string]func(*provider.Provider){
		"a new kid":          func(p *provider.Provider) { p.RotateKeys(false) },
		"beside the old one": func(p *provider.Provider) { p.RotateKeys(true) },
		"under the same kid": func(p *provider.Provider) { p.ReplaceKeys() },
		"without a kid":      func(p *provider.Provider) { p.RotateKeys(false); changeKeys(p, map[string]any{"kid": nil}) },
	}
	for name, rotate := range change {
		t.Run(name, func(t *testing.T) {
			p, c, now := begin(t, nil)
			c.issuer.Warm(t.Context())
			now.advance(time.Second)
			rotate(p)
			if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); err != nil {
				t.Errorf("a token that a caller brings, a second after the first fetch: %v", err)
			}
			rotate(p)
			forged := p.SignJWT(good(p, now.Now()), provider.WithHeader("kid", "forged"))
			if _, err := c.issuer.AccessToken(t.Context(), forged); err == nil && name != "without a kid" {
				t.Error("a forged token passes")
			}
			issued := p.SignJWT(map[string]any{
				"iss": p.Issuer(), "sub": "john", "aud": "app", "exp": now.Now().Unix() + 60, "iat": now.Now().Unix(),
			})
			if _, _, err := c.IDToken(t.Context(), issued, IDTokenWant{Grant: "authorization_code"}); err != nil {
				t.Errorf("a token that the issuer answered: %v", err)
			}
			rotate(p)
			now.advance(issuerFetchInterval)
			again := p.SignJWT(good(p, now.Now()))
			if i, err := c.issuer.IssuedAccessToken(t.Context(), again, false); err != nil || i == nil {
				t.Errorf("an access token that the issuer answered %v later: %v, %v", issuerFetchInterval, i, err)
			}
		})
	}
}

// changeKeys changes members of all keys that the issuer publishes from now on; nil removes one.
func changeKeys(p *provider.Provider, members map[string]any) {
	p.AdjustAnswer(provider.JWKS, func(set map[string]any) {
		for _, k := range set["keys"].([]any) {
			for name, v := range members {
				if k.(map[string]any)[name] = v; v == nil {
					delete(k.(map[string]any), name)
				}
			}
		}
	})
}

// TestStrangersFetchKeysSeldom checks that tokens in requests cause one fetch of keys in rediscovery_lifetime, and none if their claims
// are refused.
func TestStrangersFetchKeysSeldom(t *testing.T) {
	p, c, now := begin(t, nil)
	c.issuer.Warm(t.Context())
	fetches := func() int { return p.Requests(provider.JWKS) - 1 }
	with := func(name string, v any, options ...provider.SignOption) string {
		claims := good(p, now.Now())
		claims[name] = v
		return p.SignJWT(claims, append(options, provider.WithHeader("kid", "unknown"))...)
	}
	for name, token := range map[string]string{
		"another issuer's": with("iss", "https://evil.example.com"),
		"expired":          with("exp", now.Now().Unix()-1),
		"not yet valid":    with("nbf", now.Now().Unix()+3600),
		"another typ":      with("x", 1, provider.WithHeader("typ", "dpop+jwt")),
		"an ID token":      with("nonce", "n"),
		"alg none":         with("x", 1, provider.WithAlg("none")),
		"HMAC":             with("x", 1, provider.WithAlg("HS256"), provider.WithKey([]byte("secret"))),
		"another audience": with("aud", "other"),
	} {
		_, err := ProveAccessToken(t.Context(), token, []*Issuer{c.issuer}, func(c auth.Claims) bool { return c.String("aud") == "app" })
		if err == nil || fetches() != 0 {
			t.Errorf("%s: %v, %d fetches", name, err, fetches())
		}
	}
	for range 3 {
		before := fetches()
		for n := range 50 {
			c.issuer.AccessToken(t.Context(), with("jti", n, provider.WithHeader("kid", fmt.Sprint(n))))
			c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))+"AA")
		}
		if got := fetches() - before; got != 1 {
			t.Errorf("100 forged tokens caused %d fetches, expected 1", got)
		}
		now.advance(30 * time.Second)
	}
}

// TestNoBrake checks that without rediscovery_lifetime each token causes exactly one fetch.
func TestNoBrake(t *testing.T) {
	p, c, now := begin(t, func(s *Settings) { s.RediscoveryLifetime = 0 })
	c.issuer.Warm(t.Context())
	for n := range 3 {
		c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()), provider.WithHeader("kid", "unknown")))
		if got := p.Requests(provider.JWKS) - 1; got != n+1 {
			t.Errorf("%d fetches after %d tokens", got, n+1)
		}
	}
}

// TestAFetchThatBeganBefore checks that a token which waited for a fetch that began before the issuer published its new key causes another
// fetch.
func TestAFetchThatBeganBefore(t *testing.T) {
	p, c, now := begin(t, nil)
	c.issuer.Warm(t.Context())
	before := publishedKeys(t, p)
	p.RotateKeys(false)
	after := publishedKeys(t, p)
	token := p.SignJWT(good(p, now.Now()))
	synctest.Test(t, func(t *testing.T) {
		answers, verdict := make(chan []byte), make(chan error, 1)
		c.issuer.http = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(<-answers)), Request: r}, nil
		})}
		go c.issuer.keys.share(t.Context(), c.issuer.fetchKeys)
		synctest.Wait() // the fetch has begun
		go func() {
			_, err := c.issuer.AccessToken(t.Context(), token)
			verdict <- err
		}()
		synctest.Wait() // the token waits for it
		answers <- before
		select {
		case answers <- after:
		case <-time.After(time.Minute):
			t.Error("there is no second fetch")
		}
		if err := <-verdict; err != nil {
			t.Error(err)
		}
	})
}

// publishedKeys returns the key set of the provider.
func publishedKeys(t *testing.T, p *provider.Provider) []byte {
	t.Helper()
	res, err := http.Get(p.URL + string(provider.JWKS))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTwoWhoFoundAFetchDue checks that of two callers which found at the same time that a fetch is due, one fetches.
func TestTwoWhoFoundAFetchDue(t *testing.T) {
	p, c, _ := begin(t, nil)
	keys, err := c.issuer.keys.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.issuer.keys.fetchFor(t.Context(), fromRequest, keys); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.Requests(provider.JWKS) - 1; got != 1 {
		t.Errorf("%d fetches, expected 1", got)
	}
}

// TestIssuersBrake checks that tokens from the issuer that no key verifies cause a fetch every 5 s.
func TestIssuersBrake(t *testing.T) {
	p, c, now := begin(t, nil)
	c.issuer.Warm(t.Context())
	for range 20 {
		c.issuer.IssuedAccessToken(t.Context(), p.SignJWT(good(p, now.Now()), provider.WithHeader("kid", "unknown")), false)
		now.advance(time.Second)
	}
	if got := p.Requests(provider.JWKS) - 1; got != 4 {
		t.Errorf("%d fetches in 20 s, expected 4", got)
	}
}

// TestAFailedFetchIsNoVerdict checks that while the keys can't be fetched, a token with an unknown key gets ErrUnavailable, and that the
// next fetch comes sooner.
func TestAFailedFetchIsNoVerdict(t *testing.T) {
	p, c, now := begin(t, nil)
	c.issuer.Warm(t.Context())
	p.RotateKeys(false)
	p.Break(provider.JWKS, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	token := p.SignJWT(good(p, now.Now()))
	for range 2 {
		if _, err := c.issuer.AccessToken(t.Context(), token); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("while the keys can't be fetched: %v", err)
		}
	}
	p.Break(provider.JWKS, nil)
	now.advance(retryAfterFail)
	if _, err := c.issuer.AccessToken(t.Context(), token); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// TestAFailedFetchKeepsNoKeyLonger checks that a fetch that fails doesn't prolong the use of the old keys.
func TestAFailedFetchKeepsNoKeyLonger(t *testing.T) {
	p, c, now := begin(t, nil)
	claims := good(p, now.Now())
	claims["exp"] = now.Now().Add(10 * time.Hour).Unix()
	token := p.SignJWT(claims)
	if _, err := c.issuer.AccessToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	p.RotateKeys(false)
	p.Break(provider.JWKS, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	now.advance(documentLifetime)
	if err := c.issuer.keys.share(t.Context(), c.issuer.fetchKeys); err == nil {
		t.Fatal("the fetch succeeded")
	}
	p.Break(provider.JWKS, nil)
	now.advance(keysMustRenew - documentLifetime)
	c.issuer.keys.tokens.InvalidateAll()
	if _, err := c.issuer.AccessToken(t.Context(), token); !errors.Is(err, errBadSignature) {
		t.Errorf("with a key that was withdrawn %v ago: %v", keysMustRenew, err)
	}
}

// TestWithdrawnMeanwhile checks that a token isn't cached if the key that verified it was withdrawn during the verification.
func TestWithdrawnMeanwhile(t *testing.T) {
	p, c, now := begin(t, nil)
	token := p.SignJWT(good(p, now.Now()))
	read, err := parseRequestJWT(token)
	if err != nil {
		t.Fatal(err)
	}
	v, by, err := c.issuer.verifyAccessToken(t.Context(), read, signatureRules{algorithms: asymmetric})
	if err != nil {
		t.Fatal(err)
	}
	p.RotateKeys(false)
	if err := c.issuer.keys.share(t.Context(), c.issuer.fetchKeys); err != nil {
		t.Fatal(err)
	}
	c.issuer.keys.remember(sumOf(token), v, by)
	if _, err := c.issuer.AccessToken(t.Context(), token); !errors.Is(err, errBadSignature) {
		t.Errorf("got %v", err)
	}
}

// TestAKeyThatChangesItsUse checks that verified tokens are dropped from the cache when the use or alg of their key changes.
func TestAKeyThatChangesItsUse(t *testing.T) {
	for name, change := range map[string]map[string]any{"use": {"use": "enc"}, "alg": {"alg": "RS512"}} {
		p, c, now := begin(t, nil)
		token := p.SignJWT(good(p, now.Now()))
		if _, err := c.issuer.AccessToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		changeKeys(p, change)
		if err := c.issuer.keys.share(t.Context(), c.issuer.fetchKeys); err != nil {
			t.Fatal(err)
		}
		if _, err := c.issuer.AccessToken(t.Context(), token); !errors.Is(err, errBadSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeySetsApart checks that a key set which can't be fetched doesn't affect the others, and is fetched again soon.
func TestKeySetsApart(t *testing.T) {
	other := provider.Start(t, provider.Config{})
	p, c, now := begin(t, func(s *Settings) { s.ExtraJWKSURIs = []string{other.URL + "/jwks"} })
	other.Break(provider.JWKS, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") })
	if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); err != nil {
		t.Errorf("its own key: %v", err)
	}
	p.RotateKeys(false)
	if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a new key right after a fetch that failed in part: %v", err)
	}
	now.advance(retryAfterFail)
	if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); err != nil {
		t.Errorf("a new key, while another set can't be had: %v", err)
	}
	if got := other.SignJWT(good(p, now.Now())); got != "" {
		if _, err := c.issuer.AccessToken(t.Context(), got); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a key of the set that can't be had: %v", err)
		}
	}
}

// TestForgottenMeanwhile checks that a verification whose keys are dropped during it ends with ErrUnavailable.
func TestForgottenMeanwhile(t *testing.T) {
	p, c, now := begin(t, nil)
	parsed, err := parseRequestJWT(p.SignJWT(good(p, now.Now()), provider.WithHeader("kid", "unknown")))
	if err != nil {
		t.Fatal(err)
	}
	tried, err := c.issuer.keys.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.issuer.Forget()
	if _, err := c.issuer.keys.verifyRenewed(t.Context(), parsed.jws, fromRequest, tried); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
