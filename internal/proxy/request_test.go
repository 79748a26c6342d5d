package proxy

import "testing"

// What can be read as two hosts is none: the route of one must not take requests for the other.
func TestHosts(t *testing.T) {
	for host, name := range map[string]string{
		"app.example.com": "app.example.com", "app.example.com.": "app.example.com", "app.example.com:8443": "app.example.com",
		"a_b.test": "a_b.test", "127.0.0.1:80": "127.0.0.1", "[::1]": "::1", "[2001:db8::1]:8443": "2001:db8::1", "localhost:": "localhost",
	} {
		if !validHost(host) || hostname("http://"+host) != name {
			t.Errorf("%q: valid is %v, and its name %q, expected %q", host, validHost(host), hostname("http://"+host), name)
		}
	}
	for _, host := range []string{
		"", ":80", "app.example.com:evil.example.com", "app.example.com:80:80", "xapp.example.com]", "[app.example.com]", "[app.example.com",
		"[::1", "[::1]x", "[::1].example.com", "[::1]:x", "[127.0.0.1]", "[fe80::1%25eth0]", "::1", "a[b]", "a@b", "a b", "a/b", "a,b", "a;b", "A",
	} {
		if validHost(host) {
			t.Errorf("%q is taken for a host: %q", host, hostname("http://"+host))
		}
	}
}
