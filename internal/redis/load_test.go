package redis_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/redis"
)

// putScript stores a value. It is sent by its digest first, so that each new master answers NOSCRIPT.
var putScript = goredis.NewScript(`return redis.call('SET', KEYS[1], ARGV[1])`)

// A load writes and reads keys all the time.
type load struct {
	*testing.T
	c    *redis.Client
	key  func(worker, n int) string
	stop func()

	mu           sync.Mutex
	writes       int
	since        int // writes since the last call of await
	acknowledged map[string]string
	failed       []time.Time
	last         error // the last error
}

// startLoad starts four workers, which stop when the test ends.
func startLoad(t *testing.T, c *redis.Client, key func(worker, n int) string) *load {
	l := &load{T: t, c: c, key: key, acknowledged: map[string]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.one(ctx, key(w, n), fmt.Sprint("value ", w, n), n%2 == 0)
			}
		})
	}
	l.stop = func() {
		cancel()
		workers.Wait()
	}
	t.Cleanup(l.stop)
	return l
}

// one writes a key and reads it again if it was acknowledged.
func (l *load) one(ctx context.Context, key, value string, byScript bool) {
	ok, err := l.c.Write(ctx, key, func(ctx context.Context, c goredis.Cmdable) error {
		if byScript {
			return putScript.Run(ctx, c, []string{key}, value).Err()
		}
		return c.Set(ctx, key, value, 0).Err()
	})
	var read string
	if err == nil && ok {
		if read, err = l.c.Get(ctx, key).Result(); err == nil && read != value {
			l.Errorf("%s is %q, expected %q", key, read, value)
		}
	}
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writes++; ok {
		l.acknowledged[key] = value
	}
	if err != nil {
		l.failed, l.last = append(l.failed, time.Now()), err
	} else {
		l.since++
	}
}

// await waits until n more keys are written after at.
func (l *load) await(n int, at time.Time) {
	l.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		l.mu.Lock()
		if time.Now().Before(at) {
			l.since = 0
		}
		enough := l.since >= n
		if enough {
			l.since = 0
		}
		l.mu.Unlock()
		if enough {
			return
		}
		if time.Now().After(end) {
			l.Fatalf("nothing is written any more: %v", l.last)
		}
	}
}

// quiet expects that no command failed before fault, and none more than 3 s after back.
func (l *load) quiet(fault, back time.Time) {
	l.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var least, most time.Duration
	for _, at := range l.failed {
		least, most = min(least, at.Sub(fault)), max(most, at.Sub(back))
	}
	if least < 0 || most > 3*time.Second {
		l.Errorf("errors from %s before the fault until %s after its end: %v", -least, most, l.last)
	}
	l.Logf("%d writes, %d acknowledged, %d errors, the last %s after the part was back: %v",
		l.writes, len(l.acknowledged), len(l.failed), most.Round(time.Millisecond), l.last)
}

// complete stops the load, and expects all acknowledged writes.
func (l *load) complete() {
	l.Helper()
	l.stop()
	lost := 0
	for key, value := range l.acknowledged {
		if got, err := l.c.Get(l.Context(), key).Result(); err != nil || got != value {
			lost++
			l.Logf("%s is %q, %v, expected %q", key, got, err, value)
		}
	}
	if lost > 0 || len(l.acknowledged) == 0 {
		l.Errorf("%d of %d acknowledged writes are lost", lost, len(l.acknowledged))
	}
}
