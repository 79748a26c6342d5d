package config

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

var update = flag.Bool("update", false, "write the messages as they are now")

// TestBadFiles: a file for each mistake, with the exact words beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		_, err := Load(name)
		if err == nil {
			t.Errorf("%s loads", name)
			continue
		}
		got := strings.ReplaceAll(err.Error(), "testdata/bad/", "") + "\n"
		words := strings.TrimSuffix(name, ".yaml") + ".txt"
		if *update {
			os.WriteFile(words, []byte(got), 0o644)
		}
		if want, _ := os.ReadFile(words); got != string(want) {
			t.Errorf("%s says\n%s\nexpected\n%s", name, got, want)
		}
	}
}

// TestExamples: what stands in configs and deploy loads.
func TestExamples(t *testing.T) {
	t.Setenv("OIDC_CLIENT_SECRET", "secret")
	t.Setenv("SESSION_SECRET", "0123456789abcdef0123456789abcdef")
	for name, routes := range map[string]int{"configs/minimal.yaml": 1, "configs/sallyport.yaml": 2, "deploy/compose.sallyport.yaml": 1} {
		f, err := Load(filepath.Join("../..", name))
		if err != nil || len(f.Routes) != routes {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// load writes a file and reads it as a configuration.
func load(t *testing.T, text string) (*File, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(name)
}

func mustLoad(t *testing.T, text string) *File {
	t.Helper()
	f, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const minimal = "route: {upstream: \"http://127.0.0.1:8080\"}\noidc:\n  issuer: https://idp.example.com\n  client_id: app\n"

func TestDefaults(t *testing.T) {
	f := mustLoad(t, minimal)
	r := f.Routes[0]
	if f.Listen[0].Address != "127.0.0.1:8000" || f.Admin.Listen != "127.0.0.1:9000" || !f.Log.Access || f.Limits.DrainTimeout != 30*time.Second {
		t.Errorf("%+v", f.Process)
	}
	if r.Name != "sallyport" || !slices.Equal(r.Route.Paths, []string{"/"}) || r.Route.Upstream.ConnectTimeout != 10*time.Second || !r.Route.Upstream.SSLVerify {
		t.Errorf("%+v", r.Route)
	}
	o := r.OIDC
	if !slices.Equal(o.Flow.AuthMethods, []string{"authorization_code", "session", "bearer"}) || o.Flow.Session.Storage != "memory" || o.Flow.Session.IdlingTimeout != 15*time.Minute ||
		o.Flow.Client.Timeout != 10*time.Second || o.Flow.Client.RediscoveryLifetime != 30*time.Second || *o.Headers.UpstreamAccessTokenHeader != "authorization:bearer" || o.Flow.Session.Redis.Prefix != "sallyport:" {
		t.Errorf("%+v", o)
	}
}

func TestValues(t *testing.T) {
	t.Setenv("TEST_SECRET", "yes: {no}")
	secret := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(secret, []byte("from a file\n"), 0o600)
	f := mustLoad(t, minimal+`  client_secret: ${env:TEST_SECRET}
  scopes: openid
  leeway: 1m30s
  timeout: 1500
  session: {idling_timeout: 5, cookie_name: mine}
  session_rolling_timeout: 2h
  upstream_access_token_header: null
  http_proxy_authorization: ${file:`+secret+`}
  no_proxy: a$${b
  http_version: 1.1
  token_exchange: null
  https_proxy_authorization: "{vault://env/test-secret}"
`)
	o := f.Routes[0].OIDC
	if !slices.Equal(o.Flow.Client.ClientSecret, []auth.Secret{"yes: {no}"}) || !slices.Equal(o.Flow.Scopes, []string{"openid"}) || o.Flow.Client.Leeway != 90*time.Second ||
		o.Flow.Client.Timeout != 1500*time.Millisecond || o.Flow.Session.IdlingTimeout != 5*time.Second || o.Flow.SessionCookieName != "mine" || o.Flow.Session.RollingTimeout != 2*time.Hour ||
		o.Headers.UpstreamAccessTokenHeader != nil || o.Flow.Client.HTTPProxyAuthorization != "from a file" || o.Flow.Client.NoProxy != "a${b" || o.Flow.Client.HTTPSProxyAuthorization != "yes: {no}" {
		t.Errorf("%+v", o)
	}
}

// TestNoSecretTravelsToAnotherIssuer: a route that names an issuer inherits nothing that belongs to one; null removes.
func TestNoSecretTravelsToAnotherIssuer(t *testing.T) {
	f := mustLoad(t, `
oidc: {issuer: "https://one", client_id: app, client_secret: secret, scopes: [openid, email], authorization_query_args_names: prompt, authorization_query_args_values: login,
  leeway: 5, redirect_uri: /cb, session: {storage: memory, audience: x}, roles_claim: [a, b]}
routes:
  - {route: {upstream: "http://a"}}
  - {route: {upstream: "http://b", paths: [/b]}, oidc: {issuer: "https://two", client_id: other, session: {audience: null}}}
`)
	one, two := f.Routes[0].OIDC, f.Routes[1].OIDC
	if one.Flow.Client.ClientSecret[0] != "secret" || len(one.Flow.Scopes) != 2 || one.Flow.Session.Audience != "x" {
		t.Errorf("the first route: %+v", one)
	}
	if len(two.Flow.Client.ClientSecret)+len(two.Flow.AuthorizationQueryArgsNames)+len(two.Flow.RedirectURI) != 0 || len(two.Flow.Scopes) != 1 {
		t.Errorf("something of the first issuer travelled: %+v", two)
	}
	if two.Flow.Client.Leeway != 5*time.Second || two.Flow.Session.Audience != "default" || len(two.Authz.RolesClaim) != 2 {
		t.Errorf("something was lost: %+v", two)
	}
}

func TestWarnings(t *testing.T) {
	f := mustLoad(t, "trusted_proxies: [0.0.0.0/0]\n"+strings.Replace(minimal, "https://", "http://", 1)+"  require_proof_key_for_code_exchange: false\n  ssl_verify: false\n  allow_insecure_http: true\n  display_errors: true\n  audience_required: any\n")
	if w := f.Warnings(); len(w) != 7 {
		t.Errorf("%d warnings: %s", len(w), strings.Join(w, "\n"))
	}
	if w := mustLoad(t, minimal).Warnings(); len(w) != 0 {
		t.Errorf("the least file warns: %s", w)
	}
}

// TestEveryKongParameter: each of the plugin's parameters is a field, or refused by its name.
func TestEveryKongParameter(t *testing.T) {
	b, err := os.ReadFile("../../testdata/kong-parameters.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(b))
	if len(names) != 235 {
		t.Fatalf("%d parameters, expected 235", len(names))
	}
	for _, name := range names {
		_, err := load(t, minimal+"  "+name+": {a: surprise}\n")
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "unknown key "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSecretsDontPrint: no problem shows a secret's text.
func TestSecretsDontPrint(t *testing.T) {
	t.Setenv("PLANTED", "planted-secret")
	_, err := load(t, minimal+"  session_secret: planted-secret\n  leeway: ${env:PLANTED}\n  client_auth: ${env:PLANTED}\n")
	if err == nil || strings.Contains(err.Error(), "planted") {
		t.Errorf("got %v", err)
	}
}

// FuzzLoad: whatever a file holds, Load returns a configuration or says what is wrong, with a line.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "../../configs/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			b, _ := os.ReadFile(name)
			f.Add(string(b))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := load(t, text)
		if err == nil {
			return
		}
		for line := range strings.Lines(err.Error()) {
			if len(line) > 1<<16 {
				t.Errorf("a message of %d bytes", len(line))
			}
		}
	})
}
