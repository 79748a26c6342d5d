package session

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestALeaseWhoseHolderDiedIsTakenOver(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s := r.sessions(usual)
		id := r.start(s, nil, i.login())
		const life = 300 * time.Millisecond
		if ok, err := s.store.lease(t.Context(), id, "dead", life); !ok || err != nil {
			t.Fatal(ok, err)
		}
		begun := time.Now()
		got, err := s.Update(t.Context(), id, i.refresh, noDiscard)
		if err != nil || !refreshed(got) || i.calls.Load() != 1 {
			t.Errorf("got %v, %v, %d refreshes", got, err, i.calls.Load())
		}
		if waited := time.Since(begun); waited < life*9/10 {
			t.Errorf("it waited for %s, expected the lease's %s", waited, life)
		}
	})
}

// A heldStore signals each call of lease.
type heldStore struct {
	store
	renewals chan struct{}
}

func (h *heldStore) lease(ctx context.Context, id ID, holder string, life time.Duration) (bool, error) {
	ok, err := h.store.lease(ctx, id, holder, life)
	select {
	case h.renewals <- struct{}{}:
	default: // the test has read enough: don't block
	}
	return ok, err
}

func TestALeaseIsRenewedAndCompared(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		s.timing.lease = 3 * time.Millisecond // a third of it is the pause between renewals
		store := s.store
		held := &heldStore{store, make(chan struct{}, 1)}
		s.store = held
		id, ctx := newID(), t.Context()
		release, ok, err := s.tryLease(ctx, id)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		for range 3 { // the first takes the lease
			select {
			case <-held.renewals:
			case <-time.After(20 * time.Second):
				t.Fatal("the lease isn't renewed")
			}
		}
		release()

		s.timing.lease = time.Hour // longer than this test: it can't expire under load
		if release, ok, err = s.tryLease(ctx, id); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if ok, err := store.lease(ctx, id, "other", time.Minute); ok || err != nil {
			t.Fatalf("another holder got the lease while it was held: %v, %v", ok, err)
		}
		if err := store.release(ctx, id, "other"); err != nil {
			t.Fatal(err)
		}
		if ok, _ := store.lease(ctx, id, "other", time.Minute); ok {
			t.Fatal("another holder released the lease")
		}
		release()
		for range 2 { // the second as the Redis client repeats a command whose response was lost
			if ok, err := store.lease(ctx, id, "other", time.Hour); !ok || err != nil {
				t.Fatalf("got %v, %v, expected the lease", ok, err)
			}
		}
	})
}

// A renewal extends a lease beyond its first life.
func TestARenewalProlongsTheLease(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, id := r.sessions(usual), newID()
		for range 3 {
			if ok, err := s.store.lease(t.Context(), id, "holder", time.Hour); !ok || err != nil {
				t.Fatal(ok, err)
			}
			r.pass(40 * time.Minute)
		}
		if ok, err := s.store.lease(t.Context(), id, "other", time.Hour); ok || err != nil {
			t.Errorf("got %v, %v, expected that the lease is still held", ok, err)
		}
		r.pass(time.Hour)
		if ok, err := s.store.lease(t.Context(), id, "other", time.Hour); !ok || err != nil {
			t.Errorf("got %v, %v, expected that the lease has expired", ok, err)
		}
	})
}

func TestAWaitHasAnEnd(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s := r.sessions(usual)
		s.timing.wait = 50 * time.Millisecond
		id := r.start(s, nil, i.login())
		s.store.lease(t.Context(), id, "slow", time.Minute)
		if _, err := s.Update(t.Context(), id, i.refresh, noDiscard); !errors.Is(err, ErrUnavailable) || i.calls.Load() != 0 {
			t.Errorf("got %v, expected %v", err, ErrUnavailable)
		}
	})
}
