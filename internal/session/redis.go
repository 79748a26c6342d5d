package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/keyring"
	"sallyport/internal/redis"
)

// A redisStore stores sealed records in one Redis server, 6.2 or later. It caches each decoded entry together with its record. A
// request costs one GET, and a record that is unchanged is neither decrypted nor parsed again. For a short time after a GET, requests use
// the cached entry without asking Redis: see nearCache.
type redisStore struct {
	client   *redis.Client
	prefix   string
	timeouts timeouts
	keyring  *keyring.Keyring
	now      func() time.Time
	log      *slog.Logger
	decoded  *otter.Cache[ID, *cachedEntry]
	notes    atomic.Bool // keepNote stores notes
	near     *nearCache
	watchers watchers[string] // by digest

	subscribed sync.Once      // begins to listen
	listening  sync.WaitGroup // listen
	closing    context.Context
	stop       context.CancelFunc
}

// A cachedEntry is a decoded entry.
type cachedEntry struct {
	*entry
	name      string                 // the record's key in Redis
	group     uint16                 // in the near cache
	touched   atomic.Int64           // Unix nanoseconds: when its TTL in Redis was last renewed
	confirmed atomic.Pointer[moment] // of the last answer that it is unchanged; nil: none
}

const (
	decodedBytes = 64 << 20         // of all cached entries, approximately; each counts as 1 KB at least, so they are 65,536 at most
	decodedIdle  = 10 * time.Minute // how long an unused entry is cached; the time is short because its tokens are in clear text
)

func newRedisStore(c *Config, t timeouts) (*redisStore, error) {
	client, err := c.Redis.New(c.Log)
	if err != nil {
		return nil, err
	}
	r := &redisStore{
		client: client, prefix: c.Redis.Prefix, timeouts: t, keyring: c.Keyring, now: c.Now, log: c.Log, near: newNearCache(c.NearCache),
		decoded: otter.Must(&otter.Options[ID, *cachedEntry]{
			MaximumWeight:    decodedBytes,
			Weigher:          func(_ ID, d *cachedEntry) uint32 { return uint32(4*len(d.record)) + 1024 },
			ExpiryCalculator: otter.ExpiryAccessing[ID, *cachedEntry](decodedIdle),
		}),
	}
	r.closing, r.stop = context.WithCancel(context.Background())
	return r, nil
}

// All keys of one ID have its digest in braces: a Redis Cluster stores them in one slot.
func (r *redisStore) key(kind, digest string) string { return r.prefix + kind + "{" + digest + "}" }

func (r *redisStore) record(id ID) string { return r.key("s:", id.digest()) }
func (r *redisStore) lock(id ID) string   { return r.key("l:", id.digest()) }

func (r *redisStore) ping(ctx context.Context) error { return storeError(r.client.Ping(ctx).Err()) }

func (r *redisStore) close() error {
	r.subscribed.Do(func() {})
	r.stop()
	r.listening.Wait()
	r.decoded.StopAllGoroutines()
	return r.client.Close()
}

// storeError returns an error of the Redis client as one of the store's errors.
func storeError(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrChanged), errors.Is(err, ErrPage), errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, goredis.Nil):
		return ErrNotFound
	default:
		return fmt.Errorf("%w: redis: %w", ErrUnavailable, err)
	}
}

func (r *redisStore) add(ctx context.Context, id ID, s *Session) error {
	e, digest, now := &entry{id: id, session: s}, id.digest(), r.now()
	name := r.record(id)
	var err error
	if e.record, err = e.seal(r.keyring, name); err != nil {
		return err
	}
	details, err := r.details(digest, s)
	if err != nil {
		return err
	}
	copied, copyLife, err := r.copyOf(e)
	if err != nil {
		return err
	}
	ttl := life(e.ttl(&r.timeouts, now))
	detailsLife := ttl
	if copied != "" {
		detailsLife = life(r.detailsLife(s, now))
	}
	_, err = r.client.Write(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		return addScript.Run(ctx, c, r.keysOf(digest), e.record, details, r.seconds(), ttl, copied, copyLife, detailsLife).Err()
	})
	if err != nil {
		return storeError(err)
	}
	r.keepNote(ctx, e, now)
	r.cache(e, now.UnixNano())
	return nil
}

