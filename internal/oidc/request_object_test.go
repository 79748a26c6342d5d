package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

// testJWK is the client's key of these tests (RFC 7515 appendix A.3).
var testJWK = JWK{Kty: "EC", Crv: "P-256", Kid: "k1", Alg: "ES256",
	X: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", Y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
	D: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}

// beginSigned starts a provider whose client app must sign its requests, and returns the gate's client of it.
func beginSigned(t *testing.T, requestKey *jose.JSONWebKey, change func(*Settings)) (*provider.Provider, *Client) {
	t.Helper()
	private, err := testJWK.private()
	if err != nil {
		t.Fatal(err)
	}
	now := newClock()
	p := provider.Start(t, provider.Config{
		Clients: []provider.Client{{ID: "app", Secret: "s e/cr%t", RedirectURIs: []string{"http://127.0.0.1/cb"}, SignedRequests: true,
			JWKS: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{private.Public()}}, EncryptedRequests: requestKey != nil}},
		RequestKey: requestKey, AuthorizationDetailsTypes: []string{"payment"}, Now: now.Now,
	})
	return p, clientOf(t, p, now, func(s *Settings) {
		s.RequireSignedRequestObject, s.ClientJWK = yes(), []JWK{testJWK}
		if change != nil {
			change(s)
		}
	})
}

// TestRequestObject checks what stands in a request object and beside it (RFC 9101 §4, §5, §10.8).
func TestRequestObject(t *testing.T) {
	p, c := beginSigned(t, nil, nil)
	args := url.Values{"max_age": {"60"}, "audience": {"a", "b"}, "resource": {"r"}, "claims": {`{"id_token":{"acr":null}}`},
		"authorization_details": {`[{"type":"payment"}]`}, "registration": {"no JSON"}}
	q := ask(t, c, args)
	if got := slices.Sorted(maps.Keys(q)); !slices.Equal(got, []string{"client_id", "request", "response_type", "scope"}) {
		t.Errorf("the browser gets %q", got)
	}
	header, claims := payloadOf(t, q.Get("request"))
	if header["typ"] != typeRequestObject || header["alg"] != "ES256" || header["kid"] != "k1" {
		t.Errorf("the header is %v", header)
	}
	for name, want := range map[string]any{
		"iss": "app", "aud": p.Issuer(), "sub": nil, "client_id": "app", "response_type": "code", "scope": "openid", "state": "a state",
		"max_age": int64(60), "audience": []any{"a", "b"}, "resource": "r",
		"claims":                map[string]any{"id_token": map[string]any{"acr": nil}},
		"authorization_details": []any{map[string]any{"type": "payment"}}, "registration": "no JSON",
	} {
		if !reflect.DeepEqual(claims[name], want) {
			t.Errorf("%s: got %v, expected %v", name, claims[name], want)
		}
	}
	nbf, exp := claims["nbf"].(int64), claims["exp"].(int64)
	if nbf != c.issuer.now().Unix() || exp <= nbf || exp-nbf > 3600 {
		t.Errorf("nbf %d, exp %d, now %d", nbf, exp, c.issuer.now().Unix())
	}
	if _, again := payloadOf(t, ask(t, c, args).Get("request")); again["jti"] == claims["jti"] || claims.String("jti") == "" {
		t.Errorf("the jti is %q, and then %q", claims["jti"], again["jti"])
	}
}

// TestRequestObjectIsAccepted: the provider, which is as strict as FAPI, accepts request objects by value and pushed, plain and encrypted.
func TestRequestObjectIsAccepted(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	for _, alg := range append([]string{""}, texts(keyAlgorithms)...) {
		var key *jose.JSONWebKey
		switch {
		case strings.HasPrefix(alg, "RSA"):
			key = &jose.JSONWebKey{Key: r, KeyID: "enc", Use: "enc", Algorithm: alg}
		case alg != "":
			key = &jose.JSONWebKey{Key: ec, KeyID: "enc", Use: "enc"}
		}
		for _, enc := range texts(contentEncryptions) {
			p, c := beginSigned(t, key, func(s *Settings) {
				s.RequirePushedAuthorizationRequests, s.RequestObjectEncryptionAlg, s.RequestObjectEncryptionEnc = yes(), alg, enc
			})
			q := ask(t, c, url.Values{"authorization_details": {`[{"type":"payment"}]`}})
			if got := slices.Sorted(maps.Keys(q)); !slices.Equal(got, []string{"client_id", "request_uri"}) {
				t.Errorf("%s %s: the browser gets %q", alg, enc, got)
			}
			pushed := slices.Sorted(maps.Keys(p.LastForm(provider.PushedRequest)))
			if !slices.Equal(pushed, []string{"client_id", "request"}) {
				t.Errorf("%s %s: pushed %q", alg, enc, pushed)
			}
			if alg == "" {
				break
			}
		}
	}
}

// TestRequestObjectErrors: what can't be signed or encrypted as configured isn't sent in another way.
func TestRequestObjectErrors(t *testing.T) {
	signing, _ := rsa.GenerateKey(rand.Reader, 2048)
	for name, test := range map[string]struct {
		key    *jose.JSONWebKey
		change func(*Settings)
		args   url.Values
		says   string
	}{
		"a reserved name": {nil, nil, url.Values{"sub": {"john"}}, "sub: a request object has a claim of this name"},
		"no key":          {nil, func(s *Settings) { s.ClientJWK = nil }, nil, "there is no client_jwk"},
		"no key of the issuer": {nil, func(s *Settings) { s.RequestObjectEncryptionAlg = "ECDH-ES" }, nil,
			"the issuer publishes no key with use enc for ECDH-ES"},
		"a key of the issuer that signs": {&jose.JSONWebKey{Key: signing, KeyID: "s", Use: "sig"},
			func(s *Settings) { s.RequestObjectEncryptionAlg = "RSA-OAEP" }, nil, "publishes no key with use enc for RSA-OAEP"},
		"another alg": {nil, func(s *Settings) { s.RequestObjectSigningAlg = "RS256" }, nil, "can't be signed"},
	} {
		_, c := beginSigned(t, test.key, test.change)
		_, err := c.AuthorizationURL(t.Context(), request(test.args), Caller{})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSignDecision: the setting decides, and without it the metadata.
func TestSignDecision(t *testing.T) {
	for _, test := range []struct {
		name     string
		setting  *bool
		metadata any
		signed   bool
	}{
		{"nothing", nil, nil, false}, {"metadata", nil, true, true}, {"setting against metadata", no(), true, false},
	} {
		p, c := beginSigned(t, nil, func(s *Settings) { s.RequireSignedRequestObject = test.setting })
		p.AdjustAnswer(provider.Discovery, func(m map[string]any) { m["require_signed_request_object"] = test.metadata })
		if got := ask(t, c, nil).Has("request"); got != test.signed {
			t.Errorf("%s: signed %v", test.name, got)
		}
	}
}
