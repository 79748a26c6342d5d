package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	errRefused = errors.New("refused")
	errAway    = errors.New("away")
)

// A rig is a cache of strings over a source that counts its calls.
type rig struct {
	*testing.T
	cache *Cache[string]
	mu    sync.Mutex
	now   time.Time
	asked atomic.Int64
	ends  time.Duration // until a value expires; zero: values have no expiry
	err   error         // of the source
}

func newRig(t *testing.T, times Times) *rig {
	r := &rig{T: t, now: time.Now()}
	r.cache = New(Config[string]{
		Times: times, Bytes: 1 << 20, Size: func(s string) int { return len(s) }, Limit: time.Second,
		Verdict: func(err error) bool { return errors.Is(err, errRefused) },
		Now:     func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now },
	})
	return r
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func (r *rig) load(context.Context) (string, time.Time, error) {
	n := r.asked.Add(1)
	if r.err != nil {
		return "", time.Time{}, r.err
	}
	var expires time.Time
	if r.ends != 0 {
		expires = r.cache.config.Now().Add(r.ends)
	}
	return fmt.Sprint("answer ", n), expires, nil
}

// get expects an answer, and the number of calls so far.
func (r *rig) get(wantCalls int64, wantErr error) string {
	r.Helper()
	v, err := r.cache.Get(context.Background(), KeyOf(nil, "k"), r.load)
	if !errors.Is(err, wantErr) || wantErr == nil && err != nil {
		r.Errorf("got the error %v, expected %v", err, wantErr)
	}
	if got := r.asked.Load(); got != wantCalls {
		r.Errorf("asked %d times, expected %d", got, wantCalls)
	}
	return v
}

func TestTimes(t *testing.T) {
	for name, c := range map[string]struct {
		times  Times
		ends   time.Duration
		serves time.Duration
	}{
		"a value's own expiry":                 {Times{TTL: time.Hour}, time.Minute, time.Minute},
		"none: the TTL":                        {Times{TTL: time.Hour}, 0, time.Hour},
		"clamped":                              {Times{TTL: time.Hour, Max: 10 * time.Second}, time.Minute, 10 * time.Second},
		"none, clamped":                        {Times{TTL: time.Hour, Max: 10 * time.Second}, 0, 10 * time.Second},
		"at least, but never past its expiry":  {Times{TTL: time.Second, Min: time.Hour}, time.Minute, time.Minute},
		"at least, where it names none":        {Times{TTL: time.Second, Min: time.Minute}, 0, time.Minute},
		"resurrecting doesn't prolong":         {Times{TTL: time.Minute, Resurrect: time.Hour}, 0, time.Minute},
		"asking ahead doesn't shorten it much": {Times{TTL: time.Minute}, 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.times)
			r.ends = c.ends
			r.get(1, nil)
			r.pass(c.serves - time.Second)
			r.get(1, nil)
			r.pass(time.Second)
			r.get(2, nil)
		})
	}
}

// A value that has expired is never cached, and no setting lets a value be used after its expiry.
func TestExpiredIsNotKept(t *testing.T) {
	r := newRig(t, Times{TTL: time.Hour, Min: time.Hour, Resurrect: time.Hour})
	r.ends = -time.Second
	r.get(1, nil)
	r.get(2, nil)
	r.ends = time.Minute
	r.get(3, nil)
	r.pass(time.Minute)
	r.err = errAway
	r.get(4, errAway)
}

func TestRefusals(t *testing.T) {
	r := newRig(t, Times{TTL: time.Hour, Negative: 5 * time.Second})
	r.err = errRefused
	r.get(1, errRefused)
	r.get(1, errRefused)
	r.pass(5 * time.Second)
	r.err = nil
	r.get(2, nil)
	r.get(2, nil)
	// an outage says nothing about the credential: it is never cached
	away := newRig(t, Times{TTL: time.Hour, Negative: 5 * time.Second})
	away.err = errAway
	away.get(1, errAway)
	away.get(2, errAway)
	off := newRig(t, Times{TTL: time.Hour})
	off.err = errRefused
	off.get(1, errRefused)
	off.get(2, errRefused)
}

