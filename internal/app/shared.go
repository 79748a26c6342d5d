package app

import (
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/cache"
	"sallyport/internal/flow"
	"sallyport/internal/keyring"
	"sallyport/internal/redis"
)

// A sharing is what replicas have in common of an issuer's answers.
type sharing struct {
	hashKey []byte
	items   []string
	cache   cache.Shared
}

// sharedItems are the caches that cluster_cache_items names.
var sharedItems = map[string]string{
	"introspection": "introspection", "tokens": "tokens", "refreshed": "tokens", "exchanged": "tokens",
}

// shared returns how a route shares its issuer's answers; nil if it doesn't.
func (b *builder) shared(f *flow.Settings) (*sharing, error) {
	c := &f.Cluster
	if c.ClusterCacheStrategy == "off" || len(c.ClusterCacheItems) == 0 {
		return nil, nil
	}
	ring, err := keyring.New(f.Session.Secret)
	if err != nil {
		return nil, err
	}
	b.needsRedis(c.ClusterCacheRedis)
	key := struct {
		Settings redis.Settings
		CA, For  string
	}{c.ClusterCacheRedis, fileDigest(c.ClusterCacheRedis.CAFile), "shared caches"}
	client, k, err := b.kept.redises.get(key, func() (*goredis.Client, error) { return c.ClusterCacheRedis.New(b.log) })
	b.used[k] = true
	if err != nil {
		return nil, err
	}
	return &sharing{
		hashKey: ring.Derive("cache keys"), items: c.ClusterCacheItems,
		cache: cache.Shared{Client: client, Keyring: ring, Prefix: c.ClusterCacheRedis.Prefix, Log: b.log},
	}, nil
}

// use is the shared part of one cache; nil if it isn't shared.
func (s *sharing) use(name string) *cache.Shared {
	if !slices.Contains(s.items, sharedItems[name]) {
		return nil
	}
	c := s.cache
	c.Use = name
	return &c
}
