package proxy

import (
	"net/url"
	"testing"
)

func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		in, path, raw string
		ambiguities   ambiguity
	}{
		{"/", "/", "/", 0},
		{"/a/b", "/a/b", "/a/b", 0},
		{"/a/", "/a/", "/a/", 0},
		{"/a%20b", "/a b", "/a%20b", 0},
		{"/%61dmin", "/admin", "/admin", 0},
		{"/caf%c3%a9", "/café", "/caf%C3%A9", 0},
		{"/a+b=c,d@e:f", "/a+b=c,d@e:f", "/a+b=c,d@e:f", 0},
		{"/.well-known/x", "/.well-known/x", "/.well-known/x", 0},
		{"/...", "/...", "/...", 0},
		{"/a%2Fb", "/a/b", "/a%2Fb", encodedSlash},
		{"/a%2fb", "/a/b", "/a%2Fb", encodedSlash},
		{"//a", "//a", "//a", doubleSlash},
		{"/a//b", "/a//b", "/a//b", doubleSlash},
		{"/a%2F/b", "/a//b", "/a%2F/b", encodedSlash | doubleSlash},
		{"/a;v=1/b", "/a;v=1/b", "/a;v=1/b", semicolon},
		{"/a%3bv", "/a;v", "/a%3Bv", semicolon},
		{"/a%3A%2B%40%26%3d%24%21b", "/a:+@&=$!b", "/a%3A%2B%40%26%3D%24%21b", 0}, // isn't equivalent to a:+@&=$!b (RFC 3986 §2.2)
		{"/%7Euser/%2D%5f%2E", "/~user/-_.", "/~user/-_.", 0},
		{"/[a]|b", "/[a]|b", "/[a]%7Cb", 0},
		{"/100%25", "/100%", "/100%25", 0},
	} {
		got, err := parsePath(c.in)
		if want := (target{c.path, c.raw, c.ambiguities}); err != nil || got != want {
			t.Errorf("parsePath(%q) = %+v, %v, expected %+v", c.in, got, err, want)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for _, in := range []string{
		"", "a", "*", "/.", "/..", "/a/../b", "/a/./b", "/%2e%2e/b", "/%2E./b", "/.%2e/b", "/a/..;x/b", "/a/%2e%2e%3bx/b", "/a%2F..%2Fb",
		"/a\\b", "/a%5Cb", "/a%5cb", "/a%00b", "/a%0Ab", "/a%7f", "/a%", "/a%2", "/a%zz", "/a#b", "/a%2523", "/a%252Fb", "/%252e%252e/b",
		"/%2561dmin",
		"/%c0%ae%c0%ae/admin", "/a%c0%afb", "/%e0%80%af", "/a%ed%a0%80", "/a%ff", "/a\xffb", "/a%c3/b", "/%f4%90%80%80",
	} {
		if got, err := parsePath(in); err == nil {
			t.Errorf("parsePath(%q) = %+v, expected an error", in, got)
		}
	}
}

// FuzzParsePath checks that the raw path decodes to the path, and that parsing the raw path returns the same target.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/", "/a%2Fb", "/a;b//c", "/%2e%2e", "/caf%c3%a9/", "//", "/a%25"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		first, err := parsePath(in)
		if err != nil {
			return
		}
		second, err := parsePath(first.raw)
		if err != nil || second != first {
			t.Errorf("parsePath(%q) = %+v, and of its raw path %+v, %v", in, first, second, err)
		}
		if sent, err := url.PathUnescape(first.raw); err != nil || sent != first.path {
			t.Errorf("parsePath(%q): the path is %q, and the raw path decodes to %q, %v", in, first.path, sent, err)
		}
	})
}

func BenchmarkParsePath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parsePath("/api/v1/users/42/orders")
	}
}
