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

// get reads a fact into v.
func (s *Shared) get(ctx context.Context, k Key, v any) bool {
	ctx, cancel := context.WithTimeout(ctx, sharedLimit)
	defer cancel()
	name := s.name(k)
	record, err := s.Client.Get(ctx, name).Result()
	if err != nil {
		s.away(err)
		return false
	}
	plain, err := s.Keyring.OpenRecord("cache "+s.Use, name, string(k[:]), record)
	if err == nil {
		err = json.Unmarshal(plain, v)
	}
	if err != nil {
		s.Log.Warn("a fact in the shared cache is not used", "cache", s.Use, "error", err)
	}
	return err == nil
}

func (s *Shared) put(ctx context.Context, k Key, v any, ttl time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, sharedLimit)
	defer cancel()
	plain, err := json.Marshal(v)
	if err != nil {
		s.Log.Error("a fact can't be shared", "cache", s.Use, "error", err)
		return
	}
	name := s.name(k)
	record, err := s.Keyring.SealRecord("cache "+s.Use, name, string(k[:]), plain)
	if err != nil {
		s.Log.Error("a fact can't be shared", "cache", s.Use, "error", err)
		return
	}
	s.away(s.Client.Set(ctx, name, record, ttl).Err())
}

func (s *Shared) away(err error) {
	if err != nil && !errors.Is(err, goredis.Nil) {
		s.Log.Debug("the shared cache can't be reached: this process asks for itself", "cache", s.Use, "error", err)
	}
}
