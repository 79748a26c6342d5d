package e2e

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/freeport"
)

// An oidcProvider is a Node.js process that runs panva's oidc-provider: a second implementation beside Keycloak, with opaque access
// tokens and signed introspection. See oidcprovider/server.mjs for its accounts and features.
type oidcProvider struct {
	issuer string // http://127.0.0.1:PORT
	log    *logBuffer
	proc   *process
}

// An oidcProviderConfig configures the provider of a test.
type oidcProviderConfig struct {
	// clients have registration metadata: client_id, client_secret, token_endpoint_auth_method, jwks_uri, ... Without redirect_uris
	// and grant_types, a client has only client_credentials. nativeClient doesn't need the port of the gate.
	clients []object
	// configuration has more members of oidc-provider's configuration. Its features are merged with those in server.mjs.
	configuration object
}

// nativeClient returns a confidential client for logins, with a redirect URI for any loopback port.
func nativeClient(id, secret, redirectPath string) object {
	return object{"client_id": id, "client_secret": secret, "application_type": "native",
		"redirect_uris": []string{"http://127.0.0.1" + redirectPath}, "grant_types": []string{"authorization_code", "refresh_token"}}
}

// startOIDCProvider runs an oidc-provider until the test ends.
func startOIDCProvider(t *testing.T, c oidcProviderConfig) *oidcProvider {
	t.Helper()
	certFile, keyFile := testCA.mustServerPair(t)
	port := freeport.Port()
	for _, client := range c.clients {
		if client["grant_types"] == nil && client["redirect_uris"] == nil {
			client["grant_types"] = []string{"client_credentials"}
			client["redirect_uris"], client["response_types"] = []string{}, []string{}
		}
	}
	// Node 20 must not generate the keys: about one in eighty exports of a new private key never returns.
	keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{mustKey(t, jose.RS256), mustKey(t, jose.ES256)}}
	settings, err := json.Marshal(object{"port": port, "tlsPort": freeport.Port(), "certFile": certFile, "keyFile": keyFile,
		"caFile": testCA.file, "jwks": keys, "clients": c.clients, "configuration": c.configuration})
	if err != nil {
		t.Fatal(err)
	}
	p := &oidcProvider{issuer: fmt.Sprintf("http://127.0.0.1:%d", port), log: &logBuffer{}}
	p.proc, err = startProcess(p.log, nil, "node", filepath.Join(root, "internal/e2e/oidcprovider/server.mjs"),
		filepath.Join(root, ".cache/oidcprovider"), string(settings))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.proc.kill()
		if t.Failed() {
			t.Logf("oidc-provider wrote:\n%s", p.log)
		}
	})
	ready := func() bool { return answers(p.issuer+"/.well-known/openid-configuration", http.StatusOK) }
	if !await(time.Minute, func() bool { return ready() || !p.proc.running() }) || !p.proc.running() {
		t.Fatal("oidc-provider isn't ready")
	}
	return p
}

var interactionForm = regexp.MustCompile(`<form[^>]*action="([^"]+)"`)

// authorize sends an authorization request, logs in, and returns the redirect to the redirection endpoint with the code, without
// opening it.
func (p *oidcProvider) authorize(v *visitor, request, user string) (callback string) {
	v.t.Helper()
	page := v.browse(p.follow(v, request))
	form := interactionForm.FindStringSubmatch(page.body)
	if form == nil {
		v.t.Fatalf("no login form at %s: %d %s", request, page.status, page.body)
	}
	fields := url.Values{"prompt": {"login"}, "login": {user}, "password": {"doe"}}.Encode()
	sent := v.must(v.request(http.MethodPost, p.absolute(v, html.UnescapeString(form[1])), fields,
		"Content-Type", "application/x-www-form-urlencoded"))
	return p.follow(v, p.absolute(v, sent.location()))
}

// logIn opens a page of a gate, logs in and checks that the page is the user's.
func (p *oidcProvider) logIn(v *visitor, page, user string) {
	v.t.Helper()
	if a := v.browse(p.authorize(v, v.browse(page).location(), user)); a.status != http.StatusSeeOther || a.location() != page {
		v.t.Fatalf("the login ended with %d to %q: %s", a.status, a.location(), a.body)
	}
	if a := v.browse(page); a.status != http.StatusOK || a.user() != user {
		v.t.Errorf("after the login %d for %q: %s", a.status, a.user(), a.body)
	}
}

// follow opens an address of the provider and returns the target of the redirect.
func (p *oidcProvider) follow(v *visitor, address string) string {
	v.t.Helper()
	a := v.browse(address)
	if a.location() == "" {
		v.t.Fatalf("%s leads nowhere: %d %s", address, a.status, a.body)
	}
	return p.absolute(v, a.location())
}

func (p *oidcProvider) absolute(v *visitor, reference string) string {
	v.t.Helper()
	base, err := url.Parse(p.issuer)
	if err != nil {
		v.t.Fatal(err)
	}
	to, err := base.Parse(reference)
	if err != nil {
		v.t.Fatal(err)
	}
	return to.String()
}
