package cache

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

func mustKeyring(t *testing.T, secret auth.Secret) *keyring.Keyring {
	t.Helper()
	k, err := keyring.New([]auth.Secret{secret})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const sharedSecret = auth.Secret("a secret of the test, long enough to be one")

type shared struct{ Text string }

func mustRedis(t *testing.T) (*redistest.Server, *redis.Client) {
	t.Helper()
	server := redistest.Start(t)
	settings := server.Settings()
	client, err := settings.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return server, client
}

// replica returns the cache of another process.
func replica(t *testing.T, client *redis.Client, secret auth.Secret, use string) *Cache[shared] {
	return New(Config[shared]{
		Times: Times{TTL: time.Minute}, Bytes: 1 << 20, Size: func(shared) int { return 1 }, Limit: 5 * time.Second,
		Verdict: func(error) bool { return false },
		Shared: &Shared{
			Client: client, Keyring: mustKeyring(t, secret), Prefix: "sallyport:", Use: use, Log: slog.New(slog.DiscardHandler),
		},
	})
}

// Replicas share values, and Redis stores them unreadable. Without Redis each replica loads its own.
func TestShared(t *testing.T) {
	server, client := mustRedis(t)
	var asked atomic.Int64
	load := func(context.Context) (shared, time.Time, error) {
		asked.Add(1)
		ends := time.Now().Add(time.Minute)
		return shared{"a value about john"}, ends, nil
	}
	get := func(c *Cache[shared], want int64) {
		t.Helper()
		v, err := c.Get(context.Background(), KeyOf([]byte("secret"), "a token of john"), load)
		if err != nil || v.Text != "a value about john" || asked.Load() != want {
			t.Errorf("got %v, %v after %d calls, expected %d", v, err, asked.Load(), want)
		}
	}
	get(replica(t, client, sharedSecret, "introspection"), 1)
	get(replica(t, client, sharedSecret, "introspection"), 1)
	get(replica(t, client, sharedSecret, "tokens"), 2)                                     // another use
	get(replica(t, client, "another secret of the test, long enough", "introspection"), 3) // another secret

	ctx := context.Background()
	rig := server.Client(t, 0)
	for _, name := range rig.Keys(ctx, "*").Val() {
		value := rig.Get(ctx, name).Val()
		if strings.Contains(name+value, "john") || strings.Contains(name, "token") {
			t.Errorf("Redis sees %q: %q", name, value)
		}
		if ttl := rig.TTL(ctx, name).Val(); ttl <= 0 || ttl > time.Minute {
			t.Errorf("%s lives for %s", name, ttl)
		}
		changed := []byte(value)
		changed[len(changed)-1] ^= 1
		rig.Set(ctx, name, changed, time.Minute)
	}
	get(replica(t, client, sharedSecret, "introspection"), 4)
	server.Kill()
	begun := time.Now()
	get(replica(t, client, sharedSecret, "introspection"), 5)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("without Redis the answer took %s", took)
	}
}

// TestSharedAge checks that a copy is used for as long as the original would be, however late a replica reads it, and whatever
// its clock says.
func TestSharedAge(t *testing.T) {
	server, client := mustRedis(t)
	rig, asked := server.Client(t, 0), 0
	load := func(context.Context) (shared, time.Time, error) {
		asked++
		return shared{"a value"}, time.Time{}, nil
	}
	get := func(c *Cache[shared], want int) {
		t.Helper()
		if _, err := c.Get(t.Context(), KeyOf(nil, "k"), load); err != nil || asked != want {
			t.Errorf("%v after %d calls, expected %d", err, asked, want)
		}
	}
	get(replica(t, client, sharedSecret, "introspection"), 1)
	for _, name := range rig.Keys(t.Context(), "*").Val() {
		rig.PExpire(t.Context(), name, 20*time.Second) // 40 of its 60 seconds have passed
	}
	late := replica(t, client, sharedSecret, "introspection")
	now := time.Now().Add(-time.Hour) // another machine's clock
	late.config.Now = func() time.Time { return now }
	get(late, 1)
	now = now.Add(19 * time.Second)
	get(late, 1)
	rig.FlushAll(t.Context())
	now = now.Add(2 * time.Second)
	get(late, 2)
}
