package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// FuzzStrip checks that no header or cookie with a name that the gate uses reaches the upstream, in any spelling, and that the others are
// unchanged.
func FuzzStrip(f *testing.F) {
	for _, name := range []string{
		"X-Consumer-Id", "x_consumer_id", "X.Forwarded.For", "Remote_User", "X-Mail", "authorization", "Accept", "X-Ro",
	} {
		f.Add(name, "session=1; other=2")
	}
	for _, cookie := range []string{
		"session", " session =1", "a=1;;session=2", "session=1;session=2", "=session", "\tsession=1", "a=\"; session=1\"",
	} {
		f.Add("X-Roles", cookie)
	}
	mapped := func(header string) View {
		return View{Headers: HeaderSettings{Upstream: IdentityHeaders{Headers: []HeaderMapping{{Header: header, Path: []string{"email"}}}}}}
	}
	other := mapped("X-Other-Mail")
	route := &Route{View: mapped("X-Mail"), Views: map[string]*View{"https://other.example.com": &other}, CookieNames: []string{"session"}}
	plan := planFor(f, route)
	f.Fuzz(func(t *testing.T, name, cookie string) {
		if strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }) {
			return // net/http answers 400: the name isn't a token (RFC 9110 §5.1)
		}
		name = http.CanonicalHeaderKey(name)
		h := http.Header{name: {"forged"}, "Cookie": {cookie}, "Accept": {"text/html"}}
		plan.strip(h)
		for left := range h {
			if mayNotPass(left) {
				t.Errorf("%q survived", left)
			}
		}
		if name != "Accept" && h.Get("Accept") != "text/html" {
			t.Error("a header that isn't the gate's was lost")
		}
		for _, c := range (&http.Request{Header: h}).Cookies() { // as an upstream in Go parses them
			if c.Name == "session" {
				t.Errorf("Cookie: %q: the session's cookie survived: %q", cookie, h["Cookie"])
			}
		}
	})
}

// mayNotPass is another implementation of FuzzStrip's set of removed names.
func mayNotPass(name string) bool {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	for _, prefix := range []string{"x-consumer-", "x-credential-", "x-authenticated-", "session-", "x-forwarded-", "x-ssl-client-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"x-mail", "x-other-mail", "remote-user", "forwarded", "proxy", "authorization"}, name)
}

// FuzzOrigin checks that an origin is the scheme and the host of each value that was sent, and that net/url parses it as the same.
func FuzzOrigin(f *testing.F) {
	for _, host := range []string{
		"app.example.com", "APP:80", "[::1]:443", "a:80:80", "a@b", "a/b", "a\\b", "a,b", "", ":80", "[::1", "a:", " a ", "a%2e",
		"[::ffff:1.2.3.4%25e]",
	} {
		f.Add("gate.example", host, "https", true)
		f.Add(host, "evil.example", "http", false)
		f.Add(host, "", "HTTPS ", true)
		f.Add("gate.example", host+", "+strings.ToUpper(host), "wss,https", true)
	}
	f.Fuzz(func(t *testing.T, host, forwardedHost, proto string, trusted bool) {
		r := &http.Request{Host: host, Header: http.Header{"X-Forwarded-Host": {forwardedHost}, "X-Forwarded-Proto": {proto}}}
		got, err := origin(r, trusted)
		if err != nil {
			return
		}
		hosts, schemes := []string{host}, []string{"http"}
		if trusted {
			hosts, schemes = strings.Split(forwardedHost, ","), strings.Split(proto, ",")
		}
		u, err := url.Parse(got + "/path")
		if err != nil || u.User != nil || u.Path != "/path" || u.Scheme+"://"+u.Host != got {
			t.Fatalf("the origin %q is parsed as %+v (%v)", got, u, err)
		}
		for _, scheme := range schemes {
			scheme = strings.ToLower(strings.TrimSpace(scheme))
			if scheme != u.Scheme && strings.Replace(scheme, "ws", "http", 1) != u.Scheme {
				t.Errorf("the origin %q has another scheme than one of %q", got, schemes)
			}
		}
		port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
		for _, sent := range hosts {
			if sent = strings.ToLower(strings.TrimSpace(sent)); u.Host != sent && u.Host+port != sent {
				t.Errorf("the origin %q has another host than one of %q", got, hosts)
			}
		}
	})
}

// FuzzForwardedFor checks that the client's address is the last one that isn't a trusted proxy's, or the first one if all are, and that an
// address which a client adds on the left changes nothing.
func FuzzForwardedFor(f *testing.F) {
	for _, list := range []string{
		"203.0.113.7", "203.0.113.7:4711, 10.0.0.2", "10.0.0.5, 203.0.113.7\n10.0.0.2", "10.0.0.3,10.0.0.2", "::ffff:10.0.0.9",
		"[::ffff:10.0.0.9]:1",
		"unknown, 10.0.0.2", "", ",", "[2001:db8::1]", "0.0.0.0", "::ffff:0.0.0.0", "10.0.0.1%x", "203.0.113.7,\n", "::a00:1",
	} {
		f.Add(list, "10.0.0.8")
	}
	e := &entrance{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, list, forged string) {
		got, err := e.forwardedFor(strings.Split(list, "\n"))
		if err != nil {
			if got.IsValid() {
				t.Errorf("%q: %v, and the client is %v", list, err, got)
			}
			return
		}
		entries := strings.Split(strings.ReplaceAll(list, "\n", ","), ",")
		for n := len(entries) - 1; n >= 0; n-- {
			a, err := parseNode(strings.Trim(entries[n], " \t"))
			if err == nil && n > 0 && e.trusts(a) {
				continue
			}
			if err != nil || a != got || a.Is4In6() {
				t.Errorf("%q: the client is %v, though entry %d is %v (%v)", list, got, n, a, err)
			}
			break
		}
		second, _ := e.forwardedFor(append([]string{forged}, strings.Split(list, "\n")...))
		if !e.trusts(got) && second != got {
			t.Errorf("%q: the client %v becomes %v with %q on the left", list, got, second, forged)
		}
	})
}

