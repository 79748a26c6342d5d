package proxy

import (
	"net/http"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// TestSetsItself checks that SetsItself is true for every header that the gate itself sets, in any spelling.
func TestSetsItself(t *testing.T) {
	h := http.Header{}
	setBuiltInToken(h, &auth.Identity{
		BuiltIn: true, Tokens: auth.Tokens{Scope: "read"}, Introspection: auth.Claims{"authenticated_userid": "john"},
	})
	setGrant(h, &authz.Grant{
		Credential: "john", Groups: []string{"staff"}, ConsumerGroups: []string{"gold"}, Anonymous: true,
		Consumer: &authz.Consumer{ID: "1", CustomID: "2", Username: "john"},
	})
	(&Decision{Request: auth.Request{Origin: "http://app.example.com"}, Route: &route{Route: &Route{}}, prefix: "/app"}).setForwarded(h)
	if len(h) != 14 {
		t.Errorf("expected 14 headers, got %d: %v", len(h), h)
	}
	for name := range h {
		if !SetsItself(name) {
			t.Errorf("the gate sets %s, and SetsItself is false", name)
		}
	}
	for name, want := range map[string]bool{
		"x_consumer.id": true, "X-CONSUMER-ANYTHING": true, "x.forwarded.for": true, "X-Forwarded-User": false, "X-Consumer": false,
		"Remote-User": false,
	} {
		if SetsItself(name) != want {
			t.Errorf("%s: expected %v", name, want)
		}
	}
}
