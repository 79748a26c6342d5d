package session

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/redis/redistest"
	"sallyport/internal/testlog"
)

// A clock is one that the test advances.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// A rig is one store for any number of Sessions, which stand for replicas.
type rig struct {
	*testing.T
	clock  *clock
	server *redistest.Server // nil for memory, and for several servers
	shape  *shape            // of several servers, or nil
	memory *memoryStore
	log    *syncBuffer
}

// onBoth runs a test over both stores.
func onBoth(t *testing.T, test func(*rig)) {
	t.Run("memory", func(t *testing.T) { test(&rig{T: t, clock: &clock{}, log: &syncBuffer{}}) })
	t.Run("redis", func(t *testing.T) {
		test(&rig{T: t, clock: &clock{}, server: redistest.Start(t), log: &syncBuffer{}})
	})
}

var usual = timeouts{idling: 15 * time.Minute, rolling: time.Hour, absolute: 24 * time.Hour}

// sessions opens the rig's store as another replica.
func (r *rig) sessions(t timeouts) *Sessions {
	r.Helper()
	log := slog.New(slog.NewTextHandler(r.log, nil))
	c := Config{
		Settings: Settings{
			Secret: []auth.Secret{secretA}, Storage: "memory",
			IdlingTimeout: t.idling, RollingTimeout: t.rolling, AbsoluteTimeout: t.absolute,
			Remember: t.remember, RememberRollingTimeout: t.rememberRolling, RememberAbsoluteTimeout: t.rememberAbsolute,
		},
		Keyring: mustKeyring(r, secretA), Now: r.clock.now, Log: log,
	}
	if r.server != nil {
		c.Storage, c.Redis = "redis", r.server.Settings()
	} else if r.shape != nil {
		c.Storage, c.Redis = "redis", r.shape.settings
	} else if r.memory != nil {
		return newSessions(r.memory, t, r.clock.now, log)
	}
	s, err := New(c)
	if err != nil {
		r.Fatal(err)
	}
	r.memory, _ = s.store.(*memoryStore)
	r.Cleanup(func() { s.Close() })
	return s
}

// pass shortens the TTL of every key in Redis, and then advances the clock by as much: a use that becomes due renews what is left.
func (r *rig) pass(d time.Duration) {
	r.Helper()
	if r.server != nil {
		r.server.Pass(r, d)
	}
	if r.shape != nil {
		for _, master := range r.shape.masters {
			master.Pass(r, d)
		}
	}
	r.clock.offset.Add(int64(d))
}

func (r *rig) start(s *Sessions, old *ID, l Login) ID {
	r.Helper()
	if r.clock.offset.Load() != 0 {
		l.Obtained = r.clock.now()
	}
	id, _, err := s.Start(context.Background(), old, l)
	if err != nil {
		r.Fatal(err)
	}
	return id
}

// open expects a valid session.
func (r *rig) open(s *Sessions, id ID) *Opened {
	r.Helper()
	opened, err := s.Open(context.Background(), id)
	if err != nil {
		r.Fatal(err)
	}
	return opened
}

// gone expects that the session has ended.
func (r *rig) gone(s *Sessions, id ID) {
	r.Helper()
	if _, err := s.Open(context.Background(), id); err == nil {
		r.Fatal("the session is valid, expected that it has ended")
	} else if !isNotFound(err) {
		r.Fatalf("got %v, expected %v", err, ErrNotFound)
	}
}

// noDiscard expects that a refreshed session is stored.
func noDiscard(context.Context, *Session) {}

// bySubject ends the logins of a subject, as an OpenID Provider does now.
func bySubject(s *Sessions, ctx context.Context, issuer, clientID, subject string) (int, error) {
	return s.EndLogins(ctx, Logout{Issuer: issuer, ClientID: clientID, Subject: subject, Issued: s.now()})
}

// bySID ends the logins of a session at the OpenID Provider.
func bySID(s *Sessions, ctx context.Context, issuer, clientID, sid string) (int, error) {
	return s.EndLogins(ctx, Logout{Issuer: issuer, ClientID: clientID, SID: sid, Issued: s.now()})
}

type syncBuffer = testlog.Buffer

// End ends the session of an ID, for its user.
func (s *Sessions) End(ctx context.Context, id ID) error {
	_, err := s.EndLogin(ctx, id)
	return err
}
