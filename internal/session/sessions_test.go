package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/auth"
)

const (
	secretA = auth.Secret("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	secretB = auth.Secret("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

var ringA, ringB, ringBA = must(NewKeyring([]auth.Secret{secretA})), must(NewKeyring([]auth.Secret{secretB})), must(NewKeyring([]auth.Secret{secretB, secretA}))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func isUnavailable(err error) bool { return errors.Is(err, ErrUnavailable) }

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(t testing.TB, settings Settings, k *Keyring, now func() time.Time) *Sessions {
	t.Helper()
	s, err := New(Config{Settings: settings, Keyring: k, Now: now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func login(subject string) Audience {
	return Audience{Name: "default", Issuer: "https://idp", ClientID: "app", Subject: subject, SID: "sid-of-" + subject, Updated: time.Unix(1, 0), Identity: &auth.Identity{
		Subject: subject, AccessToken: auth.Claims{"n": int64(1 << 53), "f": 1.5, "l": []any{"a"}},
		Tokens: auth.Tokens{AccessToken: "the-access-token", RefreshToken: "the-refresh-token"},
	}}
}

// refreshed is current's login with another refresh token.
func refreshed(current *Session, token string) Audience {
	a := current.Audiences[0]
	identity := *a.Identity
	identity.Tokens.RefreshToken = token
	a.Identity, a.Updated = &identity, a.Updated.Add(time.Second)
	return a
}

// eachStore runs a promise over both stores.
func eachStore(t *testing.T, f func(t *testing.T, s *Sessions, now *clock)) {
	t.Run("memory", func(t *testing.T) {
		now := newClock()
		f(t, open(t, Settings{IdlingTimeout: 15 * time.Minute, RollingTimeout: time.Hour, AbsoluteTimeout: 24 * time.Hour}, ringA, now.Now), now)
	})
	t.Run("redis", func(t *testing.T) {
		now := newClock()
		f(t, open(t, startRedis(t).settings(), ringA, now.Now), now)
	})
}

func TestStartOpenEnd(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Sessions, _ *clock) {
		ctx := t.Context()
		id, _, err := s.Start(ctx, nil, login("john"))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time from what is kept decoded
			o, err := s.Open(ctx, id)
			if err != nil || o.Renewed || o.ID != id {
				t.Fatalf("%+v, %v", o, err)
			}
			a := o.Session.Audience("default", "https://idp", "app")
			if a == nil || a.Identity.Tokens.RefreshToken != "the-refresh-token" || a.Identity.AccessToken["n"] != int64(1<<53) || a.Identity.AccessToken["f"] != 1.5 {
				t.Fatalf("%+v", a)
			}
			if o.Session.Audience("default", "https://idp", "other") != nil || o.Session.Audience("default", "https://other", "app") != nil {
				t.Fatal("a session serves another client or issuer")
			}
		}
		if err := s.End(ctx, id); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(ctx, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("after its end: %v", err)
		}
		if _, err := s.Open(ctx, ID{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown ID: %v", err)
		}
	})
}

// TestLoginTakesANewID: an ID from before the login is dead, and what else was logged in under it is carried over.
func TestLoginTakesANewID(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Sessions, now *clock) {
		ctx := t.Context()
		other := login("john")
		other.ClientID = "other"
		old, _, _ := s.Start(ctx, nil, other)
		id, _, err := s.Start(ctx, &old, login("john"))
		if err != nil || id == old {
			t.Fatal(err)
		}
		if _, err := s.Open(ctx, old); !errors.Is(err, ErrNotFound) {
			t.Errorf("the old ID: %v", err)
		}
		o, err := s.Open(ctx, id)
		if err != nil || len(o.Session.Audiences) != 2 {
			t.Fatalf("%+v, %v", o, err)
		}
		again, _, _ := s.Start(ctx, &id, login("jane"))
		if o, _ := s.Open(ctx, again); len(o.Session.Audiences) != 2 || o.Session.Audience("default", "https://idp", "app").Subject != "jane" {
			t.Errorf("%+v", o.Session)
		}
	})
}

func TestRenewal(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Sessions, now *clock) {
		ctx := t.Context()
		s.idling = 0
		id, _, _ := s.Start(ctx, nil, login("john"))
		now.advance(44 * time.Minute)
		if o, err := s.Open(ctx, id); err != nil || o.Renewed {
			t.Fatalf("before 3/4: %+v, %v", o, err)
		}
		now.advance(2 * time.Minute)
		ids := make([]ID, 20)
		var wait sync.WaitGroup
		for i := range ids {
			wait.Go(func() {
				if o, err := s.Open(ctx, id); err != nil {
					t.Error(err)
				} else {
					ids[i] = o.ID
				}
			})
		}
		wait.Wait()
		after, err := s.Open(ctx, id)
		if err != nil || !after.Renewed || after.ID == id {
			t.Fatalf("the old ID in its grace: %+v, %v", after, err)
		}
		for _, got := range ids {
			if got != id && got != after.ID {
				t.Error("two successors were made")
			}
		}
		if o, err := s.Open(ctx, after.ID); err != nil || o.Renewed || o.Session.Audiences[0].Subject != "john" {
			t.Errorf("the new ID: %+v, %v", o, err)
		}
		if err := s.End(ctx, id); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(ctx, after.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("a logout with the old ID leaves the new one alive: %v", err)
		}
	})
}

