package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

// startRequests starts a provider with a client for each way of carrying an authorization request. It returns the client's key.
func startRequests(t *testing.T) (*provider.Provider, *clock, jose.JSONWebKey) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: "k", Algorithm: "ES256", Use: "sig"}
	now := &clock{now: time.Now().Truncate(time.Second)}
	c := config()
	c.Now = now.Now
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}
	c.Clients = append(c.Clients,
		provider.Client{ID: "pushes", Secret: "s3cret", RedirectURIs: []string{callback}, PushedRequests: true},
		provider.Client{ID: "signs", Secret: "s3cret", RedirectURIs: []string{callback}, SignedRequests: true, JWKS: set})
	return provider.Start(t, c), now, key
}

// requestObject signs a request object of the client signs. Changes replace claims; nil removes one.
func requestObject(t *testing.T, p *provider.Provider, now *clock, key jose.JSONWebKey, typ string, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": "signs", "aud": p.Issuer(), "nbf": now.Now().Unix(), "exp": now.Now().Add(time.Minute).Unix(), "jti": rand.Text(),
		"client_id": "signs", "response_type": "code", "scope": "openid", "redirect_uri": callback, "state": "st",
	}
	for name, v := range changes {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// opens reports whether the authorization endpoint shows its login page.
func opens(t *testing.T, p *provider.Provider, query url.Values) bool {
	t.Helper()
	r, err := browser(p).Get(p.URL + "/authorize?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// TestPushedRequests: a request_uri is opened once, within a minute, by its client, and nothing stands beside it.
func TestPushedRequests(t *testing.T) {
	p, now, _ := startRequests(t)
	plain := url.Values{"client_id": {"pushes"}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {callback},
		"state": {"st"}}
	push := func(change url.Values) (int, string) {
		form := url.Values{}
		for name, v := range plain {
			form[name] = v
		}
		for name, v := range change {
			form[name] = v
		}
		r, answer := post(t, p.URL+"/par", "pushes", "s3cret", form)
		reference, _ := answer["request_uri"].(string)
		return r.StatusCode, reference
	}
	refer := func(more ...string) url.Values {
		status, reference := push(nil)
		if status != http.StatusCreated || !strings.HasPrefix(reference, "urn:ietf:params:oauth:request_uri:") {
			t.Fatalf("pushing: %d %q", status, reference)
		}
		q := url.Values{"client_id": {"pushes"}, "request_uri": {reference}}
		for n := 0; n+1 < len(more); n += 2 {
			q.Set(more[n], more[n+1])
		}
		return q
	}
	if opens(t, p, plain) {
		t.Error("a request that wasn't pushed is accepted")
	}
	once := refer()
	if !opens(t, p, once) || opens(t, p, once) {
		t.Error("a request_uri isn't opened exactly once")
	}
	answer := mustLogIn(t, p, browser(p), p.URL+"/authorize?"+refer().Encode())
	if answer.Get("code") == "" || answer.Get("state") != "st" {
		t.Errorf("the response is %v", answer)
	}
	if opens(t, p, refer("state", "st")) || opens(t, p, refer("client_id", "app")) {
		t.Error("a parameter beside the request_uri, or another client, is accepted")
	}
	late := refer()
	now.advance(time.Minute)
	if opens(t, p, late) {
		t.Error("an expired request_uri is accepted")
	}
	for name, change := range map[string]url.Values{
		"a request_uri": {"request_uri": {"urn:x"}}, "a foreign redirect_uri": {"redirect_uri": {"https://evil"}},
		"an unknown type": {"response_type": {"token"}}, "a request object that isn't one": {"request": {"x"}},
	} {
		if status, _ := push(change); status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
}

// TestRequestObjects: the provider is as strict as FAPI, and nothing beside a request object differs from it.
func TestRequestObjects(t *testing.T) {
	p, now, key := startRequests(t)
	const typ = "oauth-authz-req+jwt"
	beside := func(object string, more ...string) url.Values {
		q := url.Values{"client_id": {"signs"}, "response_type": {"code"}, "scope": {"openid"}, "request": {object}}
		for n := 0; n+1 < len(more); n += 2 {
			if q.Set(more[n], more[n+1]); more[n+1] == "" {
				q.Del(more[n])
			}
		}
		return q
	}
	object := func(changes map[string]any) string { return requestObject(t, p, now, key, typ, changes) }
	once := beside(object(nil))
	if !opens(t, p, once) || opens(t, p, once) {
		t.Error("a request object isn't accepted exactly once")
	}
	if answer := mustLogIn(t, p, browser(p), p.URL+"/authorize?"+beside(object(nil)).Encode()); answer.Get("code") == "" {
		t.Errorf("the response is %v", answer)
	}
	at := func(d time.Duration) int64 { return now.Now().Add(d).Unix() }
	for name, q := range map[string]url.Values{
		"another scope beside it": beside(object(nil), "scope", "openid email"), "a state beside it": beside(object(nil), "state", "other"),
		"no scope beside it": beside(object(nil), "scope", ""), "no response_type beside it": beside(object(nil), "response_type", ""),
		"sub": beside(object(map[string]any{"sub": "signs"})), "aud is a list": beside(object(map[string]any{"aud": []string{p.Issuer()}})),
		"another aud": beside(object(map[string]any{"aud": "x"})), "another iss": beside(object(map[string]any{"iss": "app"})),
		"no nbf": beside(object(map[string]any{"nbf": nil})), "no exp": beside(object(map[string]any{"exp": nil})),
		"longer than an hour": beside(object(map[string]any{"exp": at(time.Hour + time.Second)})),
		"expired":             beside(object(map[string]any{"exp": at(0)})), "no jti": beside(object(map[string]any{"jti": nil})),
		"a nested request": beside(object(map[string]any{"request": "x"})),
		"claims as text":   beside(object(map[string]any{"claims": "{}"})),
		"another typ":      beside(requestObject(t, p, now, key, "JWT", nil)), "no request object": beside("", "request", ""),
		"another key": beside(p.SignJWT(map[string]any{"iss": "signs"}, provider.WithHeader("typ", typ))),
	} {
		if opens(t, p, q) {
			t.Errorf("%s is accepted", name)
		}
	}
}
