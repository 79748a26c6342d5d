package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// An issuer rotates refresh tokens: each is good once. Refreshing with a spent one is refused, as Keycloak does.
type issuer struct {
	*clock
	calls   atomic.Int32
	mu      sync.Mutex
	current string
	during  func() // while the token request is under way
}

var errRefused = errors.New("invalid_grant")

func (i *issuer) login() Login {
	a := john()
	i.current = a.Identity.Tokens.RefreshToken
	a.Identity.Tokens.Expiry = i.now().Add(-time.Second)
	return a
}

// refresh is what a flow does: nothing if the token is still good.
func (i *issuer) refresh(_ context.Context, current *Session) (*Session, error) {
	a := current.Login
	if i.now().Before(a.Identity.Tokens.Expiry) {
		return current, nil
	}
	i.calls.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	if a.Identity.Tokens.RefreshToken != i.current {
		return nil, errRefused
	}
	i.current += "+"
	if i.during != nil {
		i.during()
	}
	identity := *a.Identity
	identity.Tokens = auth.Tokens{AccessToken: "refreshed", RefreshToken: i.current, Expiry: i.now().Add(time.Hour)}
	a.Identity, a.Obtained = &identity, i.now()
	return current.With(a), nil
}

func refreshed(s *Session) bool {
	return s != nil && s.Login.Identity.Tokens.AccessToken == "refreshed"
}

func TestFiftyRequestsOnTwoReplicasRefreshOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		i, begun := &issuer{clock: r.clock}, make(chan struct{})
		i.during = func() { <-begun }
		replicas := []*Sessions{r.sessions(usual), r.sessions(usual)}
		id := r.start(replicas[0], nil, i.login())
		var wg sync.WaitGroup
		for n := range 50 {
			wg.Go(func() {
				if n == 49 {
					close(begun)
				}
				got, err := replicas[n%2].Update(t.Context(), id, i.refresh)
				if err != nil || !refreshed(got) {
					t.Errorf("got %v, %v, expected the refreshed session", got, err)
				}
			})
		}
		wg.Wait()
		if n := i.calls.Load(); n != 1 {
			t.Errorf("%d refreshes, expected 1", n)
		}
		for _, s := range replicas {
			if !refreshed(r.open(s, id).Session) {
				t.Error("the refreshed session wasn't saved")
			}
		}
	})
}

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
		got, err := s.Update(t.Context(), id, i.refresh)
		if err != nil || !refreshed(got) || i.calls.Load() != 1 {
			t.Errorf("got %v, %v, %d refreshes", got, err, i.calls.Load())
		}
		if waited := time.Since(begun); waited < life*9/10 {
			t.Errorf("it waited for %s, expected the lease's %s", waited, life)
		}
	})
}

// A heldStore tells whoever listens of the renewals of leases.
type heldStore struct {
	store
	renewals chan struct{}
}

func (h *heldStore) lease(ctx context.Context, id ID, holder string, life time.Duration) (bool, error) {
	ok, err := h.store.lease(ctx, id, holder, life)
	select {
	case h.renewals <- struct{}{}:
	default: // nobody listens: to wait here would be for ever once the test has seen enough
	}
	return ok, err
}

func TestALeaseIsRenewedAndCompared(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		s.patience.lease = 3 * time.Millisecond // a third of it is the pause between renewals
		store := s.store
		held := &heldStore{store, make(chan struct{}, 1)}
		s.store = held
		id, ctx := newID(), t.Context()
		release, ok, err := s.hold(ctx, id)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		for range 3 { // the first is the taking itself
			select {
			case <-held.renewals:
			case <-time.After(20 * time.Second):
				t.Fatal("the lease isn't renewed")
			}
		}
		release()

		s.patience.lease = time.Hour // long beyond this test: it can't run out under load
		if release, ok, err = s.hold(ctx, id); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if ok, err := store.lease(ctx, id, "other", time.Minute); ok || err != nil {
			t.Fatalf("the other got it although it was held: %v, %v", ok, err)
		}
		if err := store.release(ctx, id, "other"); err != nil {
			t.Fatal(err)
		}
		if ok, _ := store.lease(ctx, id, "other", time.Minute); ok {
			t.Fatal("who didn't hold it released it")
		}
		release()
		for range 2 { // the second time as a client does that lost the answer to the first
			if ok, err := store.lease(ctx, id, "other", time.Hour); !ok || err != nil {
				t.Fatalf("got %v, %v, expected the lease", ok, err)
			}
		}
	})
}