// TestTimeouts runs over memory, where the clock is the test's; what Redis times itself is tested by its TTLs.
func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		name                      string
		idling, rolling, absolute time.Duration
		steps                     []time.Duration // the session is opened after each; it lives until the last
	}{
		{"idling", 10 * time.Minute, 0, 0, []time.Duration{9 * time.Minute, 9 * time.Minute, 11 * time.Minute}},
		{"rolling", 0, time.Hour, 0, []time.Duration{time.Minute, time.Hour}},
		{"absolute", 0, time.Hour, 2 * time.Hour, []time.Duration{50 * time.Minute, 50 * time.Minute, 25 * time.Minute}},
	} {
		now := newClock()
		s := open(t, Settings{IdlingTimeout: c.idling, RollingTimeout: c.rolling, AbsoluteTimeout: c.absolute}, ringA, now.Now)
		id, _, _ := s.Start(t.Context(), nil, login("john"))
		for n, step := range c.steps {
			now.advance(step)
			o, err := s.Open(t.Context(), id)
			if last := n == len(c.steps)-1; last != (err != nil) {
				t.Errorf("%s: step %d: %v", c.name, n+1, err)
			}
			if err == nil {
				id = o.ID
			}
		}
	}
	now := newClock()
	s := open(t, Settings{}, ringA, now.Now)
	id, _, _ := s.Start(t.Context(), nil, login("john"))
	now.advance(10 * 365 * 24 * time.Hour)
	if _, err := s.Open(t.Context(), id); err != nil {
		t.Errorf("all timeouts off: %v", err)
	}
}

func TestRedisTTLs(t *testing.T) {
	r := startRedis(t)
	for _, c := range []struct{ idling, rolling, absolute, want time.Duration }{
		{15 * time.Minute, time.Hour, 24 * time.Hour, 15 * time.Minute}, {0, time.Hour, 24 * time.Hour, time.Hour}, {0, 0, time.Minute, time.Minute}, {0, 0, 0, -1},
	} {
		settings := r.settings()
		settings.IdlingTimeout, settings.RollingTimeout, settings.AbsoluteTimeout = c.idling, c.rolling, c.absolute
		id, _, err := open(t, settings, ringA, nil).Start(t.Context(), nil, login("john"))
		ttl := r.client.PTTL(t.Context(), id.name("test:")).Val()
		if err != nil || ttl > c.want || c.want-ttl > 5*time.Second {
			t.Errorf("%+v: TTL %v, %v", c, ttl, err)
		}
	}
}

// TestOneRefresh: two replicas with one Redis, and 50 requests at the moment of expiry, make one refresh.
func TestOneRefresh(t *testing.T) {
	r := startRedis(t)
	replicas := []*Sessions{open(t, r.settings(), ringA, nil), open(t, r.settings(), ringA, nil)}
	id, _, _ := replicas[0].Start(t.Context(), nil, login("john"))
	var calls atomic.Int32
	refresh := func(_ context.Context, current *Session) (*Session, error) {
		calls.Add(1)
		time.Sleep(50 * time.Millisecond) // so that the others come in between
		return current.With(refreshed(current, "second")), nil
	}
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			next, err := replicas[i%2].Update(t.Context(), id, refresh)
			if err != nil || next.Audiences[0].Identity.Tokens.RefreshToken != "second" {
				t.Errorf("%+v, %v", next, err)
			}
		})
	}
	wait.Wait()
	if n := calls.Load(); n != 1 {
		t.Errorf("%d refreshes, expected one", n)
	}
}

// TestLogoutDuringRefresh: what a logout ended, a refresh doesn't bring back.
func TestLogoutDuringRefresh(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Sessions, _ *clock) {
		ctx := t.Context()
		id, _, _ := s.Start(ctx, nil, login("john"))
		_, err := s.Update(ctx, id, func(ctx context.Context, current *Session) (*Session, error) {
			return current.With(refreshed(current, "second")), s.End(ctx, id)
		})
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("Update: %v", err)
		}
		if _, err := s.Open(ctx, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("the session is back: %v", err)
		}
	})
}

