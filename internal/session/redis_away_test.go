package session

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestRedisAwayFailsFastAndComesBack(t *testing.T) {
	r := redisRig(t, "--appendonly", "yes", "--appendfsync", "always")
	s := r.sessions(usual)
	id := r.start(s, nil, john())
	r.server.Kill()
	begun := time.Now()
	for range 100 {
		for what, err := range map[string]error{
			"open":   second(s.Open(t.Context(), id)),
			"end":    s.End(t.Context(), id),
			"ping":   s.Ping(t.Context()),
			"update": second(s.Update(t.Context(), id, (&issuer{clock: r.clock}).refresh, noDiscard)),
			"by sid": second(bySID(s, t.Context(), "https://a", "app", "1")),
		} {
			if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) {
				t.Fatalf("%s: got %v, expected %v", what, err, ErrUnavailable)
			}
		}
		if _, _, err := s.Start(t.Context(), nil, john()); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("start: got %v, expected %v", err, ErrUnavailable)
		}
	}
	if took := time.Since(begun) / 600; took > 50*time.Millisecond {
		t.Errorf("a request took %s although Redis refuses connections", took)
	}
	r.server.Restart(t)
	begun = time.Now()
	for {
		if _, err := s.Open(t.Context(), id); err == nil {
			break
		} else if time.Since(begun) > 3*time.Second {
			t.Fatalf("Redis is back, and still: %v", err)
		}
	}
}

func TestSlowRedisIsGivenUp(t *testing.T) {
	r := redisRig(t)
	settings := r.server.Settings()
	settings.ReadTimeout = 100 * time.Millisecond
	s, err := New(Config{Settings: Settings{Storage: "redis", Redis: settings}, Keyring: mustKeyring(t, secretA)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := r.start(s, nil, john())
	r.server.Client(t, 0).Do(t.Context(), "CLIENT", "PAUSE", "1500", "ALL")
	begun := time.Now()
	if _, err := s.Open(t.Context(), id); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, expected %v", err, ErrUnavailable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Open(ctx, id); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a caller whose context is canceled: got %v, expected %v", err, ErrUnavailable)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

// While Redis is killed under load the only error is ErrUnavailable, and afterwards every session is valid.
func TestKillUnderLoad(t *testing.T) {
	r := redisRig(t, "--appendonly", "yes", "--appendfsync", "always")
	replicas := []*Sessions{r.sessions(usual), r.sessions(usual)}
	var mu sync.Mutex
	var alive []ID
	for range 20 {
		alive = append(alive, r.start(replicas[0], nil, john()))
	}
	var served, failed atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for n := range 8 {
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				s := replicas[(n+i)%2]
				mu.Lock()
				id := alive[(n*7+i)%len(alive)]
				mu.Unlock()
				_, err := s.Open(t.Context(), id)
				if err == nil && i%10 == 0 {
					var fresh ID
					if fresh, _, err = s.Start(t.Context(), nil, john()); err == nil {
						mu.Lock()
						alive = append(alive, fresh)
						mu.Unlock()
					}
				}
				switch {
				case err == nil:
					served.Add(1)
				case errors.Is(err, ErrUnavailable):
					failed.Add(1)
				default:
					t.Errorf("got %v, expected %v at most", err, ErrUnavailable)
					return
				}
			}
		})
	}
	for range 3 {
		await(t, "load", grows(&served, 200))
		r.server.Kill()
		await(t, "failures", grows(&failed, 50))
		r.server.Restart(t)
		await(t, "recovery", grows(&served, 200))
	}
	close(stop)
	load.Wait()
	for i, id := range alive {
		for _, s := range replicas {
			if _, err := s.Open(t.Context(), id); err != nil {
				t.Fatalf("session %d of %d: %v", i, len(alive), err)
			}
		}
	}
}

// If Redis dies during the token request, callers get the refreshed session, and it is saved as soon as Redis is back.
func TestARefreshSurvivesRedisAway(t *testing.T) {
	r := redisRig(t, "--appendonly", "yes", "--appendfsync", "always")
	s, other, i := r.sessions(usual), r.sessions(usual), &issuer{clock: r.clock}
	id := r.start(s, nil, i.login())
	i.during = r.server.Kill
	for range 3 { // the second and third share the update that is not saved yet
		got, err := s.Update(t.Context(), id, i.refresh, noDiscard)
		if err != nil || !refreshed(got) {
			t.Fatalf("got %v, %v, expected the refreshed session", got, err)
		}
	}
	if !strings.Contains(r.log.String(), "can't be saved yet") {
		t.Errorf("the log: %s", r.log)
	}
	r.server.Restart(t)
	await(t, "saving", func() bool {
		opened, err := other.Open(t.Context(), id)
		return err == nil && refreshed(opened.Session)
	})
	if n := i.calls.Load(); n != 1 {
		t.Errorf("%d refreshes, expected 1", n)
	}
}

func TestCloseTriesOnceMoreToSave(t *testing.T) {
	r := redisRig(t, "--appendonly", "yes", "--appendfsync", "always")
	s, i := r.sessions(usual), &issuer{clock: r.clock}
	s.timing.minPause, s.timing.maxPause = time.Hour, time.Hour
	id := r.start(s, nil, i.login())
	i.during = r.server.Kill
	if _, err := s.Update(t.Context(), id, i.refresh, noDiscard); err != nil {
		t.Fatal(err)
	}
	r.server.Restart(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !refreshed(r.open(r.sessions(usual), id).Session) {
		t.Error("the refreshed session is lost")
	}
}