// Renewing a lease prolongs its life: it outlives the time for which it was taken.
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
			t.Errorf("got %v, %v, expected that the lease goes on", ok, err)
		}
		r.pass(time.Hour)
		if ok, err := s.store.lease(t.Context(), id, "other", time.Hour); !ok || err != nil {
			t.Errorf("got %v, %v, expected that the lease has run out", ok, err)
		}
	})
}

func TestAWaitHasAnEnd(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s := r.sessions(usual)
		s.patience.wait = 50 * time.Millisecond
		id := r.start(s, nil, i.login())
		s.store.lease(t.Context(), id, "slow", time.Minute)
		if _, err := s.Update(t.Context(), id, i.refresh); !errors.Is(err, ErrUnavailable) || i.calls.Load() != 0 {
			t.Errorf("got %v, expected %v", err, ErrUnavailable)
		}
	})
}

func TestLogoutDuringARefreshIsNotUndone(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s, other := r.sessions(usual), r.sessions(usual)
		id := r.start(s, nil, i.login())
		i.during = func() {
			if err := other.End(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.Update(t.Context(), id, i.refresh); !isNotFound(err) {
			t.Errorf("got %v, expected %v", err, ErrNotFound)
		}
		r.gone(s, id)
		r.gone(other, id)
	})
}

func TestWhatRefreshSays(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		id := r.start(s, nil, john())
		before := r.open(s, id).Session
		got, err := s.Update(t.Context(), id, func(context.Context, *Session) (*Session, error) { return nil, errRefused })
		if got != nil || !errors.Is(err, errRefused) {
			t.Errorf("got %v, %v, expected %v", got, err, errRefused)
		}
		if _, err = s.Update(t.Context(), id, func(context.Context, *Session) (*Session, error) { panic("a bug") }); err == nil {
			t.Error("a panic was no error")
		}
		got, err = s.Update(t.Context(), id, func(_ context.Context, current *Session) (*Session, error) { return current, nil })
		if err != nil || got != before || r.open(s, id).Session != before {
			t.Errorf("nothing to do: got %v, %v", got, err)
		}
		called := false
		_, err = s.Update(t.Context(), newID(), func(_ context.Context, current *Session) (*Session, error) { called = true; return current, nil })
		if !isNotFound(err) || called {
			t.Errorf("no session: got %v, called %v", err, called)
		}
	})
}

// The caller's browser went away: what the issuer answered is saved all the same.
func TestARefreshGoesOnWithoutItsCaller(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s := r.sessions(usual)
		id := r.start(s, nil, i.login())
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		i.during = func() { cancel(); <-gone }
		if _, err := s.Update(ctx, id, i.refresh); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		close(gone)
		if got, err := s.Update(t.Context(), id, i.refresh); err != nil || !refreshed(got) || i.calls.Load() != 1 {
			t.Errorf("got %v, %v after %d refreshes", got, err, i.calls.Load())
		}
	})
}

func TestUpdateFollowsARotatedID(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s := r.sessions(timeouts{rolling: time.Hour})
		old := r.start(s, nil, i.login())
		r.pass(50 * time.Minute)
		next := r.open(s, old).ID
		if got, err := s.Update(t.Context(), old, i.refresh); err != nil || !refreshed(got) {
			t.Fatalf("got %v, %v", got, err)
		}
		if !refreshed(r.open(s, next).Session) {
			t.Error("the successor wasn't refreshed")
		}
	})
}

// A process that was stopped for so long that its lease ran out must not lose what the issuer gave it, wherever the
// session went meanwhile.
func TestARefreshOutlivesItsLease(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other := r.sessions(usual), r.sessions(usual)
		i := &issuer{clock: r.clock}
		id := r.start(s, nil, i.login())
		var next ID
		i.during = func() { // the other rotates without the lease
			e, err := other.store.load(t.Context(), id)
			if err != nil {
				t.Error(err)
				return
			}
			moved, err := other.move(t.Context(), e)
			if err != nil || moved.id == id {
				t.Error("not moved", err)
				return
			}
			next = moved.id
		}
		if got, err := s.Update(t.Context(), id, i.refresh); err != nil || !refreshed(got) {
			t.Fatalf("got %v, %v", got, err)
		}
		if got := r.open(other, next).Session; !refreshed(got) {
			t.Error("the refresh is lost")
		}
	})
}

