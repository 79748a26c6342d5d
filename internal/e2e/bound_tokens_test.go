package e2e

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestBoundTokensOfKeycloak checks that the flows bearer and introspection refuse tokens of Keycloak that are bound to a certificate or to
// a DPoP key, unless the request proves the possession or the route disables that check.
func TestBoundTokensOfKeycloak(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	overTLS := keycloak.issuerTLS("sallyport")
	at := func(path, issuer, client, secret string, oidc ...string) route {
		return route{path: path, upstream: up, issuer: issuer, client: client, secret: secret, oidc: oidc}
	}
	const dpopOff, mtlsOff = "proof_of_possession_dpop: off", "proof_of_possession_mtls: off"
	const fromHeader = "proof_of_possession_mtls_from_header: {certificate_header_name: Client-Cert, certificate_header_format: rfc9440}"
	g := startGate(t, config{trusted: true, routes: []route{
		at("/dpop", "", "client-dpop-auth", dpopSecret),
		at("/dpop/asked", "", "client-dpop-auth", dpopSecret, "auth_methods: [introspection]"),
		at("/dpop/other", "", "client-dpop-auth", dpopSecret, mtlsOff),
		at("/dpop/off", "", "client-dpop-auth", dpopSecret, dpopOff),
		at("/cert", overTLS, "cert-bound", certBoundSecret, fromHeader),
		at("/cert/other", overTLS, "cert-bound", certBoundSecret, dpopOff),
		at("/cert/off", overTLS, "cert-bound", certBoundSecret, mtlsOff),
	}})
	v := newVisitor(t, g)

	key := startSigner(t, jose.ES256)
	token := mustDiscover(t, keycloak.issuer("sallyport")).endpoint("token")
	dpop := v.ask(token, clientSecretBasic("client-dpop-auth", dpopSecret), passwordGrant("john"),
		"DPoP", key.mustProve(t, http.MethodPost, token, nil)).mustMember(t, "access_token")
	_, _, pair := mustClientCert(t, "anybody")
	cert := newVisitor(t).present(pair).ask(mustDiscover(t, overTLS).mtls("token"), clientSecretBasic("cert-bound", certBoundSecret),
		passwordGrant("john")).mustMember(t, "access_token")
	g.registerSecrets(dpop, cert)
	if mustRead(t, dpop).confirmation("jkt") == "" || mustRead(t, cert).confirmation("x5t#S256") == "" {
		t.Fatal("Keycloak has bound nothing")
	}

	for path, bound := range map[string]string{"/dpop": dpop, "/dpop/asked": dpop, "/dpop/other": dpop, "/cert": cert,
		"/cert/other": cert} {
		for range 2 { // the second request uses the cache
			a := v.call(g.url+path, "Authorization", "Bearer "+bound)
			challenge := a.header.Get("WWW-Authenticate")
			if a.status != http.StatusUnauthorized || !strings.Contains(challenge, `error="invalid_token"`) || up.arrived(path) {
				t.Errorf("%s is answered %d, %q: %s", path, a.status, challenge, a.body)
			}
		}
		reason := regexp.MustCompile(`"path":"` + path + `","status":401,.*"reason":"token_bound"`)
		mustAwait(t, 5*time.Second, "the reason of "+path, func() bool { return len(reason.FindAllString(g.log.String(), -1)) == 2 })
	}
	for path, bound := range map[string]string{"/dpop/off": dpop, "/cert/off": cert} {
		if a := v.call(g.url+path, "Authorization", "Bearer "+bound); a.status != http.StatusOK || a.user() != "john" {
			t.Errorf("%s is answered %d for %q: %s", path, a.status, a.user(), a.body)
		}
	}
	ath := athOf(dpop)
	for _, path := range []string{"/dpop", "/dpop/asked"} {
		proof := key.mustProve(t, http.MethodGet, g.url+path, ath)
		for _, want := range []int{http.StatusOK, http.StatusUnauthorized} { // the second request uses the proof again
			if a := v.call(g.url+path, "Authorization", "DPoP "+dpop, "DPoP", proof); a.status != want {
				t.Errorf("%s with a proof is answered %d, expected %d: %s", path, a.status, want, a.body)
			}
		}
		if a := v.call(g.url+path, "Authorization", "DPoP "+dpop, "DPoP",
			key.mustProve(t, http.MethodGet, g.url+path, nil)); a.status != http.StatusUnauthorized {
			t.Errorf("%s with a proof for no token is answered %d", path, a.status)
		}
	}
	_, _, other := mustClientCert(t, "somebody")
	for p, want := range map[*tls.Certificate]int{pair: http.StatusOK, other: http.StatusUnauthorized} {
		header := ":" + base64.StdEncoding.EncodeToString(p.Certificate[0]) + ":"
		if a := v.call(g.url+"/cert", "Authorization", "Bearer "+cert, "Client-Cert", header); a.status != want {
			t.Errorf("with a certificate the answer is %d, expected %d: %s", a.status, want, a.body)
		}
	}
}

// athOf returns the claim of a DPoP proof that names its access token (RFC 9449 §4.2).
func athOf(token string) object {
	sum := sha256.Sum256([]byte(token))
	return object{"ath": base64.RawURLEncoding.EncodeToString(sum[:])}
}
