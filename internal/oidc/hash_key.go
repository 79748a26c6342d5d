package oidc

import "sallyport/internal/cache"

// hashKey returns the secret with which a client hashes its cache keys. It is derived from all settings, because they shape requests and
// the verification of responses: clients with other settings never get this client's responses, also from a cache that they share. It is
// the same in every process.
func hashKey(c ClientConfig) []byte {
	key := cache.KeyOfSettings(c.HashKey, c.Settings)
	return key[:]
}