// quicker is a refresh by another replica, whose clock is an hour behind, while ours is under way without a lease.
func (r *rig) quicker(other *Sessions, id ID) *Session {
	r.Helper()
	e, err := other.store.load(r.Context(), id)
	if err != nil {
		r.Fatal(err)
	}
	l := e.session.Login
	identity := *l.Identity
	identity.Tokens.AccessToken, identity.Tokens.RefreshToken = "the other's", "the other's"
	l.Identity, l.Obtained = &identity, l.Obtained.Add(-time.Hour)
	next := e.session.With(l)
	if err := other.store.swap(r.Context(), e, &entry{id: id, session: next}); err != nil {
		r.Fatal(err)
	}
	return next
}

// After a lost lease the answer that was saved first stays, whatever the clocks of the two replicas say.
func TestTheFirstAnswerStays(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other, i := r.sessions(usual), r.sessions(usual), &issuer{clock: r.clock}
		id := r.start(s, nil, i.login())
		i.during = func() { r.quicker(other, id) }
		got, err := s.Update(t.Context(), id, i.refresh)
		if err != nil || got.Login.Identity.Tokens.AccessToken != "the other's" {
			t.Fatalf("got %v, %v, expected what the other replica saved", got, err)
		}
		for _, s := range []*Sessions{s, other} {
			if got := r.open(s, id).Session.Login.Identity.Tokens.RefreshToken; got != "the other's" {
				t.Errorf("the store has %q", got)
			}
		}
	})
}

// A refresh that is refused ends the login, unless another replica has refreshed it meanwhile.
func TestARefusedRefresh(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other, i := r.sessions(usual), r.sessions(usual), &issuer{clock: r.clock}
		refused := fmt.Errorf("%w: invalid_grant", ErrEnded)
		id := r.start(s, nil, i.login())
		got, err := s.Update(t.Context(), id, func(context.Context, *Session) (*Session, error) {
			r.quicker(other, id)
			return nil, refused
		})
		if err != nil || got.Login.Identity.Tokens.AccessToken != "the other's" {
			t.Errorf("got %v, %v, expected what the other replica saved", got, err)
		}
		r.open(other, id)
		if _, err := s.Update(t.Context(), id, func(context.Context, *Session) (*Session, error) { return nil, refused }); !errors.Is(err, ErrEnded) {
			t.Errorf("got %v, expected %v", err, ErrEnded)
		}
		r.gone(s, id)
		r.gone(other, id)
	})
}

// A login under the cookie's name while the login before is being refreshed: the old one ends, the new one is untouched.
func TestALoginDuringARefresh(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other, i := r.sessions(usual), r.sessions(usual), &issuer{clock: r.clock}
		id := r.start(s, nil, i.login())
		var next ID
		i.during = func() { next = r.start(other, &id, john()) }
		if _, err := s.Update(t.Context(), id, i.refresh); !errors.Is(err, ErrReplaced) {
			t.Errorf("got %v, expected %v", err, ErrReplaced)
		}
		if got := r.open(other, next).Session; refreshed(got) {
			t.Error("the new login has the old one's tokens")
		}
		r.gone(s, id)
	})
}

func TestCloseWaitsForUpdates(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s, other := r.sessions(usual), r.sessions(usual)
		id := r.start(other, nil, i.login())
		begun, closing := make(chan struct{}), make(chan error)
		i.during = func() {
			close(begun)
			<-s.closing.Done()
		}
		go s.Update(t.Context(), id, i.refresh)
		<-begun
		go func() { closing <- s.Close() }()
		if err := <-closing; err != nil {
			t.Error(err)
		}
		if !refreshed(r.open(other, id).Session) {
			t.Error("Close didn't wait")
		}
		if _, err := s.Update(t.Context(), id, i.refresh); !errors.Is(err, ErrUnavailable) {
			t.Errorf("after Close: got %v", err)
		}
	})
}
