// Package cache caches values that cost a call to another server. Each is stored under a keyed hash of everything that shaped
// it, for a bounded time, in bounded memory. A cache never stores decisions: a policy judges every request.
//
// The package also has the parts that such caches are made of: Flight shares one call among concurrent callers, Shared is the
// part of a cache that replicas have in common, and ExpiringMap is a bounded map of entries with deadlines.
package cache

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"sallyport/internal/telemetry"
)

// A Key names a cached value. It is a keyed hash, so a dump of the cache reveals no credential, and a weak one can't be guessed
// from it.
type Key [sha256.Size]byte

// KeyOf returns the key of a value that parts determine: an HMAC-SHA256. Each part is hashed with its length: "a", "bc" and
// "ab", "c" have different keys.
func KeyOf(secret []byte, parts ...string) Key {
	size := 0
	for _, part := range parts {
		size += 8 + len(part)
	}
	all := make([]byte, 0, size)
	for _, part := range parts {
		all = binary.BigEndian.AppendUint64(all, uint64(len(part)))
		all = append(all, part...)
	}
	h := hmac.New(sha256.New, secret)
	h.Write(all)
	return Key(h.Sum(nil))
}

// Times bound how long a value is cached. A value is never used after its own expiry.
type Times struct {
	TTL       time.Duration // of a value without an expiry
	Min       time.Duration // the shortest lifetime; a value's own expiry still ends it sooner
	Max       time.Duration // the longest lifetime; zero means no limit
	Negative  time.Duration // of a negative answer, which is an error that Config.Verdict accepts
	Resurrect time.Duration // how long a value is used after its lifetime while it can't be loaded again
	Ahead     time.Duration // a value whose lifetime ends within this time is loaded again in the background
}

// A Config configures a Cache.
type Config[V any] struct {
	Times
	Bytes   int64            // of all values, approximately
	Size    func(V) int      // of one value, in bytes
	Verdict func(error) bool // reports whether an error is an answer, and may be cached; any other error is an outage
	Limit   time.Duration    // of one call, however many callers wait for it
	Away    error            // wrapped by the error of a caller whose context ends, or that finds too many waiting; may be nil
	Now     func() time.Time // default time.Now
	Metrics *telemetry.Cache // nil: look-ups aren't counted
	Shared  *Shared          // nil: each process loads its own values
}

// A Cache answers from memory, or by one call for all concurrent callers. It is safe for concurrent use.
type Cache[V any] struct {
	config   Config[V]
	entries  *otter.Cache[Key, *entry[V]]
	negative *otter.Cache[Key, *negativeEntry]
	flight   *Flight[Key, V]
}

// An entry is a cached value.
type entry[V any] struct {
	value  V
	until  time.Time    // the end of its lifetime
	stale  time.Time    // until when it is used during an outage
	failed atomic.Int64 // Unix nanoseconds: the last attempt to load it again that failed or is still running
}

// retryAfter is the pause after a failed attempt to load an entry again. A slow server must not delay every request.
const retryAfter = 3 * time.Second

func (e *entry[V]) mayLoad(now time.Time) bool {
	return now.UnixNano()-e.failed.Load() >= int64(retryAfter)
}

// claimLoad reports whether the caller is the one that loads the entry again, of all that ask at the same time.
func (e *entry[V]) claimLoad(now time.Time) bool {
	last := e.failed.Load()
	return now.UnixNano()-last >= int64(retryAfter) && e.failed.CompareAndSwap(last, now.UnixNano())
}

// A negativeEntry is a cached error.
type negativeEntry struct {
	err   error
	until time.Time
}

// maxNegative bounds the negative answers, which any client can cause. They have a cache of their own, so that they never
// evict values.
const maxNegative = 20_000

// New returns an empty cache.
func New[V any](c Config[V]) *Cache[V] {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Cache[V]{
		config: c,
		flight: NewFlight[Key, V](c.Limit),
		entries: otter.Must(&otter.Options[Key, *entry[V]]{
			MaximumWeight: uint64(c.Bytes),
			Weigher:       func(_ Key, e *entry[V]) uint32 { return uint32(c.Size(e.value)) + 256 },
			ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, *entry[V]]) time.Duration {
				return max(e.Value.stale.Sub(c.Now()), time.Millisecond)
			}),
		}),
		negative: otter.Must(&otter.Options[Key, *negativeEntry]{
			MaximumSize:      maxNegative,
			ExpiryCalculator: otter.ExpiryWriting[Key, *negativeEntry](max(c.Negative, time.Millisecond)),
		}),
	}
}

