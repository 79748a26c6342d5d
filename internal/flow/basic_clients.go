package flow

import (
	"time"

	"github.com/maypok86/otter/v2"

	"sallyport/internal/cache"
)

// basicClients cache which Basic credentials are a client's, on routes where they could be a user's too. Without the cache
// each request of a client would cause a password grant for a user of that name, which could lock out the user.
type basicClients struct {
	secret  []byte // the key of the hashes that are cache keys
	clients *otter.Cache[cache.Key, struct{}]
}

const (
	maxBasicClients = 10_000
	basicClientsFor = 24 * time.Hour
)

func newBasicClients(secret []byte) *basicClients {
	return &basicClients{secret, otter.Must(&otter.Options[cache.Key, struct{}]{
		MaximumSize: maxBasicClients, ExpiryCalculator: otter.ExpiryAccessing[cache.Key, struct{}](basicClientsFor),
	})}
}

func (k *basicClients) remember(p pair) {
	if k != nil {
		k.clients.Set(k.key(p), struct{}{})
	}
}

func (k *basicClients) isClient(p pair) bool {
	if k == nil {
		return false
	}
	_, known := k.clients.GetIfPresent(k.key(p))
	return known
}

func (k *basicClients) key(p pair) cache.Key { return cache.KeyOf(k.secret, p.name, string(p.secret)) }