// FuzzSentPath checks that a path reaches the upstream unchanged, except for escapes of unreserved characters, the digits of escapes, the
// base path and the route's prefix, and that a login returns to the same path.
func FuzzSentPath(f *testing.F) {
	for _, s := range []string{
		"/p/a%3ab|c", "/%70/%2B%40%26+@&", "/p%2fq/%22\"", "/p//a", "/p", "/p/a;b/[id]", "/p/caf\xc3\xa9%2F", "/p/a b",
	} {
		f.Add(s, "a=%3a+b;c")
	}
	base, _ := url.Parse("http://upstream/b%2Fase/")
	route := routeFor(f, &Route{StripPath: true, Upstream: &Upstream{url: base}, Paths: []string{"/p"}})
	f.Fuzz(func(t *testing.T, path, query string) {
		target, err := parsePath(path)
		if err != nil {
			return
		}
		in := &http.Request{URL: &url.URL{RawQuery: query}}
		d := &Decision{Route: route, target: target, Request: auth.Request{Request: in, RawPath: target.raw}}
		out := &url.URL{}
		d.setURL(out)
		rest := strings.TrimPrefix(normal(path), "/p")
		if rest == normal(path) || rest != "" && rest[0] != '/' {
			rest = normal(path) // without the prefix
		}
		want := "/b%2Fase" + cmp.Or(rest, "/")
		if got := out.EscapedPath(); got != want || out.RawQuery != query {
			t.Errorf("%q?%q is sent as %q?%q, expected %q", path, query, got, out.RawQuery, want)
		}
		if back, _, _ := strings.Cut(d.Target(), "?"); back != normal(path) {
			t.Errorf("%q: a login returns to %q", path, back)
		}
	})
}

// normal is another implementation of sentSegment for whole paths.
func normal(path string) string {
	path = regexp.MustCompile("%..").ReplaceAllStringFunc(path, func(escape string) string {
		if c, _ := url.PathUnescape(escape); regexp.MustCompile(`^[A-Za-z0-9._~-]$`).MatchString(c) {
			return c
		}
		return strings.ToUpper(escape)
	})
	var b strings.Builder
	for _, c := range []byte(path) {
		if c >= 0x80 || strings.IndexByte(" \"<>^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
