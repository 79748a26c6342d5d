package dpop

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/redis"
)

// Replays remember the used proofs: those of this process in its memory, and those of all replicas in Redis, if there is one. They hash
// the key, the request and the jti, so they know no token and no URL.
type Replays struct {
	Memory *Memory       // required
	Redis  *redis.Client // nil: proofs of other replicas aren't known
	Prefix string        // of the keys in Redis
}

// use remembers a proof of a request. Memory bounds what this process adds to Redis, too.
func (s *Replays) use(ctx context.Context, p *Proof, user uint64, now time.Time) error {
	if err := s.Memory.use(p, user, now); err != nil || s.Redis == nil {
		return err
	}
	name := s.name(p)
	var first bool
	err := s.Redis.MustWrite(ctx, name, func(ctx context.Context, c goredis.Cmdable) (err error) {
		first, err = setOnce(ctx, c, name, strconv.FormatUint(user, 36), p.expires.Sub(now))
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case !first:
		return ErrReplayed
	}
	return nil
}

// name returns the name of a proof in Redis.
func (s *Replays) name(p *Proof) string {
	return s.Prefix + "dpop:" + base64.RawURLEncoding.EncodeToString(p.id[:])
}

// setOnce sets a key that isn't set, and reports whether its value is the user's. The client may send a command again whose answer didn't
// arrive; then the value is there already, and is the user's own.
func setOnce(ctx context.Context, c goredis.Cmdable, name, user string, life time.Duration) (own bool, err error) {
	set, err := c.SetNX(ctx, name, user, max(life, time.Millisecond)).Result()
	if err != nil || set {
		return set, err
	}
	value, err := c.Get(ctx, name).Result()
	if errors.Is(err, goredis.Nil) { // it expired meanwhile, and so did the proof
		return false, nil
	}
	return value == user, err
}
