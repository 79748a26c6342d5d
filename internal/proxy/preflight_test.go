package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestOnlyPreflight checks that a preflight without authentication loses its body and all headers that a browser doesn't send with one.
func TestOnlyPreflight(t *testing.T) {
	out := httptest.NewRequest("OPTIONS", "/", strings.NewReader("a body"))
	out.Header = http.Header{
		"Origin": {"https://a.example.com"}, "Access-Control-Request-Method": {"PUT"}, "Sec-Fetch-Mode": {"cors"},
		"Authorization": {"Bearer x"}, "Cookie": {"a=b"}, "X-Api-Key": {"x"}, "Content-Type": {"application/json"},
		"Transfer-Encoding": {"chunked"},
		"Connection":        {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {"bearer.x"},
		"Access-Control-Request-Token": {"x"},
		"X-Http-Method-Override":       {"DELETE"}, "Te": {"trailers"},
	}
	out.URL.RawQuery = "a=1&access_token=x"
	onlyPreflight(out, []string{"access_token"})
	if out.URL.RawQuery != "a=1" {
		t.Errorf("the query %q is left", out.URL.RawQuery)
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Content-Type", "Transfer-Encoding",
		"Connection", "Sec-Websocket-Protocol"} {
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

func TestQueryWithoutCredentials(t *testing.T) {
	names := []string{"access_token", "x_refresh"}
	for query, want := range map[string]string{
		"": "", "a=1&b=%zz&&c": "a=1&b=%zz&&c", "access_tokens=1&my_access_token=2": "access_tokens=1&my_access_token=2",
		"access_token=x": "", "a=1&access_token=x&b=2": "a=1&b=2", "access%5Ftoken=x&a": "a", "ACCESS_TOKEN=x&a": "a",
		"access.token=x&a":  "a",
		"+access_token=x&a": "a", "access_token%00z=x&a": "a", "access_token[]=x&a": "a",
		"b=1;access_token=x&a": "a", "access_token=x&access_token=y": "",
		"x_refresh=1&a=access_token": "a=access_token", "X-Refresh=1": "",
	} {
		if got := withoutCredentials(query, names); got != want {
			t.Errorf("?%s: ?%s is left, expected ?%s", query, got, want)
		}
	}
}