// A Load loads a value. It returns when the value expires, or the zero time if the value has no expiry.
type Load[V any] func(context.Context) (v V, expires time.Time, err error)

// Get returns the value of a key: the cached one, or the result of load. The error is load's, or wraps Config.Away.
func (c *Cache[V]) Get(ctx context.Context, k Key, load Load[V]) (V, error) {
	now := c.config.Now()
	e, found := c.entries.GetIfPresent(k)
	switch {
	case found && now.Before(e.until):
		c.config.Metrics.Found(true)
		if c.config.Ahead > 0 && now.Add(c.config.Ahead).After(e.until) && e.claimLoad(now) {
			go c.call(context.WithoutCancel(ctx), k, load) // in the background: the cached value is still good
		}
		return e.value, nil
	case found && now.Before(e.stale) && !e.mayLoad(now):
		c.config.Metrics.Found(true)
		return e.value, nil
	}
	if n, ok := c.negative.GetIfPresent(k); ok && now.Before(n.until) {
		c.config.Metrics.Found(true)
		var zero V
		return zero, n.err
	}
	c.config.Metrics.Found(false)
	v, err := c.call(ctx, k, load)
	if err != nil && found && now.Before(e.stale) && !c.config.Verdict(err) {
		e.failed.Store(now.UnixNano())
		return e.value, nil
	}
	return v, err
}

// Peek returns the cached value of a key. It never calls a server.
func (c *Cache[V]) Peek(k Key) (v V, ok bool) {
	e, found := c.entries.GetIfPresent(k)
	if !found || !c.config.Now().Before(e.until) {
		return v, false
	}
	return e.value, true
}

// Forget removes the value and the negative answer of a key.
func (c *Cache[V]) Forget(k Key) {
	c.entries.Invalidate(k)
	c.negative.Invalidate(k)
}

// call loads a value once for all concurrent callers.
func (c *Cache[V]) call(ctx context.Context, k Key, load Load[V]) (V, error) {
	v, err := c.flight.Do(ctx, k, func(ctx context.Context) (V, error) { return c.load(ctx, k, load) })
	if c.config.Away != nil && (errors.Is(err, ErrCrowd) || err != nil && ctx.Err() != nil) {
		err = fmt.Errorf("%w: %w", c.config.Away, err)
	}
	return v, err
}

// load reads the value from the shared cache, or calls load. A copy from the shared cache keeps the age of the original, so
// that it is never used for longer.
func (c *Cache[V]) load(ctx context.Context, k Key, load Load[V]) (V, error) {
	var v V
	if c.config.Shared != nil {
		if expires, age, ok := c.config.Shared.get(ctx, k, &v); ok && c.store(k, v, c.config.Now().Add(-age), expires) {
			return v, nil
		}
	}
	asked := c.config.Now() // the lifetime begins before the call: the answer may change as soon as the server has sent it
	v, expires, err := load(ctx)
	switch {
	case err == nil:
		if c.store(k, v, asked, expires) && c.config.Shared != nil {
			c.config.Shared.put(ctx, k, v, expires, c.ttl(expires, asked), c.config.Now().Sub(asked))
		}
	case c.config.Verdict(err):
		c.entries.Invalidate(k)
		if c.config.Negative > 0 {
			c.negative.Set(k, &negativeEntry{err, c.config.Now().Add(c.config.Negative)})
		}
	}
	return v, err
}

// store caches a value that was loaded at the given time. It reports whether the value's lifetime has not ended yet.
func (c *Cache[V]) store(k Key, v V, loaded, expires time.Time) bool {
	until := loaded.Add(c.ttl(expires, loaded))
	if !until.After(c.config.Now()) {
		return false
	}
	stale := until.Add(c.config.Resurrect)
	if !expires.IsZero() && stale.After(expires) {
		stale = until
		if expires.After(until) {
			stale = expires
		}
	}
	c.negative.Invalidate(k)
	c.entries.Set(k, &entry[V]{value: v, until: until, stale: stale})
	return true
}

// ttl returns the lifetime of a value that is loaded now. It never exceeds the value's expiry.
func (c *Cache[V]) ttl(expires, now time.Time) time.Duration {
	t := c.config.Times
	ttl := t.TTL
	if !expires.IsZero() {
		ttl = expires.Sub(now)
	}
	ttl = max(ttl, t.Min)
	if t.Max > 0 {
		ttl = min(ttl, t.Max)
	}
	if !expires.IsZero() {
		ttl = min(ttl, expires.Sub(now))
	}
	return ttl
}
