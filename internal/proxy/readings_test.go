package proxy

import (
	"log/slog"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

func TestReadings(t *testing.T) {
	for in, want := range map[string][]string{
		"/a":             nil,
		"/a%2Fb":         {"/a%2Fb"},
		"/caf%C3%A9%2fx": {"/café%2Fx"},
		"/a//b":          {"/a/b"},
		"/a////b":        {"/a//b", "/a/b"},
		"//a/b":          {"/a/b", "/b"},
		"/a;x/b;y":       {"/a/b", "/a;x/b", "/a"},
		"/a/;x/b":        {"/a//b", "/a/", "/a/b"},
		"/a;x%2Fb":       {"/a;x%2Fb", "/a", "/a/b"},
	} {
		target, err := parsePath(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := target.readings()
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s can be read as %q, %v, expected %q", in, got, err, want)
		}
	}
	target, _ := parsePath(strings.Repeat("//a;b%2F", 50))
	if got, err := target.readings(); err == nil {
		t.Errorf("%d readings of one path, expected a refusal", len(got))
	}
}

// TestStripPath checks that a prefix is removed in whole segments, and that an encoded slash doesn't end it.
func TestStripPath(t *testing.T) {
	r := &route{prefixes: newPrefixes([]string{"/", "/a/", "/a/b", "/café x"})}
	for raw, want := range map[string]string{
		"/": "/", "/x": "/x", "/a": "/", "/a/": "/", "/a/x": "/x", "/a/b/c": "/c", "/a%2Fb/c": "/a%2Fb/c", "/a/b%2Fc": "/b%2Fc",
		"/ab": "/ab", "/caf%C3%A9%20x/y": "/y", "/caf%C3%A9%20x%2Fy": "/caf%C3%A9%20x%2Fy", "/a//b": "//b",
	} {
		if got := r.strip(raw); got != want {
			t.Errorf("strip(%q) = %q, expected %q", raw, got, want)
		}
	}
	for raw, refused := range map[string]bool{
		"/a/b;x": false, "/a/x%2Fb": false, "/a//b": true, "/a/%2Fb": true, "/a/;x/b": true, "/x//b": false,
	} {
		target, err := parsePath(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.checkStripped(&target); (err != nil) != refused {
			t.Errorf("%q: %v, expected a refusal: %v", raw, err, refused)
		}
	}
}

// servers are the ways in which servers parse the path of a request target. Each returns the path that the server uses.
var servers = map[string]func(raw string) string{
	"cleaned": func(raw string) string { return path.Clean(decoded(raw)) },
	"a reference": func(raw string) string { // as net/url and browsers parse it
		if u, err := url.Parse(raw); err == nil && u.Path != "" {
			return u.Path
		}
		return "/"
	},
	"slashes merged in one pass": func(raw string) string { return strings.ReplaceAll(decoded(raw), "//", "/") },
	"parameters cut, decoded, cleaned": func(raw string) string {
		segments := strings.Split(raw, "/")
		for n, s := range segments {
			before, _, _ := strings.Cut(s, ";")
			segments[n] = decoded(before)
		}
		return path.Clean("/" + strings.Join(segments, "/"))
	},
	"decoded, parameters cut": func(raw string) string { return cutInTest(decoded(raw)) },
	"all after the first parameter cut": func(raw string) string {
		before, _, _ := strings.Cut(raw, ";")
		return decoded(before)
	},
	"an encoded slash undecoded": func(raw string) string {
		return strings.ReplaceAll(decoded(strings.ReplaceAll(raw, "%2F", "\x01")), "\x01", "%2F")
	},
	"an encoded slash undecoded, slashes merged": func(raw string) string {
		return path.Clean(strings.ReplaceAll(decoded(strings.ReplaceAll(raw, "%2F", "\x01")), "\x01", "%2F"))
	},
}

func decoded(raw string) string {
	s, err := url.PathUnescape(raw)
	if err != nil {
		return raw
	}
	return s
}

func cutInTest(p string) string {
	var out strings.Builder
	inside := false
	for _, c := range p {
		if inside = c == ';' || inside && c != '/'; !inside {
			out.WriteRune(c)
		}
	}
	return out.String()
}

// FuzzReadings checks for every set of allowed ambiguities that a path which passes also passes as each of servers parses it.
func FuzzReadings(f *testing.F) {
	for _, s := range []string{
		"/open/x", "/open/a%2Fb", "/open//admin", "/open%2F..%2Fadmin", "//open/admin", "/open;x/admin", "/open/;/admin",
		"/cond/secret%2Fx", "/cond//secret", "/cond;x/secret", "/cond/a;b//c%2Fd", "/caf%c3%a9%2Fx", "/cond/x;/../secret",
		"/cond%2Fsecret", "//x/cond/secret", "/open/a;b%2Fc",
	} {
		f.Add(s)
	}
	gates := everyAllow(f)
	f.Fuzz(func(t *testing.T, raw string) {
		for allow, g := range gates {
			r := httptest.NewRequest("GET", "/", nil)
			r.RequestURI = raw
			d, err := g.decide(r)
			if err != nil || d.Answer != nil {
				continue
			}
			if sent := decoded(d.target.raw); sent != d.Path {
				t.Errorf("allow %q: %q has the path %q, and is sent as %q", allow, raw, d.Path, sent)
			}
			for name, read := range servers {
				if reading := read(d.target.raw); !passes(g, d.Route, reading) {
					t.Errorf("allow %q: %q passes, and is refused as %q (%s)", allow, raw, reading, name)
				}
			}
		}
	})
}

// everyAllow returns a gate for each set of allowed ambiguities. /open has auth: off, no request passes at /open/admin, and an expression
// decides at /cond.
func everyAllow(t testing.TB) map[string]*Gate {
	up, err := NewUpstream(UpstreamSettings{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	rule := func(p string, s authz.RuleSettings) *Rule {
		made, err := authz.NewRule(s)
		if err != nil {
			t.Fatal(err)
		}
		return &Rule{Paths: []string{p}, Place: p, Rule: made}
	}
	gates := map[string]*Gate{}
	for n := range 8 {
		var allow []string
		for bit, name := range []string{"encoded_slash", "double_slash", "semicolon"} {
			if n>>bit&1 == 1 {
				allow = append(allow, name)
			}
		}
		route := &Route{
			Paths: []string{"/"}, Upstream: up, Allow: allow,
			Policy: authz.NewPolicy(authz.Settings{}, authz.ACLSettings{}, authz.NewDirectory(nil), nil),
			Chain:  auth.Chain{{Flow: tokens}}, Rules: []*Rule{
				rule("/open/admin", authz.RuleSettings{RequiredSettings: authz.RequiredSettings{RolesRequired: []string{"admin"}}}),
				rule("/open", authz.RuleSettings{Auth: "off"}),
				rule("/cond", authz.RuleSettings{
					Auth: "optional", Allow: `!request.path.startsWith("/cond/secret") && !request.path.endsWith(".key")`,
				}),
			},
		}
		c := Config{Routes: []*Route{route}, Log: slog.New(slog.DiscardHandler)}
		if gates[strings.Join(allow, " ")], err = New(c); err != nil {
			t.Fatal(err)
		}
	}
	return gates
}

// passes reports whether a request for a path without ambiguities passes.
func passes(g *Gate, route *route, reading string) bool {
	m, ok := g.router.find("example.com", reading, "GET")
	if !ok || m.rule.Auth == authz.Off {
		return ok
	}
	r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil), Path: reading}
	_, err := route.Policy.Authorize(r, nil, m.rule.requirements(), nil)
	return m.rule.Auth == authz.Optional && err == nil
}
