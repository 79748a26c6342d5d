package proxy

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/authz"
)

func TestRouterFindsTheNearest(t *testing.T) {
	exact := &Route{Name: "exact", Hosts: []string{"app.example.com"}, Paths: []string{"/api"}}
	wild := &Route{Name: "wild", Hosts: []string{"*.example.com"}, Paths: []string{"/"}}
	wilder := &Route{Name: "wilder", Hosts: []string{"*.b.example.com"}, Paths: []string{"/"}}
	any := &Route{Name: "any", Paths: []string{"/"}}
	deep := &Route{Name: "deep", Paths: []string{"/api/admin/"}}
	var all []*route
	for _, given := range []*Route{exact, wild, wilder, any, deep} {
		all = append(all, routeFor(t, given))
	}
	r := newRouter(all, nil)
	for _, c := range []struct{ host, path, want string }{
		{"app.example.com", "/api", "exact"},
		{"app.example.com", "/api/x", "exact"},
		{"app.example.com", "/apix", "wild"},
		{"x.example.com", "/", "wild"},
		{"a.b.example.com", "/", "wilder"},
		{"example.com", "/", "any"},
		{".example.com", "/", "any"},
		{"evil-example.com", "/", "any"},
		{"other", "/api/admin", "deep"},
		{"other", "/api/admin/x", "deep"},
		{"other", "/api/administrator", "any"},
	} {
		m, ok := r.find(c.host, c.path, "GET")
		if !ok || m.route.Name != c.want {
			t.Errorf("find(%q, %q) = %+v, %v, expected %s", c.host, c.path, m.route, ok, c.want)
		}
	}
}

func TestRulesFirstWrittenWins(t *testing.T) {
	rule := func(place string, paths, methods, hosts []string) *Rule {
		return &Rule{Place: place, Paths: paths, Methods: methods, Hosts: hosts, Rule: &authz.Rule{}}
	}
	r := newRules([]*Rule{
		rule("1", []string{"/public/secret"}, nil, nil),
		rule("2", []string{"/public"}, []string{"GET"}, nil),
		rule("3", []string{"/public/deep"}, nil, nil),
		rule("4", nil, []string{"DELETE"}, nil),
		rule("5", []string{"/h"}, nil, []string{"*.example.com"}),
	})
	for _, c := range []struct{ host, path, method, want string }{
		{"h", "/public/secret", "GET", "1"},
		{"h", "/public/deep", "GET", "2"},
		{"h", "/public/deep", "HEAD", "2"},
		{"h", "/public/deep", "POST", "3"},
		{"h", "/public", "POST", ""},
		{"h", "/else", "DELETE", "4"},
		{"a.example.com", "/h", "GET", "5"},
		{"h", "/h", "GET", ""},
		{"h", "/publicity", "GET", ""},
	} {
		if got := r.find(c.host, c.path, c.method, ""); got.Place != c.want {
			t.Errorf("find(%s %s %s) = %q, expected %q", c.method, c.host, c.path, got.Place, c.want)
		}
	}
}

// TestTricksNeedOneReading checks that a path whose ambiguities are allowed is refused if another reading of it has another rule.
func TestTricksNeedOneReading(t *testing.T) {
	given := &Route{Paths: []string{"/"}, Allow: []string{"encoded_slash", "double_slash", "semicolon"}, Rules: []*Rule{
		{Place: "admin", Paths: []string{"/public/admin", "/admin"}, Rule: &authz.Rule{}},
		{Place: "public", Paths: []string{"/public"}, Rule: &authz.Rule{Auth: authz.Off}},
		{Place: "café", Paths: []string{"/café"}, Rule: &authz.Rule{}},
	}}
	computed := routeFor(t, given)
	r := newRouter([]*route{computed}, nil)
	for path, want := range map[string]string{
		"/public/a%2Fb":      "public",
		"/public%2Fadmin":    "",
		"/public/admin%2Fx":  "",
		"/public//a":         "public",
		"/public//admin":     "",
		"//admin":            "",
		"/public/a;x=1":      "public",
		"/public/admin;x":    "",
		"/public;x/admin":    "",
		"/public/;x/admin/b": "",
		"/caf%C3%A9/a%2Fb":   "café",
		"/caf%C3%A9%2Fb":     "",
		"//public/admin":     "",
		"//x/public/a":       "",
		"/public/a;x/b/c":    "public",
		"/public/admin;/a":   "",
	} {
		target, err := parsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := r.match("h", "GET", &target)
		if want == "" && err == nil || want != "" && (err != nil || m.rule.Place != want) {
			t.Errorf("match(%q) = %+v, %v, expected %q", path, m.rule, err, want)
		}
	}
	computed.allow = 0
	for _, path := range []string{"/public/a%2Fb", "/public//a", "/public/a;x"} {
		target, _ := parsePath(path)
		if _, _, err := r.match("h", "GET", &target); err == nil {
			t.Errorf("match(%q) passed although the route allows no ambiguities", path)
		}
	}
}

// TestRulesIndex checks that the index finds the same rule as a linear search.
func TestRulesIndex(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func(of ...string) (chosen []string) {
		for _, s := range of {
			if random.IntN(3) == 0 {
				chosen = append(chosen, s)
			}
		}
		return chosen
	}
	paths := []string{"/", "/a", "/a/b", "/a/b/c", "/ab", "/d"}
	methods := []string{"GET", "HEAD", "POST", "DELETE"}
	for range 300 {
		var list []*Rule
		for n := range 1 + random.IntN(8) {
			list = append(list, &Rule{
				Place: strconv.Itoa(n), Rule: &authz.Rule{},
				Paths: some(paths[1:]...), Methods: some(methods...), Hosts: some("h", "*.example.com"),
			})
		}
		r := newRules(list)
		for _, host := range []string{"h", "x.example.com", "other"} {
			for _, path := range paths {
				for _, method := range append(methods, "PATCH") {
					got, want := r.find(host, path, method, "").Place, firstFit(list, host, path, method)
					if got != want {
						t.Fatalf("%s %s%s: got rule %q, want %q", method, host, path, got, want)
					}
				}
			}
		}
	}
}

// firstFit returns the place of the first rule that matches.
func firstFit(list []*Rule, host, path, method string) string {
	for _, rule := range list {
		under := len(rule.Paths) == 0
		for _, p := range rule.Paths {
			under = under || path == p || strings.HasPrefix(path, p+"/")
		}
		if under && rule.hasMethod(method) && rule.onHost(host) {
			return rule.Place
		}
	}
	return defaultRule.Place
}
