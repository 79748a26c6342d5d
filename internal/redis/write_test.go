package redis_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// mustNew returns a client, and what it logs.
func mustNew(t *testing.T, s redis.Settings) (*redis.Client, *syncBuffer) {
	t.Helper()
	log := &syncBuffer{}
	c, err := s.New(slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, log
}

// A syncBuffer is a log that a test reads while goroutines write to it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// set returns a write of one key.
func set(key, value string) func(context.Context, goredis.Cmdable) error {
	return func(ctx context.Context, c goredis.Cmdable) error { return c.Set(ctx, key, value, 0).Err() }
}

// TestWrite checks that a single server acknowledges by answering, and that an error is that of the write.
func TestWrite(t *testing.T) {
	server := redistest.Start(t)
	c, _ := mustNew(t, server.Settings())
	if ok, err := c.Write(t.Context(), "sallyport:k", set("sallyport:k", "v")); !ok || err != nil {
		t.Errorf("got %t, %v, expected an acknowledged write", ok, err)
	}
	if n := server.Calls(t, "wait"); n != 0 {
		t.Errorf("%d WAIT to a server without replicas", n)
	}
	mine := errors.New("mine")
	for name, expected := range map[string]error{"of the caller": mine, "nil": goredis.Nil} {
		failed := func(context.Context, goredis.Cmdable) error { return expected }
		if ok, err := c.Write(t.Context(), "sallyport:k", failed); ok || !errors.Is(err, expected) {
			t.Errorf("%s: got %t, %v", name, ok, err)
		}
		if err := c.MustWrite(t.Context(), "sallyport:k", failed); !errors.Is(err, expected) || errors.Is(err, redis.ErrNotAcknowledged) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	server.Kill()
	begun := time.Now()
	if err := c.MustWrite(t.Context(), "sallyport:k", set("sallyport:k", "v")); err == nil || time.Since(begun) > time.Second {
		t.Errorf("a server that is away: got %v after %s", err, time.Since(begun))
	}
}

// TestNotAcknowledged checks that a write without replicas isn't acknowledged, which is counted and logged once, and that MustWrite gives
// up after 2 s.
func TestNotAcknowledged(t *testing.T) {
	server := redistest.Start(t)
	s, one := server.Settings(), 1
	s.WaitReplicas, s.WaitTimeout = &one, 10*time.Millisecond
	c, log := mustNew(t, s)
	for range 3 {
		if ok, err := c.Write(t.Context(), "sallyport:k", set("sallyport:k", "v")); ok || err != nil {
			t.Errorf("got %t, %v, expected a write that isn't acknowledged", ok, err)
		}
	}
	begun := time.Now()
	err := c.MustWrite(t.Context(), "sallyport:k", set("sallyport:k", "v"))
	took := time.Since(begun)
	if !errors.Is(err, redis.ErrNotAcknowledged) || took < 1500*time.Millisecond || took > 2500*time.Millisecond {
		t.Errorf("got %v after %s, expected %v after 2 s", err, took, redis.ErrNotAcknowledged)
	}
	if n := c.Unacknowledged(); n != 4 {
		t.Errorf("%d writes are counted, expected 4", n)
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "redis.wait_replicas") {
		t.Errorf("the log: %s", text)
	}
	warnings, err := s.Examine(t.Context())
	const want = "redis.wait_replicas is 1, and no replica answers: start more, or set redis.wait_replicas lower"
	if err != nil || len(warnings) != 1 || warnings[0] != want {
		t.Errorf("got %q, %v", warnings, err)
	}
}

// TestWaitNotAllowed checks that the log and Examine name redis.wait_replicas if the ACL user may not run WAIT.
func TestWaitNotAllowed(t *testing.T) {
	server := redistest.Start(t)
	s, one := server.Settings(), 1
	s.WaitReplicas = &one
	if err := server.Client(t, 0).Do(t.Context(), "ACL", "SETUSER", s.Username, "-wait", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	c, log := mustNew(t, s)
	if ok, err := c.Write(t.Context(), "sallyport:k", set("sallyport:k", "v")); ok || err != nil {
		t.Errorf("got %t, %v, expected a write that isn't acknowledged", ok, err)
	}
	if !strings.Contains(log.String(), "redis.wait_replicas to 0") {
		t.Errorf("the log: %s", log)
	}
	if _, err := s.Examine(t.Context()); err == nil || !strings.Contains(err.Error(), "redis.wait_replicas to 0") {
		t.Errorf("got %v", err)
	}
}

// TestEvicting checks that Examine warns of a policy that evicts keys.
func TestEvicting(t *testing.T) {
	server := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	s := server.Settings()
	warnings, err := s.Examine(t.Context())
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "maxmemory-policy allkeys-lru") {
		t.Errorf("got %q, %v", warnings, err)
	}
}
