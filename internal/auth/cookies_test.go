package auth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCookiesAreBounded checks that a request with thousands of cookies, which HTTP/2 sends in a few bytes, is refused, however they are
// spread over header lines.
func TestCookiesAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		cookies []string
		refused bool
	}{
		"none":                    {nil, false},
		"as many as may be":       {[]string{strings.Repeat("a=b; ", maxCookies-1) + "a=b"}, false},
		"one more":                {[]string{strings.Repeat("a=b; ", maxCookies) + "a=b"}, true},
		"one more, a line each":   {strings.Split(strings.Repeat("a=b;", maxCookies+1), ";")[:maxCookies+1], true},
		"many more than Go reads": {[]string{strings.Repeat("a=b;", 20_000)}, true},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Cookie"] = c.cookies
		err := (&Request{Request: r}).CheckCookies()
		if (err != nil) != c.refused || err != nil && AsError(err).Status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}
