package session

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

var remembers = timeouts{
	idling: 15 * time.Minute, rolling: time.Hour, absolute: 24 * time.Hour,
	remember: true, rememberRolling: 7 * 24 * time.Hour, rememberAbsolute: 30 * 24 * time.Hour,
}

func anySession(*Session) error { return nil }
func anyLogin(*Login) bool      { return true }

// resume expects that a remember ID resumes a session.
func (r *rig) resume(s *Sessions, remember ID) *Opened {
	r.Helper()
	opened, err := s.Resume(r.Context(), remember, anySession)
	if err != nil {
		r.Fatal(err)
	}
	return opened
}

// forgotten expects that a remember ID resumes nothing.
func (r *rig) forgotten(s *Sessions, remember ID) {
	r.Helper()
	if _, err := s.Resume(r.Context(), remember, anySession); !errors.Is(err, ErrNotFound) {
		r.Fatalf("got %v, expected %v", err, ErrNotFound)
	}
}

// remembered starts a session, and returns its ID and its remember ID.
func (r *rig) remembered(s *Sessions) (id, remember ID) {
	r.Helper()
	id = r.start(s, nil, john())
	return id, r.open(s, id).Session.Remember
}

// A remembered session is resumed when its idling timeout has ended it, when its other timeouts have, and while it lasts: the browser has
// lost the cookie. The remember ID works once; for 10 s it leads to the same session.
func TestResume(t *testing.T) {
	for name, after := range map[string]time.Duration{"live": 0, "idle": 16 * time.Minute, "too old": 25 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				s, other := r.sessions(remembers), r.sessions(remembers)
				id, remember := r.remembered(s)
				r.pass(after)
				if after > 0 {
					r.gone(other, id)
				}
				first := r.resume(other, remember)
				if first.ID == id || first.Session.Remember == remember || !first.Rotated || first.Session.Login.Subject != john().Subject {
					t.Errorf("resumed as %+v", first.Session)
				}
				if again := r.resume(s, remember); again.ID != first.ID {
					t.Error("a request at the same time got another session")
				}
				r.pass(grace)
				if _, err := s.Resume(t.Context(), remember, anySession); !errors.Is(err, ErrReplaced) {
					t.Errorf("a second use: %v, expected %v", err, ErrReplaced)
				}
				r.gone(s, id)
				r.open(s, first.ID)
				r.pass(16 * time.Minute)
				r.gone(s, first.ID)
				r.resume(s, first.Session.Remember)
			})
		})
	}
}

// Of concurrent requests on two replicas all get the same session.
func TestResumeOnce(t *testing.T) { onBoth(t, resumeOnce) }

func resumeOnce(r *rig) {
	t := r.T
	replicas := []*Sessions{r.sessions(remembers), r.sessions(remembers)}
	_, remember := r.remembered(replicas[0])
	r.pass(time.Hour)
	var wait sync.WaitGroup
	ids := make([]ID, 20)
	for n := range ids {
		wait.Go(func() {
			if opened, err := replicas[n%2].Resume(t.Context(), remember, anySession); err != nil {
				t.Error(err)
			} else {
				ids[n] = opened.ID
			}
		})
	}
	wait.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatal("two requests got two sessions")
		}
	}
}

// A session is remembered until the rolling timeout of the last ID, and not after the absolute one, however often it is resumed.
func TestRememberTimeouts(t *testing.T) {
	const day = 24 * time.Hour
	onBoth(t, func(r *rig) {
		s := r.sessions(remembers)
		_, remember := r.remembered(s)
		for range 4 {
			r.pass(7*day - time.Minute)
			remember = r.resume(s, remember).Session.Remember
		}
		r.pass(2*day + 3*time.Minute)
		if _, err := s.PeekRemembered(t.Context(), remember); err != nil {
			t.Errorf("a minute before the absolute timeout: %v", err)
		}
		r.pass(time.Minute)
		r.forgotten(s, remember)
	})
	onBoth(t, func(r *rig) {
		s := r.sessions(remembers)
		_, remember := r.remembered(s)
		r.pass(7 * day)
		r.forgotten(s, remember)
	})
}

// Every logout ends a remembered session whose timeouts have ended it.
func TestEveryLogoutEndsRememberedSessions(t *testing.T) {
	for name, logout := range map[string]func(*rig, *Sessions, ID) (int, error){
		"by sid": func(r *rig, s *Sessions, _ ID) (int, error) {
			return bySID(s, r.Context(), john().Issuer, "app", john().SID)
		},
		"by sub": func(r *rig, s *Sessions, _ ID) (int, error) {
			return bySubject(s, r.Context(), john().Issuer, "app", john().Subject)
		},
		"of the client": func(r *rig, s *Sessions, _ ID) (int, error) {
			return s.EndSelected(r.Context(), Selection{ClientID: "app"})
		},
		"of the route": func(r *rig, s *Sessions, _ ID) (int, error) {
			return s.EndSelected(r.Context(), Selection{Route: "shop"})
		},
		"of the user": func(r *rig, s *Sessions, remember ID) (int, error) {
			ended, err := s.EndRemembered(r.Context(), remember, anyLogin)
			if ended == nil || ended.Login.Identity.Tokens.RefreshToken == "" {
				return 0, err
			}
			return 1, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				s := r.sessions(remembers)
				l := john()
				l.Route = "shop"
				id := r.start(s, nil, l)
				remember := r.open(s, id).Session.Remember
				r.pass(3 * time.Hour)
				r.start(s, nil, l) // writes to the index, which removes some entries of ended sessions
				r.gone(s, id)
				if name != "of the user" {
					if all, _, err := s.List(t.Context(), Selection{ClientID: "app"}, "", 10); err != nil || len(all) != 2 {
						r.Fatalf("%d sessions are listed, %v", len(all), err)
					}
				}
				want := 2
				if name == "of the user" {
					want = 1
				}
				if n, err := logout(r, s, remember); err != nil || n != want {
					r.Fatalf("ended %d, expected %d, %v", n, want, err)
				}
				r.pass(markLife + time.Minute) // without the help of the mark
				r.forgotten(r.sessions(remembers), remember)
			})
		})
	}
}

