package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// flowFunc makes a flow of a function.
type flowFunc func(*auth.Request) (*auth.Result, error)

func (f flowFunc) Authenticate(r *auth.Request) (*auth.Result, error) { return f(r) }

// tokens is a flow with one valid bearer token.
var tokens = flowFunc(func(r *auth.Request) (*auth.Result, error) {
	switch r.Header.Get("Authorization") {
	case "":
		return nil, auth.ErrNoCredential
	case "Bearer good":
		return &auth.Result{
			Identity: &auth.Identity{
				Flow: "bearer", Subject: "john", AccessToken: auth.Claims{"sub": "john", "roles": []any{"user"}},
				Tokens: auth.Tokens{AccessToken: "good"},
			},
			Header: http.Header{"Set-Cookie": {"session_x=renewed; Path=/"}},
		}, nil
	}
	return nil, auth.InvalidToken("token_invalid", errors.New("secret detail"))
})

// start starts a gate in front of an upstream. If change isn't nil, it may change the configuration first.
func start(t *testing.T, upstream http.HandlerFunc, change func(*Route, *Config)) (front *httptest.Server, log *bytes.Buffer) {
	t.Helper()
	back := httptest.NewServer(upstream)
	t.Cleanup(back.Close)
	up, err := NewUpstream(UpstreamSettings{
		URL: back.URL, ConnectTimeout: time.Second, ResponseHeaderTimeout: 2 * time.Second, IdleTimeout: time.Second,
		SSLVerify: true, Reuse: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	settings := authz.Settings{
		ConsumerSettings: authz.ConsumerSettings{CredentialClaim: []string{"sub"}},
		RolesClaim:       []string{"roles"}, ScopesClaim: []string{"scope"},
		AudienceClaim: []string{"aud"}, GroupsClaim: []string{"groups"},
	}
	rule := func(mode, role string, paths ...string) *Rule {
		s := authz.RuleSettings{Auth: mode}
		if role != "" {
			s.RolesRequired = []string{role}
		}
		made, err := authz.NewRule(s)
		if err != nil {
			t.Fatal(err)
		}
		return &Rule{Paths: paths, Rule: made}
	}
	route := &Route{
		Name: "app", Paths: []string{"/"}, Chain: auth.Chain{{Flow: tokens}}, Upstream: up, Realm: "idp.example.com",
		Policy: authz.NewPolicy(settings, authz.ACLSettings{}, authz.NewDirectory(nil), nil),
		View: View{
			Headers: HeaderSettings{
				UpstreamAccessTokenHeader: token(), Upstream: IdentityHeaders{Headers: []HeaderMapping{{"X-User", []string{"sub"}}}},
			},
			Errors: ErrorSettings{UnauthorizedErrorMessage: "Unauthorized", ForbiddenErrorMessage: "Forbidden", ExposeErrorCode: true},
		},
		CookieNames: []string{"session_x"},
		Rules:       []*Rule{rule("off", "", "/off"), rule("optional", "", "/maybe"), rule("required", "admin", "/admin")},
	}
	var buf bytes.Buffer
	c := Config{Log: slog.New(slog.NewJSONHandler(&buf, nil)), AccessLog: true}
	if change != nil {
		change(route, &c)
	}
	c.Routes = append(c.Routes, route)
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	front = httptest.NewUnstartedServer(g)
	front.Config.Protocols = new(http.Protocols)
	front.Config.Protocols.SetHTTP1(true)
	front.Config.Protocols.SetUnencryptedHTTP2(true)
	front.Start()
	t.Cleanup(front.Close)
	return front, &buf
}

// raw sends the bytes of a request and returns the response.
func raw(t *testing.T, front *httptest.Server, request string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, request)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func get(t *testing.T, front *httptest.Server, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("GET", front.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return roundTrip(t, front, r)
}

// roundTrip sends a request, and returns the response and its body.
func roundTrip(t *testing.T, front *httptest.Server, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := front.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

func echo(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s\n", r.Method, r.RequestURI)
	r.Header.Write(w)
}

func TestDecisions(t *testing.T) {
	front, _ := start(t, echo, nil)
	const challenge = `Bearer realm="idp.example.com"`
	const invalid = challenge + `, error="invalid_token", error_description="The access token is invalid or expired."`
	for _, c := range []struct {
		path, authorization string
		status              int
		challenge           string
	}{
		{"/", "", 401, challenge},
		{"/", "Bearer good", 200, ""},
		{"/", "Bearer garbage", 401, invalid},
		{"/off", "", 200, ""},
		{"/off/x", "Bearer garbage", 200, ""},
		{"/offside", "", 401, challenge},
		{"/maybe", "", 200, ""},
		{"/maybe", "Bearer good", 200, ""},
		{"/maybe", "Bearer garbage", 401, invalid},
		{"/admin", "Bearer good", 403, ""},
		{"/admin", "", 401, challenge},
	} {
		var header []string
		if c.authorization != "" {
			header = []string{"Authorization", c.authorization}
		}
		res, body := get(t, front, c.path, header...)
		if res.StatusCode != c.status || res.Header.Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s with %q: %d %q %s, expected %d %q",
				c.path, c.authorization, res.StatusCode, res.Header.Get("WWW-Authenticate"), body, c.status, c.challenge)
		}
		if strings.Contains(body, "secret detail") {
			t.Errorf("%s: inner detail reached the client: %s", c.path, body)
		}
	}
}

func TestWhatReachesTheUpstream(t *testing.T) {
	front, _ := start(t, echo, nil)
	res, body := get(t, front, "/a%2Db/%7Ec?x=1;y=2&z=%zz", "Authorization", "Bearer good", "Cookie", "session_x=1; theme=dark",
		"X-User", "evil", "X_User", "evil", "X-Forwarded-For", "1.2.3.4", "Connection", "X-User")
	if res.StatusCode != 200 {
		t.Fatal(res.Status, body)
	}
	for _, want := range []string{"GET /a-b/~c?x=1;y=2&z=%zz\n", "X-User: john\r", "Authorization: Bearer good\r", "Cookie: theme=dark\r",
		"X-Forwarded-For: 127.0.0.1\r", "X-Forwarded-Proto: http\r"} {
		if !strings.Contains(body, want) {
			t.Errorf("expected %q in\n%s", want, body)
		}
	}
	if strings.Contains(body, "evil") || strings.Contains(body, "1.2.3.4") {
		t.Errorf("a forged header passed:\n%s", body)
	}
	if got := res.Header.Values("Set-Cookie"); len(got) != 1 || res.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("the renewed cookie: %q, Cache-Control %q", got, res.Header.Get("Cache-Control"))
	}
	_, body = get(t, front, "/off", "Authorization", "Basic eDp5", "X-User", "evil")
	if !strings.Contains(body, "Authorization: Basic eDp5") || strings.Contains(body, "evil") {
		t.Errorf("auth: off: %s", body)
	}
	_, body = get(t, front, "/maybe", "X-User", "evil", "Proxy-Authorization", "Basic x")
	if strings.Contains(body, "evil") || strings.Contains(body, "uthorization") {
		t.Errorf("auth: optional: %s", body)
	}
}

func TestPathTricksThroughTheFrontDoor(t *testing.T) {
	front, _ := start(t, echo, nil)
	for target, status := range map[string]int{
		"/off/../admin": 400, "/off/%2e%2e/admin": 400, "/off%2f..%2fadmin": 400, "//admin": 400, "/off/;/admin": 400,
		"/off\\..\\admin": 400, "/off%00": 400, "/off#x": 400, "*": 400, "http://h/off": 200, "http://u@h/off": 400, "http://h": 401,
		"/off/%252e%252e/admin": 400, "/off/%zz": 400,
	} {
		res := raw(t, front, "GET "+target+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if res.StatusCode != status {
			t.Errorf("%s: %d, expected %d", target, res.StatusCode, status)
		}
	}
	for _, method := range []string{"TRACE", "get", "CONNECT"} {
		if res := raw(t, front, method+" /off HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); res.StatusCode != 400 {
			t.Errorf("%s: %d, expected 400", method, res.StatusCode)
		}
	}
}

func TestTrustedProxies(t *testing.T) {
	trust := func(_ *Route, c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	front, _ := start(t, echo, trust)
	_, body := get(t, front, "/off", "X-Forwarded-For", "6.6.6.6, 9.9.9.9, 127.0.0.9", "X-Forwarded-Proto", "https",
		"X-Forwarded-Host", "app.example.com", "X-Request-Id", "from-the-proxy-1")
	for _, want := range []string{
		"X-Forwarded-For: 9.9.9.9\r", "X-Forwarded-Proto: https\r", "X-Forwarded-Host: app.example.com\r",
		"X-Request-Id: from-the-proxy-1\r",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("expected %q in\n%s", want, body)
		}
	}
	for _, header := range [][]string{
		{"X-Forwarded-Proto", "https", "X-Forwarded-Proto", "http"}, {"X-Forwarded-Proto", "http,https"}, {"X-Forwarded-Proto", "gopher"},
		{"X-Forwarded-Host", "a/b"}, {"X-Forwarded-Host", "a", "X-Forwarded-Host", "b"},
	} {
		if res, _ := get(t, front, "/off", header...); res.StatusCode != 400 {
			t.Errorf("%q: %d, expected 400", header, res.StatusCode)
		}
	}
	front, _ = start(t, echo, nil)
	_, body = get(t, front, "/off",
		"X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example.com", "X-Request-Id", "chosen-by-client")
	if !strings.Contains(body, "X-Forwarded-Proto: http\r") || strings.Contains(body, "evil") || strings.Contains(body, "chosen") {
		t.Errorf("the forwarding headers of an untrusted client were used:\n%s", body)
	}
}

// ending is a flow whose endpoint returns a result without an answer, as a login with login_action: upstream does.
type ending struct{ flowFunc }

func (f ending) Endpoints() []auth.Endpoint {
	return []auth.Endpoint{{Name: "callback", Path: "/callback", Serve: f.flowFunc}}
}

// TestEndpointsGoOnByTheRuleOfTheirHost checks that the result of an endpoint is authorized with the rule for the request's host, not for
// the host of public_url.
func TestEndpointsGoOnByTheRuleOfTheirHost(t *testing.T) {
	front, _ := start(t, echo, func(r *Route, _ *Config) {
		r.Origin, r.Chain = "https://app.test", auth.Chain{{Flow: ending{tokens}}}
		r.Rules[2].Hosts, r.Rules[2].Paths = []string{"admin.test"}, nil
	})
	for host, status := range map[string]int{"app.test": 200, "admin.test": 403} {
		res := raw(t, front, "GET /callback HTTP/1.1\r\nHost: "+host+"\r\nAuthorization: Bearer good\r\n\r\n")
		if res.StatusCode != status {
			t.Errorf("%s: %d, expected %d", host, res.StatusCode, status)
		}
	}
}

func TestUpstreamMayNotSetOurCookies(t *testing.T) {
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "session_x=fixed; Path=/")
		w.Header().Add("Set-Cookie", "=session_x=fixed; Path=/") // a browser sends it back as session_x
		w.Header().Add("Set-Cookie", " = session_x =fixed; Path=/")
		w.Header().Add("Set-Cookie", "theme=dark")
	}, nil)
	res, _ := get(t, front, "/off")
	if got := res.Header.Values("Set-Cookie"); len(got) != 1 || got[0] != "theme=dark" {
		t.Errorf("Set-Cookie: %q", got)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestErrorsInTheClientsForm(t *testing.T) {
	front, log := start(t, echo, nil)
	res, body := get(t, front, "/admin", "Authorization", "Bearer good", "Accept", "text/html")
	if res.StatusCode != 403 || !strings.Contains(body, "<h1>Forbidden</h1>") ||
		!strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("HTML: %s %v\n%s", res.Status, res.Header, body)
	}
	res, body = get(t, front, "/admin", "Authorization", "Bearer good", "Content-Type", "application/grpc")
	if res.StatusCode != 200 || res.Header.Get("Grpc-Status") != "7" || body != "" {
		t.Errorf("gRPC: %s %v", res.Status, res.Header)
	}
	res, body = get(t, front, "/admin", "Authorization", "Bearer good")
	id := res.Header.Get("X-Request-Id")
	if res.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, id) ||
		!strings.Contains(body, `"title":"Forbidden","status":403`) {
		t.Errorf("JSON: %s", body)
	}
	if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), `"reason":"roles_required"`) {
		t.Errorf("the log doesn't have the reason: %s", log)
	}
}
