package session

import (
	"errors"
	"sync"
	"testing"

	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// A shape is a set of Sentinels or a Cluster.
type shape struct {
	settings redis.Settings
	masters  []*redistest.Server
	replicas []*redistest.Server
}

// TestShapes runs tests over a set of Sentinels and over a Cluster, where all keys of a script must be in one slot, and each write is
// acknowledged by a replica.
func TestShapes(t *testing.T) {
	set, cluster := redistest.StartSentinel(t), redistest.StartCluster(t)
	for name, shape := range map[string]*shape{
		"sentinel": {set.Settings(), set.Servers[:1], set.Servers[1:]},
		"cluster":  {cluster.Settings(), cluster.Nodes[:3], cluster.Nodes[3:]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, test := range map[string]func(*rig){
				"every order": everyOrder, "rotation": rotationUnderParallelRequests, "replaced IDs": replacedIDs,
				"logout while rotating": logoutDuringRotationIsNotUndone, "one refresh": fiftyRequestsOnTwoReplicasRefreshOnce,
				"first answer": theFirstAnswerStays, "lost lease": aRefreshOutlivesItsLease, "login while refreshing": aLoginDuringARefresh,
				"logout while refreshing": logoutDuringARefreshIsNotUndone, "logout by sub": aLogoutTokenEndsNoLaterLogin,
				"logout by sid and sub": aLogoutOfSIDAndSubject, "list": listShowsASession, "pages": listInPages,
				"list after changes": listFollowsRotationAndRefresh, "notes": timedOut, "note after a rotation": rotationForgets,
				"form": keptForm, "resume once": resumeOnce, "logout while resuming": logoutWhileResuming, "resume refused": resumeRefused,
				"remembered after changes": rememberedAfterRefreshAndRotation, "end many": endMany,
				"not acknowledged": notAcknowledged, "forms not acknowledged": formsNotAcknowledged,
			} {
				t.Run(what, func(t *testing.T) {
					of := *shape
					of.settings.Prefix += what + ":"
					test(&rig{T: t, clock: &clock{}, shape: &of, log: &syncBuffer{}})
				})
			}
		})
	}
}

// pause stops the replicas, so that no write is acknowledged, until the function that it returns is called.
func (r *rig) pause() (resume func()) {
	for _, replica := range r.shape.replicas {
		replica.Pause()
	}
	resume = func() {
		for _, replica := range r.shape.replicas {
			replica.Resume()
		}
	}
	r.Cleanup(resume)
	return resume
}

// notAcknowledged: while no replica confirms that a session was deleted, no logout succeeds, not even one that finds it deleted. A server
// that takes the place of the master may have it still.
func notAcknowledged(r *rig) {
	s, other := r.sessions(remembers), r.sessions(remembers)
	id, _ := r.remembered(s)
	_, remember := r.remembered(s)
	resume := r.pause()
	var logouts sync.WaitGroup
	expect := func(what string, logout func() error) {
		logouts.Go(func() {
			if err := logout(); !errors.Is(err, redis.ErrNotAcknowledged) || !errors.Is(err, ErrUnavailable) {
				r.Errorf("%s: got %v, expected %v", what, err, redis.ErrNotAcknowledged)
			}
		})
	}
	expect("a logout", func() error { return s.End(r.Context(), id) })
	expect("a logout at the same time", func() error { return other.End(r.Context(), id) })
	expect("of a remembered session", func() error { return second(s.EndRemembered(r.Context(), remember, anyLogin)) })
	logouts.Wait()
	expect("a logout after that", func() error { return s.End(r.Context(), id) })
	logouts.Wait()
	resume()
	if _, err := s.EndLogin(r.Context(), id); err != nil {
		r.Errorf("a logout once the replicas are back: %v", err)
	}
	r.gone(other, id)
}

// formsNotAcknowledged: a form whose deletion no replica confirms isn't sent: it could be sent again.
func formsNotAcknowledged(r *rig) {
	s := r.sessions(usual)
	s.KeepNotes()
	id := r.start(s, nil, john())
	if err := s.KeepForm(r.Context(), id, &Form{Target: "/a"}); err != nil {
		r.Fatal(err)
	}
	other := r.start(s, nil, john())
	resume := r.pause()
	var forgotten sync.WaitGroup
	forgotten.Go(func() {
		if err := s.Forget(r.Context(), other); !errors.Is(err, redis.ErrNotAcknowledged) {
			r.Errorf("a note: got %v, expected %v", err, redis.ErrNotAcknowledged)
		}
	})
	if f, err := s.TakeForm(r.Context(), id); f != nil || !errors.Is(err, redis.ErrNotAcknowledged) {
		r.Errorf("a form: got %v, %v, expected %v", f, err, redis.ErrNotAcknowledged)
	}
	forgotten.Wait()
	resume()
	if err := s.KeepForm(r.Context(), id, &Form{Target: "/b"}); err != nil {
		r.Fatal(err)
	}
	if f, err := s.TakeForm(r.Context(), id); err != nil || f.Target != "/b" {
		r.Errorf("got %v, %v", f, err)
	}
}
