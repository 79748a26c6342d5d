package flow

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// FuzzReturn: after a login the browser returns to the same origin, and the URL of the page no longer holds the credential
// of its query.
func FuzzReturn(f *testing.F) {
	for _, seed := range []string{
		"/", "/a?b=c&token=t", "//evil.example", "/\\evil.example", "/\t/evil.example", "/%09/evil.example",
		"/%5Cevil.example", "///evil.example/%2e%2e", "/.//evil.example",
		"/a?\\\\evil.example", "/a?%74oken=1", "/@evil.example", "/;@evil.example", "http://evil.example/",
		"http:evil.example", "/\r\nSet-Cookie: a=b", "/a%zz", "/a#b", "*", "/\x85",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		staysOnOrigin(t, target)
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return // net/http answers 400
		}
		r := &auth.Request{Request: httptest.NewRequest(http.MethodGet, "/", nil), Origin: "https://app.example"}
		r.URL = u
		l := newLogin(r, []string{"token"}, "app", nil, time.Unix(0, 0))
		if !safeReturn(l.Return) {
			t.Errorf("%q: the login returns to %q", target, l.Return)
		}
		_, query, _ := strings.Cut(l.Return, "?")
		if values, _ := url.ParseQuery(query); values.Has("token") {
			t.Errorf("%q: the token is in %q", target, l.Return)
		}
		staysOnOrigin(t, l.Return)
		encoded, err := l.encode()
		if err != nil {
			t.Fatal(err)
		}
		if decoded, err := decodeLogin(encoded); len(target) < maxLogin/2 && (err != nil || !reflect.DeepEqual(decoded, l)) {
			t.Errorf("%q: the login is read as %+v (%v)", target, decoded, err)
		}
	})
}

// staysOnOrigin checks that a return address which safeReturn accepts leads a browser to no other origin, neither appended
// to the origin nor alone. Browsers drop tabs and line ends anywhere, drop control characters and spaces at the ends, and
// read \ as / (WHATWG URL §4.4).
func staysOnOrigin(t *testing.T, back string) {
	if !safeReturn(back) {
		return
	}
	base := &url.URL{Scheme: "https", Host: "app.example"}
	for _, location := range []string{base.String() + back, back} {
		location = strings.NewReplacer("\t", "", "\r", "", "\n", "", "\\", "/").Replace(location)
		location, _, _ = strings.Cut(strings.TrimFunc(location, func(r rune) bool { return r <= ' ' }), "?")
		reads := strings.Map(func(r rune) rune { // characters that browsers escape, and net/url refuses
			if r <= ' ' || r == 0x7f || r == '%' {
				return 'x'
			}
			return r
		}, location)
		if u, err := base.Parse(reads); err != nil || u.Host != base.Host || u.Scheme != base.Scheme || u.User != nil {
			t.Errorf("%q is safe, and leads to %v (%v)", back, u, err)
		}
	}
}
