package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// FuzzStrip holds what the gate promises its upstreams: whatever a client calls a header or a cookie, no name that the gate
// speaks by survives in any spelling, and what isn't the gate's stays as it was.
func FuzzStrip(f *testing.F) {
	for _, name := range []string{"X-Consumer-Id", "x_consumer_id", "X.Forwarded.For", "Remote_User", "X-Mail", "authorization", "Accept", "X-Ro"} {
		f.Add(name, "session=1; other=2")
	}
	for _, cookie := range []string{"session", " session =1", "a=1;;session=2", "session=1;session=2", "=session", "\tsession=1", "a=\"; session=1\""} {
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
			return // net/http answers 400: a name is a token (RFC 9110 §5.1)
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
		for _, c := range (&http.Request{Header: h}).Cookies() { // as an upstream in Go reads them
			if c.Name == "session" {
				t.Errorf("Cookie: %q: the session's cookie survived: %q", cookie, h["Cookie"])
			}
		}
	})
}

// mayNotPass says in its own words which names the strip set of FuzzStrip holds.
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
	return name == "x-mail" || name == "x-other-mail" || name == "remote-user" || name == "forwarded" || name == "proxy" || name == "authorization"
}

// FuzzOrigin: an origin is a scheme and one of the hosts that were sent, which a URL parser reads as the same host.
func FuzzOrigin(f *testing.F) {
	for _, host := range []string{"app.example.com", "APP:80", "[::1]:443", "a:80:80", "a@b", "a/b", "a\\b", "a,b", "", ":80", "[::1", "a:", " a ", "a%2e", "[::ffff:1.2.3.4%25e]"} {
		f.Add("gate.example", host, "https", true)
		f.Add(host, "evil.example", "http", false)
		f.Add(host, "", "HTTPS ", true)
	}
	f.Fuzz(func(t *testing.T, host, forwardedHost, proto string, trusted bool) {
		r := &http.Request{Host: host, Header: http.Header{"X-Forwarded-Host": {forwardedHost}, "X-Forwarded-Proto": {proto}}}
		got, err := origin(r, trusted)
		if err != nil {
			return
		}
		sent, scheme := host, "http"
		if trusted {
			sent, scheme = strings.TrimSpace(forwardedHost), strings.ToLower(strings.TrimSpace(proto))
		}
		u, err := url.Parse(got + "/path")
		if err != nil || u.Scheme != scheme || u.User != nil || u.Path != "/path" || u.Scheme+"://"+u.Host != got {
			t.Fatalf("the origin %q is read as %+v (%v)", got, u, err)
		}
		port := map[string]string{"http": ":80", "https": ":443"}[scheme]
		if u.Host != strings.ToLower(sent) && u.Host+port != strings.ToLower(sent) {
			t.Errorf("the origin %q is of another host than %q", got, sent)
		}
	})
}

// FuzzForwardedFor: the client is the last address of the list that no trusted proxy has; a trusted proxy's address is the
// client's only if the list has no other, and what a client adds on the left changes nothing.
func FuzzForwardedFor(f *testing.F) {
	for _, list := range []string{
		"203.0.113.7", "203.0.113.7:4711, 10.0.0.2", "10.0.0.5, 203.0.113.7\n10.0.0.2", "10.0.0.3,10.0.0.2", "::ffff:10.0.0.9", "[::ffff:10.0.0.9]:1",
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
		if again, _ := e.forwardedFor(append([]string{forged}, strings.Split(list, "\n")...)); !e.trusts(got) && again != got {
			t.Errorf("%q: the client %v becomes %v with %q on the left", list, got, again, forged)
		}
	})
}

// FuzzSentPath holds what the gate promises for the bytes of a path, whatever is before them at the upstream: with escapes of unreserved
// characters decoded and digits in upper case, what was sent is what arrives, behind the base path and without the route's prefix, and
// so is the address to which a login returns.
func FuzzSentPath(f *testing.F) {
	for _, s := range []string{"/p/a%3ab|c", "/%70/%2B%40%26+@&", "/p%2fq/%22\"", "/p//a", "/p", "/p/a;b/[id]", "/p/caf\xc3\xa9%2F", "/p/a b"} {
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
			rest = normal(path) // not below the prefix
		}
		want := "/b%2Fase" + cmp.Or(rest, "/")
		if got := out.EscapedPath(); got != want || out.RawQuery != query {
			t.Errorf("%q?%q is sent as %q?%q, expected %q", path, query, got, out.RawQuery, want)
		}
		if back, _, _ := strings.Cut(d.Target(), "?"); back != normal(path) {
			t.Errorf("%q: a link back leads to %q", path, back)
		}
	})
}

// normal says in its own words how a path is sent.
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