func TestRefusedRefreshIsEverybodys(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Sessions, _ *clock) {
		id, _, _ := s.Start(t.Context(), nil, login("john"))
		refused := errors.New("refused")
		if _, err := s.Update(t.Context(), id, func(context.Context, *Session) (*Session, error) { return nil, refused }); !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
		next, err := s.Update(t.Context(), id, func(_ context.Context, c *Session) (*Session, error) { return c.With(refreshed(c, "2")), nil })
		if err != nil || next == nil {
			t.Errorf("the lease was kept: %v", err)
		}
	})
}

// TestRefreshFollowsARenewal: a refresh that was asked for under an ID that has just been renewed reaches its successor.
func TestRefreshFollowsARenewal(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Sessions, now *clock) {
		ctx := t.Context()
		s.idling = 0
		id, _, _ := s.Start(ctx, nil, login("john"))
		now.advance(50 * time.Minute)
		after, err := s.Open(ctx, id)
		if err != nil || after.ID == id {
			t.Fatal(err)
		}
		if _, err := s.Update(ctx, id, func(_ context.Context, c *Session) (*Session, error) { return c.With(refreshed(c, "second")), nil }); err != nil {
			t.Fatal(err)
		}
		if o, err := s.Open(ctx, after.ID); err != nil || o.Session.Audiences[0].Identity.Tokens.RefreshToken != "second" {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestEndFromElsewhere(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Sessions, _ *clock) {
		ctx := t.Context()
		one, _, _ := s.Start(ctx, nil, login("john"))
		two, _, _ := s.Start(ctx, nil, login("john"))
		jane, _, _ := s.Start(ctx, nil, login("jane"))
		if n, err := s.EndBySubject(ctx, "https://other", "john"); n != 0 || err != nil {
			t.Errorf("another issuer's john: %d, %v", n, err)
		}
		if n, err := s.EndBySubject(ctx, "https://idp", "john"); n != 2 || err != nil {
			t.Errorf("john: %d, %v", n, err)
		}
		for _, id := range []ID{one, two} {
			if _, err := s.Open(ctx, id); !errors.Is(err, ErrNotFound) {
				t.Errorf("john's: %v", err)
			}
		}
		if _, err := s.Open(ctx, jane); err != nil {
			t.Errorf("jane's: %v", err)
		}
		if n, err := s.EndBySID(ctx, "https://idp", "sid-of-jane"); n != 1 || err != nil {
			t.Errorf("jane's sid: %d, %v", n, err)
		}
	})
}

func TestCookies(t *testing.T) {
	id := newID()
	value := must(ringA.SignID("session_x", id))
	if got, ok := ringA.OpenID("session_x", value); !ok || got != id {
		t.Error("the cookie doesn't open")
	}
	if _, ok := ringBA.OpenID("session_x", value); !ok {
		t.Error("the cookie doesn't open after rotation")
	}
	for name, v := range map[string]string{"session_y": value, "session_x": value[:len(value)-2], "": "", "session_z": strings.Repeat("a", 5000)} {
		if _, ok := ringA.OpenID(name, v); ok {
			t.Errorf("%s=%.20s opens", name, v)
		}
	}
	if _, ok := ringB.OpenID("session_x", value); ok {
		t.Error("another secret opens the cookie")
	}
	sealed := must(ringA.Seal("login_1", []byte("state")))
	if plain, ok := ringBA.Unseal("login_1", sealed); !ok || string(plain) != "state" {
		t.Error("the login cookie doesn't open")
	}
	if _, ok := ringA.Unseal("login_2", sealed); ok || strings.Contains(sealed, "state") {
		t.Error("the login cookie opens under another name, or isn't encrypted")
	}
	if _, ok := ringA.Unseal("session_x", value); ok {
		t.Error("one use's cookie opens as another's")
	}
	if s := fmt.Sprintf("%v %+v %#v %s %x %+v", id, id, id, id, id, Opened{ID: id}); strings.Contains(s, fmt.Sprintf("%x", [32]byte(id))) {
		t.Errorf("an ID prints: %s", s)
	}
}

func TestKeyringWantsLongSecrets(t *testing.T) {
	if _, err := NewKeyring([]auth.Secret{"short"}); err == nil || strings.Contains(err.Error(), "short,") {
		t.Errorf("got %v", err)
	}
	if _, err := NewKeyring(nil); err == nil {
		t.Error("no secret passes")
	}
	if len(GenerateSecret()) < 32 || GenerateSecret() == GenerateSecret() {
		t.Error("generated secrets")
	}
}

func BenchmarkOpenMemory(b *testing.B) {
	benchmarkOpen(b, Settings{IdlingTimeout: time.Hour, RollingTimeout: time.Hour})
}
func BenchmarkOpenRedis(b *testing.B) { benchmarkOpen(b, startRedis(b).settings()) }

func benchmarkOpen(b *testing.B, settings Settings) {
	s := open(b, settings, ringA, nil)
	id, _, _ := s.Start(b.Context(), nil, login("john"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
}
