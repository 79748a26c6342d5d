package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// refusalGate returns a gate that keeps refusals, and how often its flow and its exchange were called. change may change its route.
func refusalGate(t *testing.T, change ...func(*Route)) (g *Gate, kept *Refusals, calls *int) {
	kept, calls = &Refusals{}, new(int)
	kept.Keep(20)
	flow := flowFunc(func(r *auth.Request) (*auth.Result, error) {
		*calls++
		return tokens(r)
	})
	rule := func(s authz.RuleSettings, paths ...string) *Rule {
		made, err := authz.NewRule(s)
		if err != nil {
			t.Fatal(err)
		}
		return &Rule{Paths: paths, Place: "app.yaml:7", Rule: made}
	}
	required := func(role string) (s authz.RuleSettings) { s.RolesRequired = []string{role}; return s }
	route := &Route{
		Name: "app", Place: "app.yaml:1", Paths: []string{"/app"}, Chain: auth.Chain{{Name: "bearer", Flow: flow}},
		Policy: authz.NewPolicy(authz.Settings{
			RolesClaim: []string{"roles"}, ScopesClaim: []string{"scope"}, AudienceClaim: []string{"aud"}, GroupsClaim: []string{"groups"},
		}, authz.ACLSettings{}, authz.NewDirectory(nil), nil),
		Rules: []*Rule{
			rule(required("admin"), "/app/admin"), rule(authz.RuleSettings{Allow: `request.method == "DELETE"`}, "/app/early"),
			rule(authz.RuleSettings{Allow: `claims.sub == "jane"`}, "/app/late"), rule(authz.RuleSettings{}, "/app/exchange"),
		},
		Exchange: func(r *auth.Request, res *auth.Result) (*auth.Result, error) {
			if *calls++; r.Path == "/app/exchange" {
				return nil, auth.Unavailable("issuer_unavailable", errors.New("it is away"))
			}
			return res, nil
		},
	}
	for _, f := range change {
		f(route)
	}
	g, err := New(Config{Routes: []*Route{route}, Log: slog.New(slog.DiscardHandler), Refusals: kept})
	if err != nil {
		t.Fatal(err)
	}
	return g, kept, calls
}

// TestRefusalsExplain compares the explanation of a kept refusal with the trace of a decision of the same request. Keeping it asks neither
// the flows nor the issuer once more.
func TestRefusalsExplain(t *testing.T) {
	for name, c := range map[string]struct {
		target, token string
		calls, status int
		step          string // the last one
	}{
		"no route":      {"/elsewhere", "good", 0, 404, "route"},
		"bad path":      {"/app/%2e%2e/x", "good", 0, 400, ""},
		"no credential": {"/app/", "", 1, 401, "flow"},
		"bad token":     {"/app/", "forged", 1, 401, "flow"},
		"roles":         {"/app/admin", "good", 2, 403, "roles_required"},
		"expression":    {"/app/late", "good", 2, 403, "allow"},
		"precheck":      {"/app/early", "good", 0, 403, "allow"},
		"exchange":      {"/app/exchange", "good", 2, 503, "exchange"},
	} {
		t.Run(name, func(t *testing.T) {
			g, kept, calls := refusalGate(t)
			request := func() *http.Request {
				r := httptest.NewRequest(http.MethodGet, "http://gate.example.com"+c.target+"?code=secret-query", strings.NewReader("secret-body"))
				r.Header.Set("Cookie", "session_x=secret-cookie")
				if c.token != "" {
					r.Header.Set("Authorization", "Bearer "+c.token)
				}
				return r
			}
			w := httptest.NewRecorder()
			g.ServeHTTP(w, request())
			if *calls != c.calls || w.Code != c.status {
				t.Errorf("%d calls and %d, want %d and %d", *calls, w.Code, c.calls, c.status)
			}
			all := kept.All()
			if len(all) != 1 {
				t.Fatalf("%d refusals are kept, want 1", len(all))
			}
			if got, want := all[0].Trace(), g.Trace(request(), nil); !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
			if steps := all[0].Trace().Steps; c.step != "" && (len(steps) == 0 || steps[len(steps)-1].Name != c.step) {
				t.Errorf("the steps are %+v, want %s as the last one", steps, c.step)
			}
			text := fmt.Sprintf("%+v", all[0])
			for _, secret := range []string{"secret-query", "secret-body", "secret-cookie", "Bearer", "forged"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s is kept: %s", secret, text)
				}
			}
		})
	}
}

