package acmecert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/keyring"
	"sallyport/internal/redis"
)

// A redisStore stores sealed records in Redis, where replicas share them.
type redisStore struct {
	client  *redis.Client
	keyring *keyring.Keyring
	prefix  string
	log     *slog.Logger

	mu      sync.Mutex
	ignored map[string]string // by name: the last record that didn't open, for the log
}

// recordUse is the use of the keys that seal the records.
const recordUse = "acme"

func newRedisStore(c *Config) (*redisStore, error) {
	ring, err := keyring.New(c.Secret)
	if err != nil {
		return nil, err
	}
	client, err := c.Redis.New(c.Log)
	if err != nil {
		return nil, err
	}
	prefix := c.Redis.Prefix + "acme:" + scope(c.Directory) + ":"
	return &redisStore{client: client, keyring: ring, prefix: prefix, log: c.Log, ignored: map[string]string{}}, nil
}

// get ignores a record that doesn't open: it was changed or moved, or sealed with a secret that isn't configured any more.
func (r *redisStore) get(ctx context.Context, name string) ([]byte, error) {
	record, err := r.client.Get(ctx, r.prefix+name).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, errAbsent
	case err != nil:
		return nil, fmt.Errorf("redis: %w", err)
	}
	plain, err := r.keyring.OpenRecord(recordUse, r.prefix+name, "", record)
	if err != nil {
		r.warn(name, record, err)
		return nil, errAbsent
	}
	return plain, nil
}

// warn logs once that a record is ignored.
func (r *redisStore) warn(name, record string, err error) {
	r.mu.Lock()
	known := r.ignored[name] == record
	r.ignored[name] = record
	r.mu.Unlock()
	if !known {
		r.log.Warn("a record of certificates in Redis is ignored: was acme.secret changed without the old one behind the new?",
			"record", name, "error", err)
	}
}

func (r *redisStore) put(ctx context.Context, name string, value []byte, life time.Duration) error {
	key := r.prefix + name
	record, err := r.keyring.SealRecord(recordUse, key, "", value)
	if err != nil {
		return err
	}
	return r.write(ctx, key, func(ctx context.Context, c goredis.Cmdable) error {
		return c.Set(ctx, key, record, max(life, time.Millisecond)).Err()
	})
}

func (r *redisStore) remove(ctx context.Context, name string) error {
	key := r.prefix + name
	return r.write(ctx, key, func(ctx context.Context, c goredis.Cmdable) error { return c.Del(ctx, key).Err() })
}

func (r *redisStore) write(ctx context.Context, key string, write func(context.Context, goredis.Cmdable) error) error {
	if err := r.client.MustWrite(ctx, key, write); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

func (r *redisStore) lease(ctx context.Context, holder string, life time.Duration) (bool, error) {
	ok, err := redis.LeaseScript.Run(ctx, r.client, []string{r.prefix + "lease"}, holder, life.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	return ok, nil
}

func (r *redisStore) release(ctx context.Context, holder string) error {
	return redis.ReleaseScript.Run(ctx, r.client, []string{r.prefix + "lease"}, holder).Err()
}

func (r *redisStore) shared() bool { return true }
func (r *redisStore) close() error { return r.client.Close() }