// An old value is used during an outage, and a slow source delays only one request.
func TestResurrect(t *testing.T) {
	r := newRig(t, Times{TTL: time.Minute, Resurrect: time.Minute})
	first := r.get(1, nil)
	r.pass(time.Minute)
	r.err = errAway
	if got := r.get(2, nil); got != first {
		t.Errorf("got %q, expected the old %q", got, first)
	}
	r.get(2, nil)
	r.pass(retryAfter)
	r.get(3, nil)
	r.pass(time.Minute)
	r.get(4, errAway)
	// a negative answer replaces the old value
	r = newRig(t, Times{TTL: time.Minute, Resurrect: time.Hour})
	r.get(1, nil)
	r.pass(time.Minute)
	r.err = errRefused
	r.get(2, errRefused)
	r.err = errAway
	r.get(3, errAway)
}

// A value whose lifetime is about to end is loaded again in the background: no caller waits.
func TestAhead(t *testing.T) {
	r := newRig(t, Times{TTL: time.Minute, Ahead: 10 * time.Second})
	first := r.get(1, nil)
	r.pass(51 * time.Second)
	if got, _ := r.cache.Get(context.Background(), KeyOf(nil, "k"), r.load); got != first {
		t.Errorf("got %q, expected the cached one", got)
	}
	for end := time.Now().Add(5 * time.Second); ; {
		if v, _ := r.cache.Peek(KeyOf(nil, "k")); v != first {
			break
		}
		if time.Now().After(end) {
			t.Fatal("never loaded again")
		}
		runtime.Gosched()
	}
	r.get(2, nil)
}

// All concurrent callers share one call, and a caller that gives up doesn't end it for the others.
func TestOneCall(t *testing.T) {
	r := newRig(t, Times{TTL: time.Hour})
	begun, release := make(chan struct{}), make(chan struct{})
	slow := func(ctx context.Context) (string, time.Time, error) {
		r.asked.Add(1)
		close(begun)
		<-release
		return "x", time.Time{}, ctx.Err()
	}
	gone, cancel := context.WithCancel(context.Background())
	failed := make(chan error)
	go func() { _, err := r.cache.Get(gone, KeyOf(nil, "k"), slow); failed <- err }()
	<-begun
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that gave up got %v", err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if v, err := r.cache.Get(context.Background(), KeyOf(nil, "k"), slow); v != "x" || err != nil {
				t.Errorf("got %q, %v", v, err)
			}
		})
	}
	close(release)
	all.Wait()
	if got := r.asked.Load(); got != 1 {
		t.Errorf("asked %d times", got)
	}
}

// A million different bad credentials use bounded memory, and evict no value.
func TestBadCredentialsAreBounded(t *testing.T) {
	r := newRig(t, Times{TTL: time.Hour, Negative: time.Hour})
	r.get(1, nil)
	before := heapBytes()
	refuse := func(context.Context) (string, time.Time, error) { return "", time.Time{}, errRefused }
	for n := range floods {
		r.cache.Get(context.Background(), KeyOf(nil, fmt.Sprint("bad ", n)), refuse)
	}
	r.cache.negative.CleanUp()
	if got := r.cache.negative.EstimatedSize(); got > maxNegative+1000 {
		t.Errorf("%d negative answers are cached, expected at most %d", got, maxNegative)
	}
	if grown := int64(heapBytes()) - int64(before); grown > 32<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	r.get(1, nil)
}

// Values use bounded memory.
func TestFactsAreBounded(t *testing.T) {
	r := newRig(t, Times{TTL: time.Hour})
	big := string(make([]byte, 1024))
	for n := range 20_000 {
		load := func(context.Context) (string, time.Time, error) { return big, time.Time{}, nil }
		r.cache.Get(context.Background(), KeyOf(nil, fmt.Sprint(n)), load)
	}
	r.cache.entries.CleanUp()
	if got := r.cache.entries.WeightedSize(); got > 1<<20 {
		t.Errorf("values of %d bytes are cached, expected at most 1 MiB", got)
	}
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestKeysAreUnambiguous(t *testing.T) {
	seen := map[Key]bool{}
	for _, parts := range [][]string{{"a", "bc"}, {"ab", "c"}, {"abc"}, {"", "abc"}, {"abc", ""}} {
		if k := KeyOf([]byte("secret"), parts...); seen[k] {
			t.Errorf("%q: the key of another", parts)
		} else {
			seen[k] = true
		}
	}
	if KeyOf([]byte("one"), "x") == KeyOf([]byte("two"), "x") {
		t.Error("the secret doesn't matter")
	}
}