func (r *redisStore) swap(ctx context.Context, old, next *entry) error {
	name, digest := r.record(next.id), next.id.digest()
	e := &entry{id: next.id, session: next.session, successor: next.successor}
	var err error
	if e.record, err = e.seal(r.keyring, name); err != nil {
		return err
	}
	ttl, details := "", "" // a session that replaces a session keeps its TTL
	if e.session == nil {
		ttl = life(e.ttl(&r.timeouts, r.now()))
	} else if old != nil && old.session != nil && old.session.Login.SID != e.session.Login.SID {
		if details, err = r.details(digest, e.session); err != nil {
			return err
		}
	}
	copied, _, err := r.copyOf(e)
	if err != nil {
		return err
	}
	_, err = r.client.Write(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		return changed(swapScript.Run(ctx, c, r.keysOf(digest), recordOf(old), e.record, ttl, details, r.channel(), digest, copied))
	})
	r.changed(digest) // after an error too: it may be done all the same
	if err != nil {
		return storeError(err)
	}
	var touched int64 // if zero, the next request renews the TTL
	if cached, ok := r.decoded.GetIfPresent(e.id); ok {
		touched = cached.touched.Load()
	}
	r.cache(e, touched)
	if old != nil && old.session != nil {
		r.unindex(ctx, digest, old.session, loginOf(e))
	}
	return nil
}

// loginOf returns the login of an entry, or nil if it has none.
func loginOf(e *entry) *Login {
	if e.session == nil {
		return nil
	}
	return &e.session.Login
}

func (r *redisStore) drop(ctx context.Context, old *entry) error {
	name, digest := r.record(old.id), old.id.digest()
	err := r.mustDelete(ctx, name, func(ctx context.Context, c goredis.Cmdable) *goredis.Cmd {
		return dropScript.Run(ctx, c, r.keysOf(digest), old.record, r.channel(), digest)
	})
	r.changed(digest)
	if err != nil {
		return storeError(err)
	}
	r.decoded.Invalidate(old.id)
	if old.session != nil {
		r.unindex(ctx, digest, old.session, nil)
	}
	return nil
}

// mustDelete runs a script that deletes what name has, as dropScript does, until that is acknowledged. A run may find that an earlier one
// has deleted it already, without an acknowledgement. If it was gone before the first run, mustDelete returns ErrChanged, and that is
// acknowledged as well: the request that has deleted it may still be waiting.
func (r *redisStore) mustDelete(ctx context.Context, name string, run func(context.Context, goredis.Cmdable) *goredis.Cmd) error {
	runs, gone := 0, false
	err := r.client.MustWrite(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		runs++
		n, err := run(ctx, c).Int()
		gone = gone || runs == 1 && n < 0
		if err == nil && n == 0 {
			return ErrChanged
		}
		return err
	})
	if err == nil && gone {
		return ErrChanged
	}
	return err
}

func recordOf(e *entry) string {
	if e == nil {
		return ""
	}
	return e.record
}

// changed returns the error of a script that returns 0 if the record has changed.
func changed(result *goredis.Cmd) error {
	done, err := result.Bool()
	switch {
	case err != nil:
		return err
	case !done:
		return ErrChanged
	}
	return nil
}

func (r *redisStore) lease(ctx context.Context, id ID, holder string, life time.Duration) (bool, error) {
	ok, err := redis.LeaseScript.Run(ctx, r.client, []string{r.lock(id)}, holder, milliseconds(life)).Bool()
	return ok, storeError(err)
}

func (r *redisStore) release(ctx context.Context, id ID, holder string) error {
	return storeError(redis.ReleaseScript.Run(ctx, r.client, []string{r.lock(id)}, holder).Err())
}

func (r *redisStore) leased(ctx context.Context, id ID) (bool, error) {
	n, err := r.client.Exists(ctx, r.lock(id)).Result()
	return n > 0, storeError(err)
}

// life returns a TTL in milliseconds, or "" for none.
func life(ttl time.Duration) string {
	if ttl == 0 {
		return ""
	}
	return milliseconds(ttl)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
