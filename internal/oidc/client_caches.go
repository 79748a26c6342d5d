package oidc

import (
	"context"
	"errors"
	"slices"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
)

const (
	responseCacheBytes = 32 << 20 // of each cache of a client, roughly
	renewAhead         = 10 * time.Second

	// maxRevocable is how long a response about a token that can be revoked is cached, unless cache_ttl_max says otherwise.
	maxRevocable = time.Minute
)

// clientCaches hold the responses that the issuer sent to a client. A nil cache is switched off.
type clientCaches struct {
	introspected *cache.Cache[*Introspection]
	userinfo     *cache.Cache[*Userinfo]
	tokens       *cache.Cache[*TokenResponse]
	refreshed    *cache.Cache[*TokenResponse] // without renewal ahead of time: a refresh token may be used once
	exchanged    *cache.Cache[*TokenResponse] // of token_exchange
	replaced     *cache.Cache[*TokenResponse] // of token_exchange_endpoint
	distributed  *cache.Cache[auth.Claims]    // of claim sources
}

func newClientCaches(config ClientConfig) (c clientCaches) {
	s := config.CacheSettings
	times := cache.Times{TTL: s.CacheTTL, Min: s.CacheTTLMin, Max: s.CacheTTLMax, Negative: s.CacheTTLNeg, Resurrect: s.CacheTTLResurrect}
	revocable := times
	if revocable.Max == 0 {
		revocable.Max = maxRevocable
	}
	shared := func(use string) *cache.Shared {
		if config.Shared == nil {
			return nil
		}
		return config.Shared(use)
	}
	if s.CacheIntrospection {
		c.introspected = newResponseCache(config, "introspection", revocable, shared("introspection"), (*Introspection).size, ErrInactive)
	}
	if s.CacheUserInfo {
		c.userinfo = newResponseCache(config, "userinfo", revocable, shared("userinfo"), (*Userinfo).size, ErrInactive)
	}
	c.distributed = newResponseCache(config, "distributed_claims", revocable, nil, func(auth.Claims) int { return 2048 }, ErrRefused)
	exchangeTimes := times
	if x := config.TokenExchange; x != nil && x.Cache.Enabled {
		exchangeTimes = x.Cache.times(times)
		c.exchanged = newResponseCache(config, "exchanged", exchangeTimes, shared("exchanged"), (*TokenResponse).size, ErrRefused)
	}
	if config.CacheTokenExchange {
		c.replaced = newResponseCache(config, "exchange_endpoint", exchangeTimes, nil, (*TokenResponse).size, ErrRefused)
	}
	if s.CacheTokens {
		c.refreshed = newResponseCache(config, "refreshed", times, shared("refreshed"), (*TokenResponse).size, ErrRefused)
		times.Ahead = renewAhead
		c.tokens = newResponseCache(config, "tokens", times, shared("tokens"), (*TokenResponse).size, ErrRefused)
	}
	return c
}

// newResponseCache returns a cache of responses, whose name is for the metrics. An error that wraps refusal is a response, too, and cached.
func newResponseCache[V any](
	c ClientConfig, name string, t cache.Times, shared *cache.Shared, size func(V) int, refusal error,
) *cache.Cache[V] {
	return cache.New(cache.Config[V]{
		Times: t, Bytes: responseCacheBytes, Size: size, Limit: 2*c.Issuer.settings.Timeout + time.Second,
		Now: c.Issuer.now, Shared: shared, Metrics: c.Issuer.caches.Cache(name),
		Away: ErrUnavailable, Verdict: func(err error) bool { return errors.Is(err, refusal) },
	})
}

// cached returns a response from a cache, or loads it, once for all callers that wait for the same. A nil cache has nothing.
func cached[V any](
	ctx context.Context, responses *cache.Cache[V], key cache.Key, load func(context.Context) (V, time.Time, error),
) (V, error) {
	if responses == nil {
		v, _, err := load(ctx)
		return v, err
	}
	return responses.Get(ctx, key, load)
}

// cacheKey returns the key of a response in this client's caches: a hash of all that shapes the response. The hash is keyed, because a
// credential that a user chose could be guessed from a plain one.
func (c *Client) cacheKey(parts []string, extra Extra) cache.Key {
	own := []string{c.issuer.url, c.ID, string(c.settings.CacheTokensSalt)}
	return cache.KeyOf(c.hashKey, slices.Concat(own, parts, extra.keyParts())...)
}
