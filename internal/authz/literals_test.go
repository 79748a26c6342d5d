package authz

import (
	"strings"
	"testing"
)

// TestLiterals checks that a comparison of a field of the request with a string that it can never be equal to is an error.
func TestLiterals(t *testing.T) {
	for text, want := range map[string]string{
		`request.client_ip == "10.0.0.0/8"`:                        `startsWith("10.")`,
		`request.client_ip != "10.*"`:                              `"10.*" is none`,
		`!(request.client_ip in ["10.0.0.1", "192.168.0.0/16"])`:   `"192.168.0.0/16" is none`,
		`"10.0.0.1:80" == request.client_ip`:                       `"10.0.0.1:80" is none`,
		`request.client_ip == "2001:DB8::1"`:                       `"2001:db8::1"`,
		`claims.sub == "x" || request.path == "/admin/*"`:          `request.path.startsWith`,
		`request.path.startsWith("^/admin")`:                       `request.path.matches`,
		`request.path in ["/a", "/users/{id}"]`:                    `"/users/{id}" as it stands`,
		`request.path == "admin"`:                                  `begins with a slash`,
		`request.method == "get"`:                                  `"GET"`,
		`request.method in ["GET", "Post"]`:                        `"POST"`,
		`request.scheme == "https://"`:                             `http or https`,
		`request.client_ip == "10.0.0.1"`:                          ``,
		`request.client_ip.startsWith("10.")`:                      ``,
		`request.client_ip in ["10.0.0.1", "::1"]`:                 ``,
		`request.path == "/admin" || request.path.endsWith(".js")`: ``,
		`request.path.matches("^/admin/.+$")`:                      ``,
		`request.method in ["GET", "HEAD"]`:                        ``,
		`claims.path == "/admin/*"`:                                ``,
		`request.scheme == "https"`:                                ``,
	} {
		err := CheckAllow(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
}
