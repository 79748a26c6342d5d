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

// An issuer replaces the refresh token at each use. It refuses one that was used before, as Keycloak does.
type issuer struct {
	*clock
	calls   atomic.Int32
	mu      sync.Mutex
	current string
	during  func() // while the token request is under way
}

var errRefused = errors.New("invalid_grant")

func (i *issuer) login() Login {
	l := john()
	i.current = l.Identity.Tokens.RefreshToken
	l.Identity.Tokens.Expiry = i.now().Add(-time.Second)
	return l
}

// refresh refreshes as a flow does: it does nothing if the access token is still valid.
func (i *issuer) refresh(_ context.Context, current *Session) (*Session, error) {
	l := current.Login
	if i.now().Before(l.Identity.Tokens.Expiry) {
		return current, nil
	}
	i.calls.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	if l.Identity.Tokens.RefreshToken != i.current {
		return nil, errRefused
	}
	i.current += "+"
	if i.during != nil {
		i.during()
	}
	identity := *l.Identity
	identity.Tokens = auth.Tokens{AccessToken: "refreshed", RefreshToken: i.current, Expiry: i.now().Add(time.Hour)}
	l.Identity, l.Obtained = &identity, i.now()
	return current.With(l), nil
}

func refreshed(s *Session) bool {
	return s != nil && s.Login.Identity.Tokens.AccessToken == "refreshed"
}

func TestFiftyRequestsOnTwoReplicasRefreshOnce(t *testing.T) {
	onBoth(t, fiftyRequestsOnTwoReplicasRefreshOnce)
}

func fiftyRequestsOnTwoReplicasRefreshOnce(r *rig) {
	t := r.T
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
			got, err := replicas[n%2].Update(t.Context(), id, i.refresh, noDiscard)
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
}

func TestLogoutDuringARefreshIsNotUndone(t *testing.T) { onBoth(t, logoutDuringARefreshIsNotUndone) }

func logoutDuringARefreshIsNotUndone(r *rig) {
	t := r.T
	i := &issuer{clock: r.clock}
	s, other := r.sessions(usual), r.sessions(usual)
	id := r.start(s, nil, i.login())
	i.during = func() {
		if err := other.End(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Update(t.Context(), id, i.refresh, noDiscard); !isNotFound(err) {
		t.Errorf("got %v, expected %v", err, ErrNotFound)
	}
	r.gone(s, id)
	r.gone(other, id)
}

func TestWhatRefreshSays(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		id := r.start(s, nil, john())
		before := r.open(s, id).Session
		got, err := s.Update(t.Context(), id, func(context.Context, *Session) (*Session, error) { return nil, errRefused }, noDiscard)
		if got != nil || !errors.Is(err, errRefused) {
			t.Errorf("got %v, %v, expected %v", got, err, errRefused)
		}
		if _, err = s.Update(t.Context(), id, func(context.Context, *Session) (*Session, error) { panic("a bug") }, noDiscard); err == nil {
			t.Error("a panic was no error")
		}
		got, err = s.Update(t.Context(), id, func(_ context.Context, current *Session) (*Session, error) { return current, nil }, noDiscard)
		if err != nil || got != before || r.open(s, id).Session != before {
			t.Errorf("an unchanged session: got %v, %v", got, err)
		}
		called := false
		_, err = s.Update(t.Context(), newID(), func(_ context.Context, current *Session) (*Session, error) {
			called = true
			return current, nil
		}, noDiscard)
		if !isNotFound(err) || called {
			t.Errorf("no session: got %v, called %v", err, called)
		}
	})
}

