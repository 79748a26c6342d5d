// Package cache keeps facts that cost a call, each under the hash of all that shaped the answer, bounded in bytes and time.
// It holds no decisions: who may do what is judged on every request.
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
)

// A Key names a fact: a keyed hash, so that no cache holds a credential that somebody might read out of it or guess from it.
type Key [sha256.Size]byte

// KeyOf is the key of all that shapes an answer: an HMAC-SHA256. Parts are told apart: "a", "bc" isn't "ab", "c".
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

// Times bound how long a fact is kept. A fact's own expiry ends it sooner, whatever they say.
type Times struct {
	TTL       time.Duration // of a fact that names no expiry
	Min       time.Duration // the least, but never past a fact's own expiry
	Max       time.Duration // zero is off
	Negative  time.Duration // of a refusal
	Resurrect time.Duration // how long an expired fact may still serve while it can't be asked for anew
	Ahead     time.Duration // a fact that ends within this time is asked for anew while it still serves
}

// A Config is what a Cache is made from.
type Config[V any] struct {
	Times
	Bytes   int64            // of facts, roughly
	Size    func(V) int      // of one fact, in bytes
	Verdict func(error) bool // reports whether an error is the answer, and may be kept; others say that nobody could be asked
	Limit   time.Duration    // of one call, however many wait for it
	Away    error            // wrapped by the error of a caller that gave up, or found too many that wait; may be nil
	Now     func() time.Time // default time.Now
	Shared  *Shared          // nil: each process asks for itself
}

// A Cache answers from memory or, once for all who ask at the same time, by a call. It is safe for concurrent use.
type Cache[V any] struct {
	config  Config[V]
	facts   *otter.Cache[Key, *fact[V]]
	refused *otter.Cache[Key, *refusal]
	flight  *Flight[Key, V]
}

// A fact is what is kept.
type fact[V any] struct {
	value  V
	until  time.Time    // it serves until then
	stale  time.Time    // and, if nobody can be asked, until then
	failed atomic.Int64 // Unix nanoseconds: when it was last asked for anew in vain
}

// patience is how long nobody is asked anew for a fact after that failed: a slow issuer must not make every request wait.
const patience = 3 * time.Second

func (f *fact[V]) mayAsk(now time.Time) bool {
	return now.UnixNano()-f.failed.Load() >= int64(patience)
}

// claims reports whether the caller is the one who asks for the fact anew: of all who come at the same time, one.
func (f *fact[V]) claims(now time.Time) bool {
	last := f.failed.Load()
	return now.UnixNano()-last >= int64(patience) && f.failed.CompareAndSwap(last, now.UnixNano())
}

type refusal struct {
	err   error
	until time.Time
}

// maxRefusals bounds what strangers can make a cache remember of their bad credentials. They have a room of their own, so
// that they push out nobody's good ones.
const maxRefusals = 20_000

// New returns an empty cache.
func New[V any](c Config[V]) *Cache[V] {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Cache[V]{
		config: c,
		flight: NewFlight[Key, V](c.Limit),
		facts: otter.Must(&otter.Options[Key, *fact[V]]{
			MaximumWeight: uint64(c.Bytes),
			Weigher:       func(_ Key, f *fact[V]) uint32 { return uint32(c.Size(f.value)) + 256 },
			ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, *fact[V]]) time.Duration {
				return max(e.Value.stale.Sub(c.Now()), time.Millisecond)
			}),
		}),
		refused: otter.Must(&otter.Options[Key, *refusal]{
			MaximumSize:      maxRefusals,
			ExpiryCalculator: otter.ExpiryWriting[Key, *refusal](max(c.Negative, time.Millisecond)),
		}),
	}
}

// A Load asks for a fact. It returns when the fact expires, or zero if it doesn't say.
type Load[V any] func(context.Context) (v V, expires time.Time, err error)

// Get returns the fact of a key: the kept one, or what load says. Its error is load's.
func (c *Cache[V]) Get(ctx context.Context, k Key, load Load[V]) (V, error) {
	now := c.config.Now()
	f, found := c.facts.GetIfPresent(k)
	switch {
	case found && now.Before(f.until):
		if c.config.Ahead > 0 && now.Add(c.config.Ahead).After(f.until) && f.claims(now) {
			go c.ask(context.WithoutCancel(ctx), k, load) // nobody waits: the kept one serves
		}
		return f.value, nil
	case found && now.Before(f.stale) && !f.mayAsk(now):
		return f.value, nil
	}
	if r, ok := c.refused.GetIfPresent(k); ok && now.Before(r.until) {
		var none V
		return none, r.err
	}
	v, err := c.ask(ctx, k, load)
	if err != nil && found && now.Before(f.stale) && !c.config.Verdict(err) {
		f.failed.Store(now.UnixNano())
		return f.value, nil
	}
	return v, err
}

// Peek returns a kept fact, and asks nobody.
func (c *Cache[V]) Peek(k Key) (v V, ok bool) {
	f, found := c.facts.GetIfPresent(k)
	if !found || !c.config.Now().Before(f.until) {
		return v, false
	}
	return f.value, true
}

// Forget drops a fact and a refusal.
func (c *Cache[V]) Forget(k Key) {
	c.facts.Invalidate(k)
	c.refused.Invalidate(k)
}

// ask loads once for all callers.
func (c *Cache[V]) ask(ctx context.Context, k Key, load Load[V]) (V, error) {
	v, err := c.flight.Do(ctx, k, func(ctx context.Context) (V, error) { return c.load(ctx, k, load) })
	if c.config.Away != nil && (errors.Is(err, ErrCrowd) || err != nil && ctx.Err() != nil) {
		err = fmt.Errorf("%w: %w", c.config.Away, err)
	}
	return v, err
}

// load reads the fact from the shared cache, or calls load. The time at which a fact was learnt goes along with it: a copy
// never serves for longer than the original.
func (c *Cache[V]) load(ctx context.Context, k Key, load Load[V]) (V, error) {
	var v V
	if c.config.Shared != nil {
		if expires, age, ok := c.config.Shared.get(ctx, k, &v); ok && c.keep(k, v, c.config.Now().Add(-age), expires) {
			return v, nil
		}
	}
	asked := c.config.Now() // what is answered may change as soon as it is sent
	v, expires, err := load(ctx)
	switch {
	case err == nil:
		if c.keep(k, v, asked, expires) && c.config.Shared != nil {
			c.config.Shared.put(ctx, k, v, expires, c.ttl(expires, asked), c.config.Now().Sub(asked))
		}
	case c.config.Verdict(err):
		c.facts.Invalidate(k)
		if c.config.Negative > 0 {
			c.refused.Set(k, &refusal{err, c.config.Now().Add(c.config.Negative)})
		}
	}
	return v, err
}

// keep stores a fact that was learnt at a time, and reports whether it still serves.
func (c *Cache[V]) keep(k Key, v V, learnt, expires time.Time) bool {
	until := learnt.Add(c.ttl(expires, learnt))
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
	c.refused.Invalidate(k)
	c.facts.Set(k, &fact[V]{value: v, until: until, stale: stale})
	return true
}

// ttl clamps the lifetime of a fact that was learnt now. Its expiry is never passed.
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
