package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const machineSecret = "machine-secret-of-the-built-in-issuer-0013"

// A builtin is a gate whose built-in authorization server stores its tokens in Redis. It has a confidential client, machine, and a
// public one, webapp.
type builtin struct {
	*testing.T
	gate    *gate
	up      *upstream
	program *visitor
	app     *upstream // serves webapp's redirect URI
}

func startBuiltin(t *testing.T) *builtin {
	t.Helper()
	b := &builtin{T: t, up: startUpstream(t), app: startUpstream(t)}
	redis := startRedis(t)
	process := fmt.Sprintf(`oauth2:
  scopes: [read, write]
  storage: redis
  redis: {port: %d}
  secret: %q
  clients:
    - {client_id: machine, client_secret_hash: %q, grants: [client_credentials], scopes: [read, write]}
    - client_id: webapp
      public: true
      name: The web application
      grants: [authorization_code, refresh_token]
      redirect_uris: [http://127.0.0.1/cb]
      scopes: [read]`, redis.port, sessionSecret, mustHash(t, machineSecret))
	b.gate = startGate(t, config{process: []string{process}, routes: []route{{upstream: b.up,
		oidc:  withRedis(redis, "auth_methods: [authorization_code, session, kong_oauth2]"),
		rules: []string{"{paths: [/read], scopes_required: [read]}", "{paths: [/write], scopes_required: [write]}"},
	}}})
	b.gate.registerSecrets(machineSecret)
	b.program = newVisitor(t, b.gate)
	return b
}

// mustHash returns the output of `sallyport secret -hash` for a secret.
func mustHash(t *testing.T, secret string) string {
	t.Helper()
	cmd := exec.Command(binary, "secret", "-hash")
	cmd.Stdin = strings.NewReader(secret)
	out, err := cmd.Output()
	_, line, found := strings.Cut(strings.TrimSpace(string(out)), ": ")
	if err != nil || !found {
		t.Fatalf("%v: %s", err, out)
	}
	return line
}

func (b *builtin) restart() {
	b.Helper()
	b.gate.terminate(b.T)
	b.gate.start(b.T)
}

// ask posts to an endpoint of the built-in authorization server and registers issued tokens as secrets.
func (b *builtin) ask(endpoint string, as clientAuth, form url.Values) answer {
	b.Helper()
	a := b.program.ask(b.gate.url+"/oauth2/"+endpoint, as, form)
	if endpoint == "token" && a.status == http.StatusOK {
		for _, name := range []string{"access_token", "refresh_token"} {
			token, _ := a.mustObject(b.T)[name].(string)
			b.gate.registerSecrets(token)
		}
	}
	return a
}

// api sends a request with an access token and returns the status.
func (b *builtin) api(path, token string) int {
	b.Helper()
	return b.program.call(b.gate.url+path, "Authorization", "Bearer "+token).status
}

// TestBuiltinIssuerRestart checks that tokens in Redis stay active after a restart, and that revoked ones stay inactive.
func TestBuiltinIssuerRestart(t *testing.T) {
	t.Parallel()
	b := startBuiltin(t)
	as := clientSecretBasic("machine", machineSecret)
	token := b.ask("token", as, grant("client_credentials", "read")).mustMember(t, "access_token")
	other := b.ask("token", as, grant("client_credentials", "read write")).mustMember(t, "access_token")
	active := func(token string) any {
		return b.ask("introspect", as, url.Values{"token": {token}}).mustObject(t)["active"]
	}
	for range 2 {
		if read, write := b.api("/read", token), b.api("/write", token); read != http.StatusOK || write != http.StatusForbidden {
			t.Errorf("with the scope read, /read and /write are answered %d and %d", read, write)
		}
		said := b.ask("introspect", as, url.Values{"token": {token}}).mustObject(t)
		if said["active"] != true || said["client_id"] != "machine" || said["scope"] != "read" {
			t.Errorf("introspection says %v", said)
		}
		b.restart()
	}
	if a := b.ask("revoke", as, url.Values{"token": {token}}); a.status != http.StatusOK {
		t.Fatalf("the revocation is answered %d: %s", a.status, a.body)
	}
	for range 2 {
		if got := b.api("/read", token); got != http.StatusUnauthorized || active(token) != false {
			t.Errorf("a revoked token is answered %d, and active is %v", got, active(token))
		}
		if got := b.api("/write", other); got != http.StatusOK || active(other) != true {
			t.Errorf("the other token is answered %d, and active is %v", got, active(other))
		}
		b.restart()
	}
	if a := b.ask("token", clientSecretBasic("machine", "wrong"), grant("client_credentials", "")); a.status != http.StatusUnauthorized ||
		a.refusal() != "invalid_client" {
		t.Errorf("a wrong secret is answered %d %s", a.status, a.body)
	}
}

