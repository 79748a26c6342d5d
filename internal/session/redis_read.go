package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

func (r *redisStore) load(ctx context.Context, id ID) (*entry, error) { return r.read(ctx, id, true) }

func (r *redisStore) look(ctx context.Context, id ID) (*entry, error) { return r.read(ctx, id, false) }

// loadNear returns a cached entry only until a touch is due. So the entry isn't used for longer than its idling timeout.
func (r *redisStore) loadNear(ctx context.Context, id ID) (*entry, error) {
	if r.near.life == 0 {
		return r.load(ctx, id)
	}
	r.subscribe()
	cached, ok := r.decoded.GetIfPresent(id)
	if now := r.now(); ok && !r.touchDue(cached, now) && r.near.lasts(cached.confirmed.Load(), cached.group, now) {
		return cached.entry, nil
	}
	return r.load(ctx, id)
}

// read returns an entry as Redis has it now. If use is true, it records a use when that is due.
func (r *redisStore) read(ctx context.Context, id ID, use bool) (*entry, error) {
	cached, ok := r.decoded.GetIfPresent(id)
	if !ok {
		return r.readNew(ctx, id, use)
	}
	same, err := r.unchanged(ctx, cached, use)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return nil, err
	case err == nil && same:
		return cached.entry, nil
	}
	r.decoded.Invalidate(id) // now, so that loadNear doesn't use it any more
	if err != nil {
		return nil, err
	}
	return r.readNew(ctx, id, use)
}

// touchDue reports whether it is time to record a use.
func (r *redisStore) touchDue(cached *cachedEntry, now time.Time) bool {
	return now.UnixNano()-cached.touched.Load() >= int64(r.timeouts.touchAfter())
}

// unchanged reports whether the record of a cached entry is still the same in Redis. If use is true and a touch is due, the same command
// renews the record's TTL.
func (r *redisStore) unchanged(ctx context.Context, cached *cachedEntry, use bool) (same bool, err error) {
	now, last := r.now(), cached.touched.Load()
	at := r.near.moment(cached.group, now)
	if use && r.touchDue(cached, now) && cached.touched.CompareAndSwap(last, now.UnixNano()) {
		var record string
		record, err = r.touch(ctx, cached.entry, now)
		if same = err == nil && record == cached.record; same {
			r.keepNote(ctx, cached.entry, now)
		}
	} else {
		same, err = r.sameRecord(ctx, cached)
	}
	if err == nil && same && r.near.life > 0 {
		copied := at // so that nothing is allocated without a near cache
		cached.confirmed.Store(&copied)
	}
	return same, err
}

// sameRecord compares the record of a cached entry with the one in Redis.
func (r *redisStore) sameRecord(ctx context.Context, cached *cachedEntry) (bool, error) {
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

// readNew reads a record that is not cached. The TTL depends on its content, so only now can it be renewed.
func (r *redisStore) readNew(ctx context.Context, id ID, use bool) (*entry, error) {
	name := r.record(id)
	record, err := r.client.Get(ctx, name).Result()
	if err != nil {
		return nil, storeError(err)
	}
	e, err := r.open(id, name, record)
	if err != nil {
		return nil, err
	}
	if !use {
		r.cache(e, 0)
		return e, nil
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

// cache caches a decoded entry. The near cache doesn't use it before a GET has confirmed it.
func (r *redisStore) cache(e *entry, touched int64) {
	digest := e.id.digest()
	d := &cachedEntry{entry: e, name: r.key("s:", digest), group: r.near.group(digest)}
	d.touched.Store(touched)
	r.decoded.Set(e.id, d)
}
