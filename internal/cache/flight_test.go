package cache

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// While a source hangs, the number of waiting callers is bounded, and they use no goroutine besides their own. Further callers
// get ErrCrowd at once; when a caller gives up, another may wait.
func TestACrowdIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, release := NewFlight[string, string](time.Hour), make(chan struct{})
		var asked, answered, refused atomic.Int64
		ask := func(context.Context) (string, error) {
			asked.Add(1)
			<-release
			return "x", nil
		}
		one, giveUp := context.WithCancel(t.Context())
		wait := func(ctx context.Context) {
			switch v, err := f.Do(ctx, "k", ask); {
			case err == nil && v == "x":
				answered.Add(1)
			case errors.Is(err, ErrCrowd):
				refused.Add(1)
			case ctx.Err() == nil:
				t.Errorf("got %q, %v", v, err)
			}
		}
		go wait(one)
		const more = 2000 // in all less than the goroutines that the race detector can tell apart
		for range MaxWaiting + more - 1 {
			go wait(t.Context())
		}
		synctest.Wait()
		if n := refused.Load(); n != more || f.waiting != MaxWaiting {
			t.Errorf("%d are refused at once and %d wait, expected that %d wait", n, f.waiting, MaxWaiting)
		}
		giveUp()
		synctest.Wait()
		go wait(t.Context())
		synctest.Wait()
		close(release)
		synctest.Wait()
		if asked.Load() != 1 || answered.Load() != MaxWaiting || f.waiting != 0 || len(f.calls) != 0 {
			t.Errorf("asked %d times, answered %d, %d wait, %d calls", asked.Load(), answered.Load(), f.waiting, len(f.calls))
		}
	})
}

// A call has a limit, and a panic in it becomes the error of all callers.
func TestACallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFlight[int, int](time.Second)
		_, err := f.Do(t.Context(), 1, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		_, err = f.Do(t.Context(), 1, func(context.Context) (int, error) { panic("of the test") })
		if err == nil || !strings.Contains(err.Error(), "of the test") {
			t.Errorf("got %v", err)
		}
	})
}

// Of all concurrent callers that find that an entry must be loaded again, one loads it.
func TestOneClaims(t *testing.T) {
	now := time.Now()
	for range 20_000 {
		f, start := &entry[string]{}, make(chan struct{})
		var claimed atomic.Int64
		ended := make(chan struct{})
		for range 4 {
			go func() {
				<-start
				if f.claimLoad(now) {
					claimed.Add(1)
				}
				ended <- struct{}{}
			}()
		}
		close(start)
		for range 4 {
			<-ended
		}
		if n := claimed.Load(); n != 1 {
			t.Fatalf("%d callers claimed an entry, expected one", n)
		}
		if f.claimLoad(now.Add(retryAfter - 1)) {
			t.Fatal("claimed again before retryAfter")
		}
		if !f.claimLoad(now.Add(retryAfter)) {
			t.Fatal("not claimed after it")
		}
	}
}

// A value whose lifetime is about to end is loaded once in the background, however many callers get it meanwhile: none of them
// starts a goroutine or waits.
func TestAheadOfACrowd(t *testing.T) {
	r := newRig(t, Times{TTL: time.Minute, Ahead: 10 * time.Second})
	first := r.get(1, nil)
	r.pass(51 * time.Second)
	begun, release := make(chan struct{}, 1), make(chan struct{})
	slow := func(context.Context) (string, time.Time, error) {
		begun <- struct{}{}
		<-release
		return "renewed", time.Time{}, nil
	}
	before := runtime.NumGoroutine()
	for range 10_000 {
		if got, err := r.cache.Get(t.Context(), KeyOf(nil, "k"), slow); got != first || err != nil {
			t.Fatalf("got %q, %v, expected the cached one", got, err)
		}
	}
	if more := runtime.NumGoroutine() - before; more > 10 {
		t.Errorf("%d goroutines more, expected one that waits and one that asks", more)
	}
	<-begun
	close(release)
	for end := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		if got, _ := r.cache.Peek(KeyOf(nil, "k")); got == "renewed" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the value is not renewed")
		}
	}
}
