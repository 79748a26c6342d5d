package forwardauth

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
)

// TestRequest checks which request the gate decides: the one of the question, with the client's headers but without those that describe
// another request.
func TestRequest(t *testing.T) {
	r := httptest.NewRequest("GET", "/ask", nil)
	r.RemoteAddr = "127.0.0.1:9"
	q := &question{method: "POST", scheme: "https", host: "app.example.com", uri: "/a%2Fb?x=1", client: []string{"203.0.113.7"}}
	q.header = http.Header{
		"Authorization": {"Bearer x"}, "Connection": {"close"}, "Content-Length": {"7"}, "Forwarded": {"for=1.2.3.4"},
		"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Prefix": {"/p"}, "X-Original-Url": {"/open"}, "Sec-Websocket-Key": {"x"},
	}
	got, err := q.request(r)
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Authorization": {"Bearer x"}, "Sec-Websocket-Key": {"x"}, "Upgrade": {"websocket"},
		"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Host": {"app.example.com"}, "X-Forwarded-Proto": {"https"},
	}
	if !reflect.DeepEqual(got.Header, want) {
		t.Errorf("the header is %v, expected %v", got.Header, want)
	}
	if got.Method != "POST" || got.Host != "app.example.com" || got.RequestURI != "/a%2Fb?x=1" || got.URL.RawQuery != "x=1" ||
		got.RemoteAddr != r.RemoteAddr || got.TLS != nil || got.Body != http.NoBody {
		t.Errorf("the request is %+v", got)
	}
	for _, uri := range []string{"", "*", "api", "http://app.example.com/api", "?x"} {
		q.uri = uri
		if got, err := q.request(r); err == nil {
			t.Errorf("the target %q is %q", uri, got.RequestURI)
		}
	}
}
