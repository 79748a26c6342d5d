package session

import (
	"context"
	"errors"
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

func (i *issuer) audience() Audience {
	a := john()
	i.current = a.Identity.Tokens.RefreshToken
	a.Identity.Tokens.Expiry = i.now().Add(-time.Second)
	return a
}

// refresh is what a flow does: nothing if the token is still good.
func (i *issuer) refresh(_ context.Context, current *Session) (*Session, error) {
	a := *current.Audience("default", john().Issuer, "app")
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
	a.Identity, a.Updated = &identity, i.now()
	return current.With(a), nil
}

func refreshed(s *Session) bool {
	return s != nil && s.Audiences[0].Identity.Tokens.AccessToken == "refreshed"
}

func TestFiftyRequestsOnTwoReplicasRefreshOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		i, begun := &issuer{clock: r.clock}, make(chan struct{})
		i.during = func() { <-begun }
		replicas := []*Sessions{r.sessions(usual), r.sessions(usual)}
		id := r.start(replicas[0], nil, i.audience())
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
		id := r.start(s, nil, i.audience())
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

func TestALeaseIsRenewedAndCompared(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		s.patience.lease = 90 * time.Millisecond
		id, ctx := newID(), t.Context()
		release, ok, err := s.hold(ctx, id)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		for end := time.Now().Add(4 * s.patience.lease); time.Now().Before(end); {
			if ok, err := s.store.lease(ctx, id, "other", time.Minute); ok || err != nil {
				t.Fatalf("the other got it although it was renewed: %v, %v", ok, err)
			}
		}
		if err := s.store.release(ctx, id, "other"); err != nil {
			t.Fatal(err)
		}
		if ok, _ := s.store.lease(ctx, id, "other", time.Minute); ok {
			t.Fatal("who didn't hold it released it")
		}
		release()
		for range 2 { // the second time as a client does that lost the answer to the first
			if ok, err := s.store.lease(ctx, id, "other", time.Minute); !ok || err != nil {
				t.Fatalf("got %v, %v, expected the lease", ok, err)
			}
		}
	})
}

func TestAWaitHasAnEnd(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s := r.sessions(usual)
		s.patience.wait = 50 * time.Millisecond
		id := r.start(s, nil, i.audience())
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
		id := r.start(s, nil, i.audience())
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
		id := r.start(s, nil, i.audience())
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

func TestUpdateFollowsARenewedID(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s := r.sessions(timeouts{rolling: time.Hour})
		old := r.start(s, nil, i.audience())
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
		id := r.start(s, nil, i.audience())
		var next ID
		i.during = func() { // the other renews without the lease, and adds a login
			e, err := other.store.load(t.Context(), id)
			if err != nil {
				t.Error(err)
				return
			}
			a := john()
			a.Name, next = "other", newID()
			if err := other.store.save(t.Context(), next, e.session.With(a), e, true); err != nil {
				t.Error(err)
			}
		}
		if got, err := s.Update(t.Context(), id, i.refresh); err != nil || !refreshed(got) || len(got.Audiences) != 2 {
			t.Fatalf("got %v, %v", got, err)
		}
		if got := r.open(other, next).Session; !refreshed(got) || got.Audience("other", john().Issuer, "app") == nil {
			t.Error("one of both changes is lost")
		}
	})
}

func TestCloseWaitsForUpdates(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s, other := r.sessions(usual), r.sessions(usual)
		id := r.start(other, nil, i.audience())
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
