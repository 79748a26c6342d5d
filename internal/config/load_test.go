package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/flow"
)

func TestDefaults(t *testing.T) {
	f, err := loadText(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	r := f.Routes[0]
	if r.Name != "sallyport" || !r.HasOIDC || r.Place != f.Name+":1" || r.Route.Upstream.URL != "http://127.0.0.1:8080" {
		t.Errorf("the route is %+v", r)
	}
	if got := *r.OIDC.Headers.UpstreamAccessTokenHeader; got != "authorization:bearer" {
		t.Errorf("upstream_access_token_header is %q", got)
	}
	o := &r.OIDC.Flow
	for what, got := range map[string][2]any{
		"listen": {f.Listen, []Listen{{Address: "127.0.0.1:8000"}}},
		"admin":  {f.Admin, Admin{Listen: "127.0.0.1:9000", RecentRefusals: 200}},
		"log":    {f.Log, Log{Level: "info", Format: "json", Access: true}},
		"limits": {f.Limits, Limits{
			ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, BodyTimeout: 10 * time.Second,
			AnswerTimeout: 30 * time.Second, MaxHeaderBytes: 65536, DrainTimeout: 30 * time.Second,
		}},
		"paths":                   {r.Route.Paths, []string{"/"}},
		"connect_timeout":         {r.Route.Upstream.ConnectTimeout, 10 * time.Second},
		"auth_methods":            {o.AuthMethods, []flow.Method{"authorization_code", "bearer", "session"}},
		"timeout":                 {o.Client.Timeout, 10 * time.Second},
		"session_idling_timeout":  {o.Session.IdlingTimeout, 15 * time.Minute},
		"redis.prefix":            {o.Session.Redis.Prefix, "sallyport:"},
		"redis.connect_timeout":   {o.Session.Redis.ConnectTimeout, 2 * time.Second},
		"scopes":                  {o.Client.Scopes, []string{"openid"}},
		"forbidden_error_message": {r.OIDC.Errors.ForbiddenErrorMessage, "Forbidden"},
	} {
		if !reflect.DeepEqual(got[0], got[1]) {
			t.Errorf("%s is %v, want %v", what, got[0], got[1])
		}
	}
}

func TestValuesOfAllKinds(t *testing.T) {
	t.Setenv("SALLYPORT_TEST_NUMBER", "90")
	t.Setenv("SALLYPORT_TEST_NULL", "null")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("${env:NO} \"x\"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := loadText(t, `
trusted_proxies: [10.1.2.3/8, 192.0.2.1, "2001:db8::1"]
`+minimal+`
  client_secret: ${file:`+file+`}
  session_secret: "Bearer-${env:SALLYPORT_TEST_NUMBER}-$${env:X}-0123456789abcdef"
  session_audience: ${env:SALLYPORT_TEST_NULL}
  leeway: 1.5
  timeout: 2500
  session: {idling_timeout: "${env:SALLYPORT_TEST_NUMBER}", rolling_timeout: 1h30m, absolute_timeout: 0}
  max_age: 500ms
  upstream_access_token_header: ~
  redis:
    database: 7
    ca_file:
  scopes: 123
  session_cookie_secure: true
rules:
  - auth: off
`)
	if err != nil {
		t.Fatal(err)
	}
	o := f.Routes[0].OIDC.Flow
	for what, got := range map[string][2]any{
		"networks": {f.TrustedProxies, []Prefix{
			{netip.MustParsePrefix("10.0.0.0/8")}, {netip.MustParsePrefix("192.0.2.1/32")}, {netip.MustParsePrefix("2001:db8::1/128")},
		}},
		"a file":              {string(o.Client.ClientSecret[0]), "${env:NO} \"x\""},
		"an embedded value":   {string(o.Session.Secret[0]), "Bearer-90-${env:X}-0123456789abcdef"},
		"an expanded null":    {o.Session.Audience, "null"},
		"a fraction":          {o.Client.Leeway, 1500 * time.Millisecond},
		"milliseconds":        {o.Client.Timeout, 2500 * time.Millisecond},
		"an expanded number":  {o.Session.IdlingTimeout, 90 * time.Second},
		"Go's notation":       {o.Session.RollingTimeout, 90 * time.Minute},
		"zero":                {o.Session.AbsoluteTimeout, time.Duration(0)},
		"a pointer":           {*o.MaxAge, 500 * time.Millisecond},
		"null over a default": {f.Routes[0].OIDC.Headers.UpstreamAccessTokenHeader, (*string)(nil)},
		"a member":            {o.Session.Redis.Database, 7},
		"its neighbour":       {o.Session.Redis.Port, 6379},
		"a number as text":    {o.Client.Scopes, []string{"123"}},
		"a rule":              {f.Routes[0].Rules[0].Auth, "off"},
	} {
		if !reflect.DeepEqual(got[0], got[1]) {
			t.Errorf("%s is %v, want %v", what, got[0], got[1])
		}
	}
}

// MustWrite writes files to a new folder and returns its name.
func MustWrite(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestInheritance checks that a route's values replace the defaults by key, lists and mappings as a whole, that null removes a default, and
// that a route with its own issuer doesn't inherit what belongs to another.
func TestInheritance(t *testing.T) {
	dir := MustWrite(t, map[string]string{
		"sallyport.yaml": `
oidc:
  issuer: https://a.example.com
  client: {id: app, secret: s3cret}
  scopes: [openid, email]
  redis: {host: redis, port: 7000}
  session_storage: redis
  discovery_headers_names: X-Key
  discovery_headers_values: key
  leeway: 5
routes:
  - routes/*.yaml
  - route: {upstream: "http://127.0.0.1:1", paths: [/inline]}
    oidc: {redis: {host: other}, leeway: null, client_secret: null, session_cookie_name: inline}
`,
		"routes/b.yaml": "route: {upstream: \"http://127.0.0.1:1\", paths: [/b]}\n" +
			"oidc: {issuer: \"https://b.example.com\", client_id: b}\n",
		"routes/a.yaml":       "route: {upstream: \"http://127.0.0.1:1\", paths: [/a]}\n",
		"routes/.hidden.yaml": "nonsense",
	})
	f, err := Load(filepath.Join(dir, "sallyport.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range f.Routes {
		o := r.OIDC.Flow
		var secret auth.Secret
		if len(o.Client.ClientSecret) > 0 {
			secret = o.Client.ClientSecret[0]
		}
		got = append(got, fmt.Sprint(r.Name, o.Client.Issuer, o.Client.ClientID, string(secret), o.Client.Scopes, o.Session.Redis.Host,
			o.Session.Redis.Port, o.Session.Storage, o.Client.DiscoveryHeadersNames, o.Client.Leeway))
	}
	want := []string{
		"a https://a.example.com [app] s3cret [openid email] redis 7000 redis [X-Key] 5s",
		"b https://b.example.com [b]  [openid] redis 7000 redis [] 5s",
		"route-2 https://a.example.com [app]  [openid email] other 6379 redis [X-Key] 0s",
	}
	for i := range want {
		if compact(got[i]) != compact(want[i]) {
			t.Errorf("route %d:\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

// TestProxyCredentials checks that a route with another proxy doesn't inherit the credentials for a proxy.
func TestProxyCredentials(t *testing.T) {
	dir := MustWrite(t, map[string]string{"sallyport.yaml": `
oidc:
  issuer: https://a.example.com
  client_id: app
  http_proxy: http://proxy:3128
  http_proxy_authorization: Basic aHR0cA==
  https: {proxy: "http://proxy:3128", proxy_authorization: Basic aHR0cHM=}
routes:
  - route: {upstream: "http://127.0.0.1:1", paths: [/inherits]}
  - route: {upstream: "http://127.0.0.1:1", paths: [/other]}
    oidc: {https_proxy: "http://elsewhere:3128"}
  - route: {upstream: "http://127.0.0.1:1", paths: [/own]}
    oidc: {http: {proxy: "http://elsewhere:3128", proxy_authorization: Basic b3du}}
`})
	f, err := Load(filepath.Join(dir, "sallyport.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range f.Routes {
		h := r.OIDC.Flow.Client.HTTPSettings
		got = append(got, string(h.HTTPProxyAuthorization)+", "+string(h.HTTPSProxyAuthorization))
	}
	want := []string{"Basic aHR0cA==, Basic aHR0cHM=", "Basic aHR0cA==, ", "Basic b3du, Basic aHR0cHM="}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func compact(s string) string { return strings.ReplaceAll(s, " ", "") }

// TestProblemLater checks the places in errors of Route.Problem.
func TestProblemLater(t *testing.T) {
	dir := MustWrite(t, map[string]string{
		"sallyport.yaml": "oidc:\n  issuer: https://a.example.com\n  client_id: app\n  session: {storage: memory}\nroutes: routes/*.yaml\n",
		"routes/a.yaml":  "oidc:\n  leeway: 5\nroute:\n  upstream:\n    url: http://127.0.0.1:1\n",
	})
	t.Chdir(dir)
	f, err := Load("sallyport.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := &f.Routes[0]
	for key, want := range map[string]string{
		"upstream":            "routes/a.yaml:4: upstream: no",
		"upstream.url":        "routes/a.yaml:5: upstream.url: no",
		"upstream.ca_file":    "routes/a.yaml:4: upstream.ca_file: no",
		"issuer":              "sallyport.yaml:2: issuer: no",
		"session_storage":     "sallyport.yaml:4: session_storage: no",
		"leeway":              "routes/a.yaml:2: leeway: no",
		"auth_methods":        "routes/a.yaml:3: auth_methods: no",
		"something[3].nested": "routes/a.yaml:3: something[3].nested: no",
	} {
		if got := r.Problem(key, "no").Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestFileLimits(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if err == nil || !strings.HasSuffix(err.Error(), "none.yaml: the file can't be read: no such file or directory") {
		t.Errorf("a missing file: %v", err)
	}
	_, err = loadText(t, minimal+strings.Repeat("#", 1<<20))
	if err == nil || !strings.HasSuffix(err.Error(), "the file can't be read: it is longer than 1 MiB") {
		t.Errorf("a long file: %v", err)
	}
	if _, err = Load(t.TempDir()); err == nil {
		t.Error("a folder was accepted")
	}
}

// TestListenTLS loads listeners with a certificate, its key and an authority, relative to the file.
func TestListenTLS(t *testing.T) {
	certificate, key := MustCertify(t)
	dir := MustWrite(t, map[string]string{"tls/cert.pem": certificate, "tls/key.pem": key})
	const own = "cert_file: tls/cert.pem, key_file: tls/key.pem"
	for text, want := range map[string]string{
		own: "",
		own + ", client_ca_file: tls/cert.pem, client_auth: require_and_verify":                "",
		own + ", client_ca_file: tls/cert.pem":                                                 "client_ca_file: it isn't used",
		own + ", client_ca_file: tls/key.pem, client_auth: verify_if_given":                    "holds no PEM certificate",
		own + ", client_auth: verify_if_given":                                                 "needs client_ca_file",
		"cert_file: tls/key.pem, key_file: tls/cert.pem":                                       "can't be used",
		own + ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]":                       "",
		own + ", cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]":                                "isn't a secure cipher suite of TLS 1.2",
		own + ", cipher_suites: [TLS_AES_128_GCM_SHA256]":                                      "isn't a secure cipher suite of TLS 1.2",
		own + ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]":                       "HTTP/2 needs",
		own + ", min_version: \"1.3\", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]": "min_version is 1.3",
	} {
		name := filepath.Join(dir, "sallyport.yaml")
		if err := os.WriteFile(name, []byte("listen:\n  - {address: 127.0.0.1:0, tls: {"+text+"}}\n"+minimal), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Load(name)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want == "" && f.Listen[0].TLS.CertFile != filepath.Join(dir, "tls/cert.pem"):
			t.Errorf("the path is %s", f.Listen[0].TLS.CertFile)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// MustCertify returns a self-signed certificate and its key as PEM.
func MustCertify(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", secret)
}
