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

// A redisStore keeps sealed records in one Redis server, 6.2 or later. Beside the bytes the decoded entry is kept in
// memory: a request costs one GET, and equal bytes are neither opened nor parsed.
type redisStore struct {
	client   *goredis.Client
	prefix   string
	timeouts timeouts
	keyring  *keyring.Keyring
	now      func() time.Time
	log      *slog.Logger
	decoded  *otter.Cache[ID, *decoded]
}

// decoded is what a record was read as.
type decoded struct {
	*entry
	name    string       // the record's key in Redis
	touched atomic.Int64 // Unix nanoseconds: when Redis was last told that it is in use
}

const (
	decodedBytes = 64 << 20         // of decoded entries, roughly
	decodedIdle  = 10 * time.Minute // how long an entry that isn't asked for is kept decoded: its tokens are in the clear
)

func newRedisStore(s redis.Settings, t timeouts, k *keyring.Keyring, now func() time.Time, log *slog.Logger) (*redisStore, error) {
	client, err := s.New(log)
	if err != nil {
		return nil, err
	}
	return &redisStore{
		client: client, prefix: s.Prefix, timeouts: t, keyring: k, now: now, log: log,
		decoded: otter.Must(&otter.Options[ID, *decoded]{
			MaximumWeight:    decodedBytes,
			Weigher:          func(_ ID, d *decoded) uint32 { return uint32(4*len(d.record)) + 1024 },
			ExpiryCalculator: otter.ExpiryAccessing[ID, *decoded](decodedIdle),
		}),
	}, nil
}

// All keys of one ID have its digest in braces, so that a Redis Cluster keeps them in one slot.
func (r *redisStore) record(id ID) string { return r.prefix + "s:{" + id.digest() + "}" }
func (r *redisStore) lock(id ID) string   { return r.prefix + "l:{" + id.digest() + "}" }

func (r *redisStore) ping(ctx context.Context) error { return away(r.client.Ping(ctx).Err()) }

func (r *redisStore) close() error {
	r.decoded.StopAllGoroutines()
	return r.client.Close()
}

// away turns what Redis or the way to it answers into the store's errors.
func away(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, goredis.Nil):
		return ErrNotFound
	default:
		return fmt.Errorf("%w: redis: %w", ErrUnavailable, err)
	}
}

func (r *redisStore) load(ctx context.Context, id ID) (*entry, error) {
	known, ok := r.decoded.GetIfPresent(id)
	if !ok {
		return r.loadNew(ctx, id)
	}
	same, err := r.same(ctx, known)
	switch {
	case errors.Is(err, ErrNotFound):
		r.decoded.Invalidate(id)
		return nil, err
	case err != nil:
		return nil, err
	case same:
		return known.entry, nil
	}
	return r.loadNew(ctx, id)
}

