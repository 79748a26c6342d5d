package provider_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"sallyport/internal/provider"
)

// A prover makes DPoP proofs with a key.
type prover struct {
	key *ecdsa.PrivateKey
	typ string
}

func newProver(t *testing.T) *prover {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &prover{key, "dpop+jwt"}
}

func (k *prover) jkt() string {
	sum, _ := (&jose.JSONWebKey{Key: k.key.Public()}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum)
}

// proof returns a proof. changes replace its claims; nil removes one.
func (k *prover) proof(method, htu, token string, changes map[string]any) string {
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": htu, "iat": time.Now().Unix()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType(jose.ContentType(k.typ))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.key}, options)
	if err != nil {
		panic(err)
	}
	proof, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		panic(err)
	}
	return proof
}

// sendRequest sends a request and returns its status, header and JSON.
func sendRequest(t *testing.T, r *http.Request, err error) (int, http.Header, map[string]any) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	var object map[string]any
	json.Unmarshal(body, &object)
	return res.StatusCode, res.Header, object
}

func tokenRequest(p *provider.Provider, client string, proofs ...string) (*http.Request, error) {
	form := url.Values{"grant_type": {"password"}, "username": {"john"}, "password": {"doe"}, "scope": {"openid"}}
	r, err := http.NewRequest("POST", p.URL+"/token", strings.NewReader(form.Encode()))
	if err == nil {
		r.SetBasicAuth(client, "s3cret")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Dpop"] = proofs
	}
	return r, err
}

func startDPoP(t *testing.T) *provider.Provider {
	return provider.Start(t, provider.Config{
		Clients: []provider.Client{{ID: "app", Secret: "s3cret", DPoP: true}, {ID: "other", Secret: "s3cret"}},
		Users:   []provider.User{{Username: "john", Password: "doe"}},
	})
}

func TestDPoPAtTokenEndpoint(t *testing.T) {
	p := startDPoP(t)
	k, wrongType := newProver(t), newProver(t)
	wrongType.typ = "JWT"
	at := p.URL + "/token"
	used := k.proof("POST", at, "", nil)
	good := func() string { return k.proof("POST", at, "", nil) }
	for name, test := range map[string]struct {
		client string
		proofs []string
		want   string // the error; "": none
	}{
		"good":        {"app", []string{used}, ""},
		"none":        {"app", nil, "invalid_dpop_proof"},
		"none needed": {"other", nil, ""},
		"two":         {"app", []string{good(), good()}, "invalid_dpop_proof"},
		"garbage":     {"other", []string{"x"}, "invalid_dpop_proof"},
		"typ":         {"app", []string{wrongType.proof("POST", at, "", nil)}, "invalid_dpop_proof"},
		"method":      {"app", []string{k.proof("GET", at, "", nil)}, "invalid_dpop_proof"},
		"address":     {"app", []string{k.proof("POST", at+"/", "", nil)}, "invalid_dpop_proof"},
		"ath":         {"app", []string{k.proof("POST", at, "x", nil)}, "invalid_dpop_proof"},
		"old":         {"app", []string{k.proof("POST", at, "", map[string]any{"iat": time.Now().Unix() - 90})}, "invalid_dpop_proof"},
		"no jti":      {"app", []string{k.proof("POST", at, "", map[string]any{"jti": nil})}, "invalid_dpop_proof"},
	} {
		r, err := tokenRequest(p, test.client, test.proofs...)
		_, _, answer := sendRequest(t, r, err)
		if got, _ := answer["error"].(string); got != test.want {
			t.Errorf("%s: expected %q, got %v", name, test.want, answer)
		}
	}
	r, err := tokenRequest(p, "app", used)
	if _, _, answer := sendRequest(t, r, err); answer["error"] != "invalid_dpop_proof" {
		t.Errorf("a replay got %v", answer)
	}
	p.RequireDPoPNonce(provider.Token, "n-1")
	r, err = tokenRequest(p, "app", good())
	if status, h, answer := sendRequest(t, r, err); status != 400 || answer["error"] != "use_dpop_nonce" || h.Get("DPoP-Nonce") != "n-1" {
		t.Errorf("without nonce: %d %v %v", status, h, answer)
	}
	r, err = tokenRequest(p, "app", k.proof("POST", at, "", map[string]any{"nonce": "n-1"}))
	if _, _, answer := sendRequest(t, r, err); answer["token_type"] != "DPoP" {
		t.Errorf("with the nonce: %v", answer)
	}
}

func TestDPoPAtUserinfo(t *testing.T) {
	p := startDPoP(t)
	k, other := newProver(t), newProver(t)
	r, err := tokenRequest(p, "app", k.proof("POST", p.URL+"/token", "", nil))
	_, _, answer := sendRequest(t, r, err)
	bound, _ := answer["access_token"].(string)
	unbound, at := p.AccessToken("john", "other", nil), p.URL+"/userinfo"
	if cnf, _ := claimsOf(t, bound)["cnf"].(map[string]any); cnf["jkt"] != k.jkt() {
		t.Fatalf("cnf is %v, expected the thumbprint %s", cnf, k.jkt())
	}
	good := k.proof("GET", at, bound, nil)
	for name, test := range map[string]struct {
		scheme, token, proof string
		status               int
		challenge            string
	}{
		"good":                {"DPoP", bound, good, 200, ""},
		"bound as Bearer":     {"Bearer", bound, k.proof("GET", at, bound, nil), 401, "invalid_token"},
		"unbound as DPoP":     {"DPoP", unbound, k.proof("GET", at, unbound, nil), 401, "invalid_token"},
		"another key":         {"DPoP", bound, other.proof("GET", at, bound, nil), 401, "invalid_token"},
		"no ath":              {"DPoP", bound, k.proof("GET", at, "", nil), 401, "invalid_dpop_proof"},
		"ath of another":      {"DPoP", bound, k.proof("GET", at, unbound, nil), 401, "invalid_dpop_proof"},
		"Bearer as it should": {"Bearer", unbound, "", 200, ""},
	} {
		r, err := http.NewRequest("GET", at, nil)
		if err == nil {
			r.Header.Set("Authorization", test.scheme+" "+test.token)
			r.Header["Dpop"] = []string{test.proof}
		}
		status, h, _ := sendRequest(t, r, err)
		if status != test.status || !strings.Contains(h.Get("WWW-Authenticate"), test.challenge) {
			t.Errorf("%s: got %d %s", name, status, h.Get("WWW-Authenticate"))
		}
	}
}

func claimsOf(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.PS256, jose.EdDSA})
	if err == nil {
		err = parsed.UnsafeClaimsWithoutVerification(&claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}
