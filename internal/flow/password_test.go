package flow

import (
	"fmt"
	"testing"

	"sallyport/internal/auth"
)

// The cache of clients' credentials is bounded, and its keys depend on name and secret.
func TestKindsAreBounded(t *testing.T) {
	k := newBasicClients([]byte("the key of the keys"))
	ours := pair{name: "app", secret: "secret"}
	k.remember(ours)
	for _, other := range []pair{{name: "app", secret: "other"}, {name: "ap", secret: "psecret"}} {
		if !k.isClient(ours) || k.isClient(other) {
			t.Errorf("%s is taken for what was remembered, or that is forgotten", other.name)
		}
	}
	for n := range 3 * maxBasicClients {
		k.remember(pair{name: fmt.Sprint(n), secret: auth.Secret("secret")})
	}
	k.clients.CleanUp()
	if size := k.clients.EstimatedSize(); size > maxBasicClients {
		t.Errorf("%d are remembered, expected at most %d", size, maxBasicClients)
	}
}
