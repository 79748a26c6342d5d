package session

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// The copy of a remembered session has the key r:{digest}, beside its record. A pointer has the key p:{digest of the remember ID}.

// keysOf returns the keys of a session: its record, its details, the copy of a remembered session, and its note.
func (r *redisStore) keysOf(digest string) []string {
	return []string{r.key("s:", digest), r.key("d:", digest), r.key("r:", digest), r.key("n:", digest)}
}

// copyOf returns the copy of an entry whose session is remembered, sealed under its own name, and its life; "" for any other entry.
func (r *redisStore) copyOf(e *entry) (copied, copyLife string, err error) {
	if e.session == nil || e.session.Remember == (ID{}) {
		return "", "", nil
	}
	copied, err = e.seal(r.keyring, r.key("r:", e.id.digest()))
	return copied, life(r.timeouts.untilRememberEnd(e.session, r.now())), err
}

// detailsLife returns how long the details of a remembered session are stored: a logout of a client or a route finds it by them.
func (r *redisStore) detailsLife(s *Session, now time.Time) time.Duration {
	end := r.timeouts.lastEnd(s)
	if end.IsZero() {
		return 0
	}
	return max(end.Sub(now), time.Millisecond)
}

func (r *redisStore) remembered(ctx context.Context, id ID) (*entry, error) {
	name := r.key("r:", id.digest())
	record, err := r.client.Get(ctx, name).Result()
	if err != nil {
		return nil, storeError(err)
	}
	e, err := r.open(id, name, record)
	if err == nil && e.session == nil {
		err = fmt.Errorf("%w: %w", ErrNotFound, errRecord)
	}
	return e, err
}

func (r *redisStore) supersede(ctx context.Context, old, next *entry) (err error) {
	record, ttl := "", ""
	if next != nil {
		if record, err = next.seal(r.keyring, r.record(next.id)); err != nil {
			return err
		}
		ttl = life(next.ttl(&r.timeouts, r.now()))
	}
	digest := old.id.digest()
	keys := r.keysOf(digest)
	err = r.mustDelete(ctx, keys[0], func(ctx context.Context, c goredis.Cmdable) *goredis.Cmd {
		return supersedeScript.Run(ctx, c, keys, old.record, record, ttl, r.channel(), digest)
	})
	r.changed(digest)
	if err != nil {
		return storeError(err)
	}
	r.decoded.Invalidate(old.id)
	r.unindex(ctx, digest, old.session, nil)
	return nil
}

// A pointerContent is the plaintext of a pointer's record.
type pointerContent struct {
	IDs   [][]byte  `json:"ids,omitempty"`
	Next  []byte    `json:"next,omitempty"` // the ID of the successor; zeros for none
	Until time.Time `json:"until,omitzero"`
}

// pointerUse separates the records of pointers from the keyring's other records. Each is salted with the remember ID.
const pointerUse = "session pointer"

func (r *redisStore) point(ctx context.Context, remember ID, p *pointer, of *Session) error {
	var c pointerContent
	for _, id := range p.ids {
		c.IDs = append(c.IDs, id[:])
	}
	if p.successor != nil {
		c.Next, c.Until = p.successor.ID[:], p.successor.Until
	}
	name := r.key("p:", remember.digest())
	record, err := r.keyring.SealJSON(pointerUse, name, string(remember[:]), c)
	if err != nil {
		return err
	}
	_, err = r.client.Write(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		return c.Set(ctx, name, record, p.life(&r.timeouts, of, r.now())).Err()
	})
	return storeError(err)
}

func (r *redisStore) pointed(ctx context.Context, remember ID) (*pointer, error) {
	name := r.key("p:", remember.digest())
	record, err := r.client.Get(ctx, name).Result()
	if err != nil {
		return nil, storeError(err)
	}
	var c pointerContent
	err = r.keyring.OpenJSON(pointerUse, name, string(remember[:]), record, &c)
	if err != nil {
		r.log.Warn("a remembered session in redis is not used", "error", err)
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	p := &pointer{}
	for _, id := range c.IDs {
		if len(id) == len(ID{}) {
			p.ids = append(p.ids, ID(id))
		}
	}
	if len(c.Next) == len(ID{}) {
		p.successor = &successor{ID: ID(c.Next), Until: c.Until}
	}
	return p, nil
}