// TestRefusalsAreBounded checks the order, the number and what is masked.
func TestRefusalsAreBounded(t *testing.T) {
	g, kept, _ := refusalGate(t)
	ask := func(n int) {
		r := httptest.NewRequest(http.MethodGet, fmt.Sprintf("http://gate.example.com/app/%d/%s/%s", n, strings.Repeat("s", 60),
			strings.Repeat("x/", 300)), nil)
		r.RemoteAddr = "192.0.2.77:1"
		r.Header.Set("X-Request-ID", strings.Repeat("i", 5000))
		g.ServeHTTP(httptest.NewRecorder(), r)
	}
	for n := range 25 {
		ask(n)
	}
	if n := len(kept.All()); n != 15 {
		t.Errorf("%d refusals of a route are kept, expected 3 of 4 of 20", n)
	}
	paths := func(want ...int) {
		t.Helper()
		all := kept.All()
		if len(all) != len(want) {
			t.Fatalf("%d are kept, want %d", len(all), len(want))
		}
		for n, r := range all {
			if !strings.HasPrefix(r.Path, fmt.Sprintf("/app/%d/ssssssss…/x/", want[n])) || len(r.Path) > maxKeptPath+len("…") {
				t.Errorf("the path of %d is %q", n, r.Path)
			}
			if r.Client.String() != "192.0.2.0/24" || len(r.RequestID) > maxKept+len("…") {
				t.Errorf("the client is %s, and the ID %q", r.Client, r.RequestID)
			}
		}
	}
	kept.Keep(3)
	paths(24, 23, 22)
	ask(25)
	paths(25, 24, 23)
	kept.Keep(5)
	ask(26)
	paths(26, 25, 24, 23)
	kept.Keep(0)
	ask(27)
	paths()
}

// A request that passes, and a failure of the upstream, are no refusals.
func TestOnlyRefusalsAreKept(t *testing.T) {
	kept := &Refusals{}
	kept.Keep(5)
	front, _ := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		func(_ *Route, c *Config) { c.Refusals = kept })
	res, err := http.Get(front.URL + "/off")
	if err != nil || res.StatusCode != http.StatusForbidden {
		t.Fatal(res, err)
	}
	res.Body.Close()
	if all := kept.All(); len(all) != 0 {
		t.Errorf("kept are %+v", all)
	}
}

// FuzzMaskPath checks the length of what is kept of a path, and of each part of it.
func FuzzMaskPath(f *testing.F) {
	for _, seed := range []string{"/", "/app/x", strings.Repeat("/é", 200), "/" + strings.Repeat("é", 60), strings.Repeat("\xff", 60)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := maskPath(path)
		if len(got) > maxKeptPath+len("…") {
			t.Errorf("%q is %d bytes long", got, len(got))
		}
		for _, s := range strings.Split(got, "/") {
			if len(s) > maxSegment+len("…") {
				t.Errorf("%q has the part %q", got, s)
			}
		}
	})
}

// TestScansPushOutNothing checks that many requests without a route leave the refusals of routes where they are.
func TestScansPushOutNothing(t *testing.T) {
	g, kept, _ := refusalGate(t)
	ask := func(url string) { g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, url, nil)) }
	ask("http://gate.example.com/app/refused")
	for n := range 100 {
		ask(fmt.Sprintf("http://gate.example.com/app/../%d", n))
	}
	all := kept.All()
	if len(all) != 6 || all[0].Path != "/app/../99" || all[5].Path != "/app/refused" {
		t.Errorf("%d refusals are kept: %+v", len(all), all)
	}
}