// same reports whether the record of a known entry is what it was. If that is due it tells Redis in the same command that
// the entry is in use.
func (r *redisStore) same(ctx context.Context, known *decoded) (bool, error) {
	now := r.now()
	last := known.touched.Load()
	if r.timeouts.idling > 0 && now.UnixNano()-last >= int64(r.timeouts.touchAfter()) && known.touched.CompareAndSwap(last, now.UnixNano()) {
		record, err := r.client.GetEx(ctx, known.name, known.ttl(&r.timeouts, now)).Result()
		return record == known.record, away(err)
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	if need := len(known.record) + 2; len(*b) < need { // the client reads the line's end into it as well
		*b = make([]byte, need)
	}
	cmd := r.client.GetToBuffer(ctx, known.name, *b)
	var slow net.Error
	switch err := cmd.Err(); {
	case err == nil:
		return string(cmd.Bytes()) == known.record, nil
	case errors.Is(err, goredis.Nil), errors.As(err, &slow) && slow.Timeout():
		return false, away(err)
	}
	// The record is too long to be the known one; or the connection died in the pool, and the client doesn't try this
	// command again by itself. Reading it anew tells.
	return false, nil
}

// buffers are for records that are only compared.
var buffers = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

// loadNew reads what this process doesn't know. Only then it knows how long it is to be kept, and tells Redis.
func (r *redisStore) loadNew(ctx context.Context, id ID) (*entry, error) {
	name := r.record(id)
	record, err := r.client.Get(ctx, name).Result()
	if err != nil {
		return nil, away(err)
	}
	e, err := r.open(id, name, record)
	if err != nil {
		return nil, err
	}
	now := r.now()
	if r.timeouts.idling > 0 {
		if err := r.client.PExpire(ctx, name, e.ttl(&r.timeouts, now)).Err(); err != nil {
			return nil, away(err)
		}
	}
	r.remember(e, now.UnixNano())
	return e, nil
}

// open opens a record. One that doesn't open is no session: who put it there didn't have the secret, or we don't any more.
func (r *redisStore) open(id ID, name, record string) (*entry, error) {
	e, err := open(r.keyring, id, name, record)
	if err != nil {
		r.log.Warn("a session in redis is not used", "error", err)
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return e, nil
}

// remember keeps an entry decoded.
func (r *redisStore) remember(e *entry, touched int64) {
	d := &decoded{entry: e, name: r.record(e.id)}
	d.touched.Store(touched)
	r.decoded.Set(e.id, d)
}

func (r *redisStore) add(ctx context.Context, id ID, s *Session) error {
	e := &entry{id: id, session: s}
	name, now := r.record(id), r.now()
	var err error
	if e.record, err = e.seal(r.keyring, name); err != nil {
		return err
	}
	if err := r.list(ctx, e, name); err != nil {
		return err
	}
	if err := r.client.Set(ctx, name, e.record, e.ttl(&r.timeouts, now)).Err(); err != nil {
		return away(err)
	}
	r.remember(e, now.UnixNano())
	return nil
}

func (r *redisStore) swap(ctx context.Context, old, next *entry) error {
	name, now := r.record(next.id), r.now()
	record, err := next.seal(r.keyring, name)
	if err != nil {
		return err
	}
	e := &entry{id: next.id, session: next.session, successor: next.successor, record: record}
	life := "" // of a session that follows a session: as it was
	if e.session == nil {
		life = milliseconds(e.ttl(&r.timeouts, now))
	}
	if err := changed(swapScript.Run(ctx, r.client, []string{name}, recordOf(old), record, life)); err != nil {
		return err
	}
	var touched int64 // if it isn't known the next request tells Redis
	if known, ok := r.decoded.GetIfPresent(e.id); ok {
		touched = known.touched.Load()
	}
	r.remember(e, touched)
	if old != nil && old.session != nil && e.session == nil {
		r.unlist(ctx, old)
	}
	return nil
}

func (r *redisStore) drop(ctx context.Context, old *entry) error {
	if err := changed(dropScript.Run(ctx, r.client, []string{r.record(old.id)}, old.record)); err != nil {
		return err
	}
	r.decoded.Invalidate(old.id)
	r.unlist(ctx, old)
	return nil
}

func recordOf(e *entry) string {
	if e == nil {
		return ""
	}
	return e.record
}

// changed reads the answer of a script that did something unless the record had changed.
func changed(answer *goredis.Cmd) error {
	done, err := answer.Bool()
	switch {
	case err != nil:
		return away(err)
	case !done:
		return ErrChanged
	}
	return nil
}

func (r *redisStore) lease(ctx context.Context, id ID, holder string, life time.Duration) (bool, error) {
	ok, err := leaseScript.Run(ctx, r.client, []string{r.lock(id)}, holder, milliseconds(life)).Bool()
	return ok, away(err)
}

func (r *redisStore) release(ctx context.Context, id ID, holder string) error {
	return away(releaseScript.Run(ctx, r.client, []string{r.lock(id)}, holder).Err())
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
