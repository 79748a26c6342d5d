package cache

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/keyring"
)

// Shared is the part of a cache that replicas have in common, in Redis. Redis learns neither keys nor facts: names are
// HMACs, and each fact is sealed with a key that is made from the secret and the fact's own key. If Redis is away each
// replica asks for itself.
type Shared struct {
	Client  *goredis.Client
	Keyring *keyring.Keyring
	Prefix  string // of names in Redis
	Use     string // tells caches of one Redis apart: facts of one kind never open as another's
	Log     *slog.Logger
}

// sharedLimit bounds how long Redis may keep a request from asking for itself.
const sharedLimit = 300 * time.Millisecond

func (s *Shared) name(k Key) string {
	return s.Prefix + "c:" + s.Keyring.Names("cache", s.Use, string(k[:]))[0]
}

// A record is what Redis has sealed of a fact.
type record struct {
	Value   json.RawMessage `json:"value"`
	Expires time.Time       `json:"expires,omitzero"` // what the Load said
	Life    time.Duration   `json:"life"`             // how long the fact serves from when it was learnt, in nanoseconds
}

// get reads a fact into v, and returns when the fact expires and how old it is. Its age follows from the time that Redis has
// left for it, not from the clock of the replica that learnt it.
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
		s.Log.Warn("a fact in the shared cache is not used", "cache", s.Use, "error", err)
		return time.Time{}, 0, false
	}
	return r.Expires, max(r.Life-max(left.Val(), 0), 0), true
}

// put stores a fact that serves for life and is age old.
func (s *Shared) put(ctx context.Context, k Key, v any, expires time.Time, life, age time.Duration) {
	left := (life - age).Truncate(time.Millisecond)
	if left <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sharedLimit)
	defer cancel()
	value, err := json.Marshal(v)
	if err != nil {
		s.Log.Error("a fact can't be shared", "cache", s.Use, "error", err)
		return
	}
	plain, err := json.Marshal(record{Value: value, Expires: expires, Life: life})
	if err != nil {
		s.Log.Error("a fact can't be shared", "cache", s.Use, "error", err)
		return
	}
	name := s.name(k)
	sealed, err := s.Keyring.SealRecord("cache "+s.Use, name, string(k[:]), plain)
	if err != nil {
		s.Log.Error("a fact can't be shared", "cache", s.Use, "error", err)
		return
	}
	s.away(s.Client.Set(ctx, name, sealed, left).Err())
}

func (s *Shared) away(err error) {
	if err != nil && !errors.Is(err, goredis.Nil) {
		s.Log.Debug("the shared cache can't be reached: this process asks for itself", "cache", s.Use, "error", err)
	}
}