// A refresh is saved although its caller has given up.
func TestARefreshGoesOnWithoutItsCaller(t *testing.T) {
	onBoth(t, func(r *rig) {
		i := &issuer{clock: r.clock}
		s := r.sessions(usual)
		id := r.start(s, nil, i.login())
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		i.during = func() { cancel(); <-gone }
		if _, err := s.Update(ctx, id, i.refresh, noDiscard); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		close(gone)
		if got, err := s.Update(t.Context(), id, i.refresh, noDiscard); err != nil || !refreshed(got) || i.calls.Load() != 1 {
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
		if got, err := s.Update(t.Context(), old, i.refresh, noDiscard); err != nil || !refreshed(got) {
			t.Fatalf("got %v, %v", got, err)
		}
		if !refreshed(r.open(s, next).Session) {
			t.Error("the successor wasn't refreshed")
		}
	})
}

// A process that is suspended for longer than its lease lives does not lose the refreshed tokens, although the session was rotated
// meanwhile.
func TestARefreshOutlivesItsLease(t *testing.T) { onBoth(t, aRefreshOutlivesItsLease) }

func aRefreshOutlivesItsLease(r *rig) {
	t := r.T
	s, other := r.sessions(usual), r.sessions(usual)
	i := &issuer{clock: r.clock}
	id := r.start(s, nil, i.login())
	var next ID
	i.during = func() { // the other replica rotates without the lease
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
	if got, err := s.Update(t.Context(), id, i.refresh, noDiscard); err != nil || !refreshed(got) {
		t.Fatalf("got %v, %v", got, err)
	}
	if got := r.open(other, next).Session; !refreshed(got) {
		t.Error("the refresh is lost")
	}
}

// quicker refreshes the session in another replica, whose clock is an hour behind.
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

// After a lost lease the refresh that was saved first counts, whatever the clocks of the two replicas say.
func TestTheFirstAnswerStays(t *testing.T) { onBoth(t, theFirstAnswerStays) }

func theFirstAnswerStays(r *rig) {
	t := r.T
	s, other, i := r.sessions(usual), r.sessions(usual), &issuer{clock: r.clock}
	id := r.start(s, nil, i.login())
	i.during = func() { r.quicker(other, id) }
	got, err := s.Update(t.Context(), id, i.refresh, noDiscard)
	if err != nil || got.Login.Identity.Tokens.AccessToken != "the other's" {
		t.Fatalf("got %v, %v, expected the session that the other replica saved", got, err)
	}
	for _, s := range []*Sessions{s, other} {
		if got := r.open(s, id).Session.Login.Identity.Tokens.RefreshToken; got != "the other's" {
			t.Errorf("the store has %q", got)
		}
	}
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
		}, noDiscard)
		if err != nil || got.Login.Identity.Tokens.AccessToken != "the other's" {
			t.Errorf("got %v, %v, expected the session that the other replica saved", got, err)
		}
		r.open(other, id)
		refuse := func(context.Context, *Session) (*Session, error) { return nil, refused }
		if _, err := s.Update(t.Context(), id, refuse, noDiscard); !errors.Is(err, ErrEnded) {
			t.Errorf("got %v, expected %v", err, ErrEnded)
		}
		r.gone(s, id)
		r.gone(other, id)
	})
}

// A login while the browser's former session is being refreshed ends the former one and leaves the new one unchanged.
func TestALoginDuringARefresh(t *testing.T) { onBoth(t, aLoginDuringARefresh) }

func aLoginDuringARefresh(r *rig) {
	t := r.T
	s, other, i := r.sessions(usual), r.sessions(usual), &issuer{clock: r.clock}
	id := r.start(s, nil, i.login())
	var next ID
	i.during = func() { next = r.start(other, &id, john()) }
	if _, err := s.Update(t.Context(), id, i.refresh, noDiscard); !errors.Is(err, ErrReplaced) {
		t.Errorf("got %v, expected %v", err, ErrReplaced)
	}
	if got := r.open(other, next).Session; refreshed(got) {
		t.Error("the new session has the former one's tokens")
	}
	r.gone(s, id)
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
		go s.Update(t.Context(), id, i.refresh, noDiscard)
		<-begun
		go func() { closing <- s.Close() }()
		if err := <-closing; err != nil {
			t.Error(err)
		}
		if !refreshed(r.open(other, id).Session) {
			t.Error("Close didn't wait")
		}
		if _, err := s.Update(t.Context(), id, i.refresh, noDiscard); !errors.Is(err, ErrUnavailable) {
			t.Errorf("after Close: got %v", err)
		}
	})
}
