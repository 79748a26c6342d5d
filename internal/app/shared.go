package app

import (
	"slices"

	"sallyport/internal/cache"
	"sallyport/internal/flow"
	"sallyport/internal/keyring"
)

// A clusterCache is the cache in Redis that replicas share for one issuer.
type clusterCache struct {
	hashKey []byte // the secret of the cache keys, which all replicas derive alike
	items   []string
	shared  cache.Shared
}

// clusterCacheItems maps the names of the caches of a client to the entries of cluster_cache_items that share them.
var clusterCacheItems = map[string]string{
	"introspection": "introspection", "tokens": "tokens", "refreshed": "tokens", "exchanged": "tokens",
}

// newClusterCache returns the cluster cache of a route, or nil if it isn't configured.
func (b *builder) newClusterCache(f *flow.Settings) (*clusterCache, error) {
	c := &f.Cluster
	if c.ClusterCacheStrategy == "off" || len(c.ClusterCacheItems) == 0 {
		return nil, nil
	}
	ring, err := keyring.New(f.Session.Secret)
	if err != nil {
		return nil, err
	}
	client, err := b.redisClient(c.ClusterCacheRedis, "shared caches")
	if err != nil {
		return nil, err
	}
	return &clusterCache{
		hashKey: ring.Derive("cache keys"), items: c.ClusterCacheItems,
		shared: cache.Shared{Client: client, Keyring: ring, Prefix: c.ClusterCacheRedis.Prefix, Log: b.log},
	}, nil
}

// sharedFor returns the shared part of the cache of a name, or nil if the cache isn't shared.
func (c *clusterCache) sharedFor(name string) *cache.Shared {
	if !slices.Contains(c.items, clusterCacheItems[name]) {
		return nil
	}
	s := c.shared
	s.Use = name
	return &s
}
