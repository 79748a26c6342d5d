package e2e

import (
	"cmp"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// mcpTokenLife is the lifetime of access tokens of an mcpGate.
const mcpTokenLife = 4 * time.Second

// An mcpGate is a gate in front of an MCP server at /mcp. Its built-in authorization server issues the tokens, after john has logged in
// at a provider. Access tokens are valid for mcpTokenLife, and those of the client "lasting" for an hour. Clients may register, and may
// have a metadata document.
type mcpGate struct {
	*gate
	resource string // the URL of the MCP server at the gate
	john     string // his sub, if it is known
	origin   string // of pages at the gate, if it isn't the gate's own URL
	logIn    func(v *visitor, address string) (back string)
}

const mcpGateSecret = "a-secret-of-32-bytes-for-the-mcp-gate-0021"

// startMCPGate starts a gate in front of an MCP server at upstreamURL/mcp, with the rules. Its users log in at an oidc-provider.
func startMCPGate(t *testing.T, upstreamURL string, rules ...string) *mcpGate {
	t.Helper()
	p := startOIDCProvider(t, oidcProviderConfig{clients: []object{nativeClient("gate", mcpGateSecret, "/mcp/oauth2/callback")}})
	g := startMCPGateAt(t, upstreamURL, p.issuer, "gate", mcpGateSecret, rules...)
	g.registerSecrets(mcpGateSecret)
	g.john = "john"
	g.logIn = func(v *visitor, address string) string { return p.authorize(v, address, "john") }
	return g
}

// startMCPGateAtKeycloak is like startMCPGate, but the users log in at Keycloak.
func startMCPGateAtKeycloak(t *testing.T, upstreamURL string) *mcpGate {
	t.Helper()
	return startMCPGateFor(t, upstreamURL, "john")
}

// startMCPGateFor is like startMCPGateAtKeycloak, for another user than john.
func startMCPGateFor(t *testing.T, upstreamURL, user string) *mcpGate {
	t.Helper()
	g := startMCPGateAt(t, upstreamURL, keycloak.issuer("sallyport"), "app", appSecret)
	g.logIn = func(v *visitor, address string) string {
		v.t.Helper()
		form := v.browse(address)
		found := loginForm.FindStringSubmatch(form.body)
		if found == nil {
			v.t.Fatalf("no login form at %s: %d %s", address, form.status, form.body)
		}
		return v.submit(html.UnescapeString(found[1]), user)
	}
	return g
}

// startMCPGateOfProvider starts a gate whose MCP clients get their tokens at an oidc-provider, which registers them.
func startMCPGateOfProvider(t *testing.T, upstreamURL string) (g *mcpGate, p *oidcProvider) {
	t.Helper()
	p = startOIDCProvider(t, oidcProviderConfig{clients: []object{}, configuration: object{
		"scopes":   []string{"openid", "read"}, // without offline_access, for which clients would add prompt=consent
		"features": object{"registration": object{"enabled": true}},
	}})
	port := freeport.Port()
	g = &mcpGate{resource: urlOf(port) + "/mcp"}
	g.gate = startGateAt(t, port, config{routes: []route{{
		path: "/mcp", more: "hosts: [127.0.0.1]", upstream: &upstream{url: upstreamURL},
		mcp:    "{scopes: [read], authorization_server: provider}",
		issuer: p.issuer, client: "gate", secret: "none", rulesOff: true,
	}}})
	g.john = "john"
	return g, p
}

func startMCPGateAt(t *testing.T, upstreamURL, issuer, client, secret string, rules ...string) *mcpGate {
	t.Helper()
	port := freeport.Port()
	g := &mcpGate{resource: urlOf(port) + "/mcp"}
	authorizationServer := fmt.Sprintf(`oauth2:
  token_expiration: %d
  secret: %q
  clients:
    - client_id: fixed
      public: true
      name: The fixed client
      grants: [authorization_code, refresh_token]
      redirect_uris: [http://127.0.0.1/cb]
      scopes: [tools]
    - client_id: lasting
      public: true
      grants: [authorization_code, refresh_token]
      redirect_uris: [http://127.0.0.1/cb, http://127.0.0.1/callback]
      scopes: [tools]
      access_token_lifetime: 3600`, int(mcpTokenLife.Seconds()), sessionSecret)
	g.gate = startGateAt(t, port, config{process: []string{authorizationServer}, routes: []route{{
		path: "/mcp", more: "hosts: [127.0.0.1]", upstream: &upstream{url: upstreamURL},
		mcp:    "{scopes: [tools], registration: true, client_hosts: [127.0.0.1], recheck: 1}",
		issuer: issuer, client: client, secret: secret, rules: rules, rulesOff: true,
	}}})
	return g
}

var consentValue = regexp.MustCompile(`name="consent" value="([^"]+)"`)

// consent opens a client's authorization request, logs john in, allows the request on the consent page, and opens the client's redirect
// URI.
func (g *mcpGate) consent(t *testing.T, request string) {
	t.Helper()
	v := newVisitor(t, g.gate)
	begun := v.browse(request)
	if begun.location() == "" {
		t.Fatalf("%s doesn't begin a login: %d %s", request, begun.status, begun.body)
	}
	page := v.browse(g.logIn(v, begun.location()))
	for page.status == http.StatusSeeOther {
		page = v.browse(v.absolute(request, page.location()))
	}
	consent := consentValue.FindStringSubmatch(page.body)
	if consent == nil {
		t.Fatalf("john isn't asked for consent: %d %s", page.status, page.body)
	}
	endpoint, _, _ := strings.Cut(request, "?")
	form := url.Values{"consent": {html.UnescapeString(consent[1])}}.Encode()
	allowed := v.must(v.request(http.MethodPost, endpoint, form, append(navigation,
		"Content-Type", "application/x-www-form-urlencoded", "Origin", cmp.Or(g.origin, g.url), "Sec-Fetch-Site", "same-origin")...))
	if allowed.status != http.StatusSeeOther {
		t.Fatalf("consent is answered %d %s", allowed.status, allowed.body)
	}
	mustAwait(t, 10*time.Second, "the client's redirect URI", func() bool { return listens(t, allowed.location()) }) // mcp-remote is late
	if back := v.browse(allowed.location()); back.status != http.StatusOK {
		t.Fatalf("the client's redirect URI %s answers %d", allowed.location(), back.status)
	}
}

// listens reports whether a server listens at the address.
func listens(t *testing.T, address string) bool {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// absolute resolves a reference on a page.
func (v *visitor) absolute(base, reference string) string {
	v.t.Helper()
	b, err := url.Parse(base)
	if err != nil {
		v.t.Fatal(err)
	}
	to, err := b.Parse(reference)
	if err != nil {
		v.t.Fatal(err)
	}
	return to.String()
}