// TestBuiltinIssuerInChromium logs a user in at Keycloak, who consents to a client. The client's code, access and refresh tokens
// survive restarts. Reuse of a refresh token revokes the grant.
func TestBuiltinIssuerInChromium(t *testing.T) {
	t.Parallel()
	b := startBuiltin(t)
	m := metadata{t, b.program.call(b.gate.url + "/.well-known/oauth-authorization-server").mustObject(t)}
	if m.issuer() != b.gate.url || m.endpoint("token") != b.gate.url+"/oauth2/token" ||
		!slices.Equal(m.all["code_challenge_methods_supported"].([]any), []any{"S256"}) {
		t.Errorf("the metadata is %v", m.all)
	}
	verifier := rand.Text() + rand.Text()
	b.gate.registerSecrets(verifier)
	sum := sha256.Sum256([]byte(verifier))
	back := b.app.url + "/cb"
	question := url.Values{"response_type": {"code"}, "client_id": {"webapp"}, "redirect_uri": {back}, "scope": {"read"}, "state": {"s-1"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	code := b.allow(m.endpoint("authorization")+"?"+question.Encode(), m.issuer())

	b.restart()
	as := clientNone("webapp")
	redeem := func(verifier string) answer {
		return b.ask("token", as, grant("authorization_code", "", "code", code, "redirect_uri", back, "code_verifier", verifier))
	}
	first := redeem(verifier)
	access, refresh := first.mustMember(t, "access_token"), first.mustMember(t, "refresh_token")
	if got := b.api("/read", access); got != http.StatusOK {
		t.Errorf("the access token is answered %d", got)
	}
	if sub := b.up.mustArrival(t, "/read").header.Get("X-Authenticated-Userid"); sub == "" {
		t.Error("the upstream doesn't receive the user of the access token")
	}

	b.restart()
	again := b.ask("token", as, grant("refresh_token", "", "refresh_token", refresh))
	second, next := again.mustMember(t, "access_token"), again.mustMember(t, "refresh_token")
	if next == refresh || second == access || b.api("/read", second) != http.StatusOK {
		t.Error("the refresh gave no new tokens")
	}
	b.restart()
	lost := b.ask("token", as, grant("refresh_token", "", "refresh_token", refresh)) // as if the answer had been lost
	if lost.mustMember(t, "refresh_token") != next {
		t.Error("the second use of a refresh token within the grace time gives another successor")
	}
	if a := redeem(verifier); a.refusal() != "invalid_grant" {
		t.Errorf("the code's second use is answered %d %s", a.status, a.body)
	}
	if a := b.ask("token", as, grant("refresh_token", "", "refresh_token", next)); a.refusal() != "invalid_grant" {
		t.Errorf("after it the family's latest refresh token is answered %d %s", a.status, a.body)
	}
	for _, token := range []string{access, second} {
		if got := b.api("/read", token); got != http.StatusUnauthorized {
			t.Errorf("after it an access token of the family is answered %d", got)
		}
	}
}

// allow logs john in with Chromium and submits the consent page. It returns the code.
func (b *builtin) allow(address, issuer string) (code string) {
	b.Helper()
	tab := newPerson(b.T, b.gate).newPage()
	tab.open(address)
	tab.submit("john", "doe")
	tab.waitFor("#refuse")
	if text := tab.text("main"); !strings.Contains(text, "The web application asks for access in your name") ||
		!strings.Contains(text, "read") {
		b.Errorf("the question is %q", text)
	}
	tab.shoot("consent")
	tab.click("#go")
	tab.waitFor("#uri")
	u, err := url.Parse(tab.url())
	if err != nil {
		b.Fatal(err)
	}
	if q := u.Query(); !strings.HasPrefix(tab.url(), b.app.url+"/cb?") || q.Get("state") != "s-1" || q.Get("iss") != issuer ||
		q.Get("code") == "" {
		b.Fatalf("the browser comes back to %s", tab.url())
	}
	b.gate.registerSecrets(u.Query().Get("code"))
	return u.Query().Get("code")
}
