package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestOnlyPreflight: a preflight that nobody has judged is sent without a body and without what a browser doesn't send with one.
func TestOnlyPreflight(t *testing.T) {
	out := httptest.NewRequest("OPTIONS", "/", strings.NewReader("a body"))
	out.Header = http.Header{
		"Origin": {"https://a.example.com"}, "Access-Control-Request-Method": {"PUT"}, "Sec-Fetch-Mode": {"cors"},
		"Authorization": {"Bearer x"}, "Cookie": {"a=b"}, "X-Api-Key": {"x"}, "Content-Type": {"application/json"}, "Transfer-Encoding": {"chunked"},
	}
	onlyPreflight(out)
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Content-Type", "Transfer-Encoding"} {
		if out.Header[name] != nil {
			t.Errorf("%s is left", name)
		}
	}
	if len(out.Header) != 3 {
		t.Errorf("%v is left, expected Origin, Access-Control-Request-Method and Sec-Fetch-Mode", out.Header)
	}
	if body, _ := io.ReadAll(out.Body); len(body) != 0 || out.ContentLength != 0 {
		t.Errorf("a body of %d bytes is left, with Content-Length %d", len(body), out.ContentLength)
	}
}
