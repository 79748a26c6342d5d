package cache

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/keyring"
	"sallyport/internal/redis"
)

// Shared is the part of a cache that replicas have in common, in Redis. A reader of Redis sees neither keys nor values: names
// are HMACs, and each value is sealed with an encryption key that is derived from the secret and the value's Key. While Redis is
// unreachable, each replica loads its own values.
type Shared struct {
	Client  *redis.Client
	Keyring *keyring.Keyring
	Prefix  string // of names in Redis
	Use     string // separates the caches in one Redis: a value of one never opens as another's
	Log     *slog.Logger
}

// sharedLimit bounds how long a request waits for Redis before it loads the value itself.
const sharedLimit = 300 * time.Millisecond

func (s *Shared) name(k Key) string {
	return s.Prefix + "c:" + s.Keyring.Names("cache", s.Use, string(k[:]))[0]
}

// A record is the plaintext of a value in Redis.
type record struct {
	Value   json.RawMessage `json:"value"`
	Expires time.Time       `json:"expires,omitzero"` // as Load returned it
	Life    time.Duration   `json:"life"`             // lifetime from when the value was loaded, in nanoseconds
}

// get reads a value into v. It returns when the value expires and how old it is. The age is computed from the TTL that is left in
// Redis, so the clock of the replica that loaded the value doesn't matter.
func (s *Shared) get(ctx context.Context, k Key, v any) (expires time.Time, age time.Duration, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, sharedLimit)
	defer cancel()
	name := s.name(k)
	pipe := s.Client.Pipeline()
	value, left := pipe.Get(ctx, name), pipe.PTTL(ctx, name)
	if _, err := pipe.Exec(ctx); err != nil {
		s.away(err)
		return time.Time{}, 0, false
	}
	var r record
	plain, err := s.Keyring.OpenRecord("cache "+s.Use, name, string(k[:]), value.Val())
	if err == nil {
		err = json.Unmarshal(plain, &r)
	}
	if err == nil {
		err = json.Unmarshal(r.Value, v)
	}
	if err != nil {
		s.Log.Warn("a value in the shared cache is not used", "cache", s.Use, "error", err)
		return time.Time{}, 0, false
	}
	return r.Expires, max(r.Life-max(left.Val(), 0), 0), true
}

// put stores a value with its lifetime and its age.
func (s *Shared) put(ctx context.Context, k Key, v any, expires time.Time, life, age time.Duration) {
	left := (life - age).Truncate(time.Millisecond)
	if left <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sharedLimit)
	defer cancel()
	value, err := json.Marshal(v)
	if err != nil {
		s.Log.Error("a value can't be stored in the shared cache", "cache", s.Use, "error", err)
		return
	}
	plain, err := json.Marshal(record{Value: value, Expires: expires, Life: life})
	if err != nil {
		s.Log.Error("a value can't be stored in the shared cache", "cache", s.Use, "error", err)
		return
	}
	name := s.name(k)
	sealed, err := s.Keyring.SealRecord("cache "+s.Use, name, string(k[:]), plain)
	if err != nil {
		s.Log.Error("a value can't be stored in the shared cache", "cache", s.Use, "error", err)
		return
	}
	s.away(s.Client.Set(ctx, name, sealed, left).Err())
}

func (s *Shared) away(err error) {
	if err != nil && !errors.Is(err, goredis.Nil) {
		s.Log.Debug("the shared cache can't be reached: this process loads its own values", "cache", s.Use, "error", err)
	}
}
