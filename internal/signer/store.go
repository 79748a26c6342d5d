package signer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/keyring"
	"sallyport/internal/redis"
)

// A store stores one set. Its errors wrap ErrUnavailable or errChanged.
type store interface {
	// load returns the stored set, or an empty one.
	load(context.Context) (*set, error)
	// save replaces old, as load returned it, with next. It returns errChanged if the stored set is another by now.
	save(ctx context.Context, old, next *set) error
	close() error
}

// errChanged means that another replica has changed the stored set.
var errChanged = errors.New("the gate's keys have changed")

func newStore(c Config) (store, error) {
	switch c.Storage {
	case "file":
		return &fileStore{c.Keyring, c.File}, nil
	case "redis":
		client, err := c.Redis.New(c.Log)
		if err != nil {
			return nil, err
		}
		return &redisStore{client, c.Keyring, c.Redis.Prefix + "keys"}, nil
	}
	return &memoryStore{&set{}}, nil
}

// A memoryStore stores the set in the process.
type memoryStore struct{ set *set }

func (m *memoryStore) load(context.Context) (*set, error) { return m.set, nil }
func (m *memoryStore) save(_ context.Context, _, next *set) error {
	m.set = next
	return nil
}
func (m *memoryStore) close() error { return nil }

const recordUse = "signing keys"

// seal sets the record of a set.
func seal(k *keyring.Keyring, name string, t *set) error {
	plain, err := t.marshal()
	if err != nil {
		return err
	}
	t.record, err = k.SealRecord(recordUse, name, "", plain)
	return err
}

// open returns the set of a record.
func open(k *keyring.Keyring, name, record string) (*set, error) {
	plain, err := k.OpenRecord(recordUse, name, "", record)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: was keys.secret changed without the old one behind the new?", ErrUnavailable, err)
	}
	t, err := unmarshal(plain)
	if err == nil {
		t.record = record
	}
	return t, err
}

// A fileStore stores the record in a file that only this process writes.
type fileStore struct {
	keyring *keyring.Keyring
	name    string
}

func (f *fileStore) load(context.Context) (*set, error) {
	b, err := os.ReadFile(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return &set{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return open(f.keyring, recordUse, string(b))
}

// save replaces the file atomically: if the process dies, the file has either the old or the new record.
func (f *fileStore) save(_ context.Context, _, next *set) error {
	if err := seal(f.keyring, recordUse, next); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(f.name), filepath.Base(f.name)+".new-*")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.WriteString(next.record)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), f.name)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

func (f *fileStore) close() error { return nil }

// A redisStore stores the record in Redis, where replicas share it.
type redisStore struct {
	client  *redis.Client
	keyring *keyring.Keyring
	name    string
}

func (r *redisStore) load(ctx context.Context) (*set, error) {
	record, err := r.client.Get(ctx, r.name).Result()
	if errors.Is(err, goredis.Nil) {
		return &set{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: redis: %w", ErrUnavailable, err)
	}
	return open(r.keyring, r.name, record)
}

// swapScript replaces a record if it is unchanged. The Redis client sends it again when the response was lost, so it recognizes its own
// result. KEYS: the record. ARGV: 1 the old record, empty if there was none, 2 the new one.
var swapScript = goredis.NewScript(`
local now = redis.call('GET', KEYS[1]) or ''
if now == ARGV[2] then return 1 end
if now ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`)

func (r *redisStore) save(ctx context.Context, old, next *set) error {
	if err := seal(r.keyring, r.name, next); err != nil {
		return err
	}
	var done bool
	err := r.client.MustWrite(ctx, r.name, func(ctx context.Context, c goredis.Cmdable) (err error) {
		done, err = swapScript.Run(ctx, c, []string{r.name}, old.record, next.record).Bool()
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: redis: %w", ErrUnavailable, err)
	case !done:
		return errChanged
	}
	return nil
}

func (r *redisStore) close() error { return r.client.Close() }
