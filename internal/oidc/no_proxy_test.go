package oidc

import (
	"net/url"
	"testing"
)

// TestNoProxy checks which URLs bypass the proxy, as for curl and net/http.
func TestNoProxy(t *testing.T) {
	for _, c := range []struct {
		noProxy, address string
		direct           bool
	}{
		{"10.0.0.0/8", "https://10.1.2.3/token", true},
		{"10.0.0.0/8", "https://11.1.2.3/token", false},
		{"10.0.0.0/8", "https://[::ffff:10.1.2.3]/token", true},
		{"10.0.0.0/8", "https://ten.example.com/token", false}, // names aren't resolved
		{"fd00::/8", "https://[fd12::1]:8443/token", true},
		{"[::1]", "http://[::1]:8080/", true},
		{"::1", "http://[::1]:8080/", true},
		{"[::1]:8080", "http://[::1]:8080/", true},
		{"[::1]:8080", "http://[::1]:8081/", false},
		{"192.0.2.1", "https://192.0.2.1/", true},
		{"192.0.2.1:443", "https://192.0.2.1/", true},
		{"192.0.2.1:443", "http://192.0.2.1/", false},
		{"idp.example.com:8443", "https://idp.example.com:8443/token", true},
		{"idp.example.com:8443", "https://idp.example.com/token", false},
		{"idp.example.com:443", "https://idp.example.com/token", true},
		{"other, IDP.example.com", "https://idp.EXAMPLE.com./token", true},
		{"other idp.example.com", "https://idp.example.com/token", true},
		{".example.com", "https://idp.example.com/", true},
		{"*.example.com", "https://idp.example.com/", true},
		{"example.com", "https://idp.example.com/", true},
		{"example.com", "https://idp-example.com/", false},
		{"example.com", "https://badexample.com/", false},
		{"*", "https://idp.example.com/", true},
		{"", "https://idp.example.com/", false},
	} {
		direct, err := parseNoProxy(c.noProxy)
		if err != nil {
			t.Errorf("%s: %v", c.noProxy, err)
		}
		u, err := url.Parse(c.address)
		if err != nil {
			t.Fatal(err)
		}
		got := false
		for _, d := range direct {
			got = got || d.has(u)
		}
		if got != c.direct {
			t.Errorf("no_proxy %q, %s: past the proxy is %v", c.noProxy, c.address, got)
		}
	}
	for _, bad := range []string{
		"https://idp.example.com", "10.*", "*example.com", "10.", "192.168.", "idp.*.com", "idp.example.com:https",
		"10.0.0.0/99", "idp/x", "^idp", "idp:0",
	} {
		if CheckNoProxy(bad) == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