// A logout that arrives while a session is being resumed ends it, whatever comes first.
func TestLogoutWhileResuming(t *testing.T) { onBoth(t, logoutWhileResuming) }

func logoutWhileResuming(r *rig) {
	t := r.T
	s := r.sessions(remembers)
	_, remember := r.remembered(s)
	r.pass(time.Hour)
	_, err := s.Resume(t.Context(), remember, func(*Session) error { // between the read and the first write
		_, err := bySubject(s, t.Context(), john().Issuer, "app", john().Subject)
		return err
	})
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, expected %v", err, ErrNotFound)
	}
	r.forgotten(s, remember)
}

// Who may not use a session doesn't use up its remember ID, nor end it.
func TestResumeRefused(t *testing.T) { onBoth(t, resumeRefused) }

func resumeRefused(r *rig) {
	t := r.T
	s, refused := r.sessions(remembers), errors.New("refused")
	_, remember := r.remembered(s)
	r.pass(time.Hour)
	if _, err := s.Resume(t.Context(), remember, func(*Session) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if ended, err := s.EndRemembered(t.Context(), remember, func(*Login) bool { return false }); ended != nil || err != nil {
		t.Errorf("ended %v, %v", ended, err)
	}
	r.resume(s, remember)
	if _, err := s.Resume(t.Context(), remember, func(*Session) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("a second request: got %v", err)
	}
}

// A refresh and a rotation reach a remembered session: it is resumed with the last tokens, by the same remember ID.
func TestRememberedAfterRefreshAndRotation(t *testing.T) {
	onBoth(t, rememberedAfterRefreshAndRotation)
}

func rememberedAfterRefreshAndRotation(r *rig) {
	t := r.T
	s, i := r.sessions(remembers), &issuer{clock: r.clock}
	id := r.start(s, nil, i.login())
	remember := r.open(s, id).Session.Remember
	for range 5 {
		r.pass(10 * time.Minute)
		r.open(s, id)
	}
	rotated := r.open(s, id)
	if !rotated.Rotated || rotated.Session.Remember != remember {
		t.Fatalf("rotated: %v", rotated.Rotated)
	}
	refreshed, err := s.Update(t.Context(), rotated.ID, i.refresh, noDiscard)
	if err != nil {
		t.Fatal(err)
	}
	r.pass(2 * time.Hour)
	r.gone(s, rotated.ID)
	if got := r.resume(s, remember).Session; !got.sameTokens(refreshed) {
		t.Error("resumed with former tokens")
	}
}

// A cutStore loses the answer of a write, or doesn't get as far as that.
type cutStore struct {
	store
	supersedes bool // whether the write reaches the store
	cut        bool
}

func (c *cutStore) supersede(ctx context.Context, old, next *entry) error {
	if !c.cut {
		return c.store.supersede(ctx, old, next)
	}
	if c.supersedes {
		if err := c.store.supersede(ctx, old, next); err != nil {
			return err
		}
	}
	return ErrUnavailable
}

// A resumption that is cut at the write that ends the old session loses nothing, done or not: the same remember ID works again.
func TestResumeCut(t *testing.T) {
	for _, done := range []bool{true, false} {
		onBoth(t, func(r *rig) {
			s := r.sessions(remembers)
			_, remember := r.remembered(s)
			r.pass(time.Hour)
			cut := &cutStore{store: s.store, supersedes: done, cut: true}
			s.store = cut
			if _, err := s.Resume(t.Context(), remember, anySession); !errors.Is(err, ErrUnavailable) {
				t.Fatalf("got %v, expected %v", err, ErrUnavailable)
			}
			cut.cut = false
			r.pass(grace)
			opened := r.resume(s, remember)
			r.pass(grace)
			r.open(s, opened.ID)
			if _, err := s.Resume(t.Context(), remember, anySession); !errors.Is(err, ErrReplaced) {
				t.Errorf("a second use: %v", err)
			}
		})
	}
}

// Without session_remember no session is remembered, and Redis has no more keys.
func TestRememberIsOff(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		opened := r.open(s, r.start(s, nil, john()))
		if opened.Session.Remember != (ID{}) || s.Remembered(opened.Session) != 0 {
			t.Error("a session is remembered")
		}
		r.forgotten(s, newID())
		if r.server != nil {
			if keys := r.server.Client(t, 0).Keys(t.Context(), "sallyport:[rp]:*").Val(); len(keys) != 0 {
				t.Errorf("keys %q", keys)
			}
		}
	})
}

// Redis sees nothing of a remembered session.
func TestRedisSeesNothingOfRemembered(t *testing.T) {
	r := redisRig(t)
	s, c := r.sessions(remembers), r.server.Client(t, 0)
	id, remember := r.remembered(s)
	var all strings.Builder
	for _, key := range c.Keys(t.Context(), "*").Val() {
		all.WriteString(key + c.Get(t.Context(), key).Val())
	}
	for _, secret := range []string{string(id[:]), string(remember[:]), "the-refresh-token", john().Subject} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("redis shows %q", secret)
		}
	}
	name := s.store.(*redisStore).key("r:", id.digest())
	c.Rename(t.Context(), name, "sallyport:s:{"+id.digest()+"}")
	r.gone(r.sessions(remembers), id) // the copy doesn't pass as the session
}
