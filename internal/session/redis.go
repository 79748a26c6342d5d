package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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
// request costs one GET, and a record that is unchanged is neither decrypted nor parsed again.
type redisStore struct {
	client   *redis.Client
	prefix   string
	timeouts timeouts
	keyring  *keyring.Keyring
	now      func() time.Time
	log      *slog.Logger
	decoded  *otter.Cache[ID, *cachedEntry]
	notes    atomic.Bool // keepNote stores notes
}

// A cachedEntry is a decoded entry.
type cachedEntry struct {
	*entry
	name    string       // the record's key in Redis
	touched atomic.Int64 // Unix nanoseconds: when its TTL in Redis was last renewed
}

const (
	decodedBytes = 64 << 20         // of all cached entries, approximately
	decodedIdle  = 10 * time.Minute // how long an unused entry is cached; the time is short because its tokens are in clear text
)

func newRedisStore(s redis.Settings, t timeouts, k *keyring.Keyring, now func() time.Time, log *slog.Logger) (*redisStore, error) {
	client, err := s.New(log)
	if err != nil {
		return nil, err
	}
	return &redisStore{
		client: client, prefix: s.Prefix, timeouts: t, keyring: k, now: now, log: log,
		decoded: otter.Must(&otter.Options[ID, *cachedEntry]{
			MaximumWeight:    decodedBytes,
			Weigher:          func(_ ID, d *cachedEntry) uint32 { return uint32(4*len(d.record)) + 1024 },
			ExpiryCalculator: otter.ExpiryAccessing[ID, *cachedEntry](decodedIdle),
		}),
	}, nil
}

// All keys of one ID have its digest in braces: a Redis Cluster stores them in one slot.
func (r *redisStore) key(kind, digest string) string { return r.prefix + kind + "{" + digest + "}" }

func (r *redisStore) record(id ID) string { return r.key("s:", id.digest()) }
func (r *redisStore) lock(id ID) string   { return r.key("l:", id.digest()) }

func (r *redisStore) ping(ctx context.Context) error { return storeError(r.client.Ping(ctx).Err()) }

func (r *redisStore) close() error {
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

func (r *redisStore) load(ctx context.Context, id ID) (*entry, error) {
	cached, ok := r.decoded.GetIfPresent(id)
	if !ok {
		return r.loadNew(ctx, id)
	}
	same, err := r.unchanged(ctx, cached)
	switch {
	case errors.Is(err, ErrNotFound):
		r.decoded.Invalidate(id)
		return nil, err
	case err != nil:
		return nil, err
	case same:
		return cached.entry, nil
	}
	return r.loadNew(ctx, id)
}

// unchanged reports whether the record of a cached entry is still the same in Redis. If a touch is due, the same command renews
// the record's TTL.
func (r *redisStore) unchanged(ctx context.Context, cached *cachedEntry) (bool, error) {
	now, last := r.now(), cached.touched.Load()
	due := now.UnixNano()-last >= int64(r.timeouts.touchAfter())
	if due && cached.touched.CompareAndSwap(last, now.UnixNano()) {
		record, err := r.touch(ctx, cached.entry, now)
		same := err == nil && record == cached.record
		if same {
			r.keepNote(ctx, cached.entry, now)
		}
		return same, err
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	if need := len(cached.record) + 2; len(*b) < need { // GetToBuffer also reads the CRLF into the buffer
		*b = make([]byte, need)
	}
	cmd := r.client.GetToBuffer(ctx, cached.name, *b)
	var timeout net.Error
	switch err := cmd.Err(); {
	case err == nil:
		return string(cmd.Bytes()) == cached.record, nil
	case errors.Is(err, goredis.Nil), errors.As(err, &timeout) && timeout.Timeout():
		return false, storeError(err)
	}
	// Either the record is longer than the cached one, or a pooled connection was dead; the client does not retry this command.
	// In both cases the caller reads the record again.
	return false, nil
}

// buffers hold records that are only compared.
var buffers = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

// loadNew reads a record that is not cached. The TTL depends on its content, so only now can it be renewed.
func (r *redisStore) loadNew(ctx context.Context, id ID) (*entry, error) {
	name := r.record(id)
	record, err := r.client.Get(ctx, name).Result()
	if err != nil {
		return nil, storeError(err)
	}
	e, err := r.open(id, name, record)
	if err != nil {
		return nil, err
	}
	now := r.now()
	if record, err = r.touch(ctx, e, now); err != nil {
		return nil, err
	} else if record != e.record { // it was changed just now
		if e, err = r.open(id, name, record); err != nil {
			return nil, err
		}
	}
	r.keepNote(ctx, e, now)
	r.cache(e, now.UnixNano())
	return e, nil
}

// touch records a use of an entry now, and returns the record.
func (r *redisStore) touch(ctx context.Context, e *entry, now time.Time) (record string, err error) {
	ttl := ""
	if r.timeouts.idling > 0 {
		ttl = life(e.ttl(&r.timeouts, now))
	}
	keep := ""
	if e.session != nil && e.session.Remember != (ID{}) {
		keep = "keep"
	}
	record, err = touchScript.Run(ctx, r.client, r.keysOf(e.id.digest())[:2], r.seconds(), ttl, keep).Text()
	return record, storeError(err)
}

// open decodes a record. A record that doesn't open is not a session: another secret sealed it, or it was changed.
func (r *redisStore) open(id ID, name, record string) (*entry, error) {
	e, err := open(r.keyring, id, name, record)
	if err != nil {
		r.log.Warn("a session in redis is not used", "error", err)
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return e, nil
}

// cache caches a decoded entry.
func (r *redisStore) cache(e *entry, touched int64) {
	d := &cachedEntry{entry: e, name: r.record(e.id)}
	d.touched.Store(touched)
	r.decoded.Set(e.id, d)
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
		return changed(swapScript.Run(ctx, c, r.keysOf(digest), recordOf(old), e.record, ttl, details, copied))
	})
	if err != nil {
		return storeError(err)
	}
	var touched int64 // if zero, the next request renews the TTL
	if cached, ok := r.decoded.GetIfPresent(e.id); ok {
		touched = cached.touched.Load()
	}
	r.cache(e, touched)
	if e.session == nil {
		r.dropNote(ctx, digest)
	}
	if old != nil && old.session != nil {
		r.unindex(ctx, old.id, old.session, loginOf(e))
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
	err := r.client.MustWrite(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		return changed(dropScript.Run(ctx, c, r.keysOf(digest), old.record))
	})
	if err != nil {
		return storeError(err)
	}
	r.decoded.Invalidate(old.id)
	r.dropNote(ctx, digest)
	if old.session != nil {
		r.unindex(ctx, old.id, old.session, nil)
	}
	return nil
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
	ok, err := leaseScript.Run(ctx, r.client, []string{r.lock(id)}, holder, milliseconds(life)).Bool()
	return ok, storeError(err)
}

func (r *redisStore) release(ctx context.Context, id ID, holder string) error {
	return storeError(releaseScript.Run(ctx, r.client, []string{r.lock(id)}, holder).Err())
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
