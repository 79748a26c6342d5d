package session

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/redis/redistest"
)

func redisRig(t *testing.T, arguments ...string) *rig {
	if len(arguments) == 0 {
		arguments = []string{"--save", "", "--appendonly", "no"}
	}
	return &rig{T: t, clock: &clock{}, server: redistest.Start(t, arguments...), log: &syncBuffer{}}
}

// Whoever reads Redis learns neither whose sessions there are nor a token nor an ID.
func TestRedisSeesNothing(t *testing.T) {
	r := redisRig(t)
	s, c, ctx := r.sessions(timeouts{rolling: time.Hour}), r.server.Client(t, 0), t.Context()
	old := r.start(s, nil, john())
	r.pass(50 * time.Minute)
	next := r.open(s, old).ID
	s.store.lease(ctx, next, "holder", time.Minute)
	var all strings.Builder
	keys := c.Keys(ctx, "*").Val()
	for _, key := range keys {
		if !strings.HasPrefix(key, "sallyport:") {
			t.Errorf("%q is outside the prefix", key)
		}
		fmt.Fprintln(&all, key, c.Dump(ctx, key).Val(), c.Get(ctx, key).Val(), c.ZRange(ctx, key, 0, -1).Val())
	}
	if len(keys) != 5 { // the session, what it left, a lease, two indexes
		t.Errorf("%d keys, expected 5: %q", len(keys), keys)
	}
	secrets := []string{"the-access-token", "the-refresh-token", "the-id-token", "john", "provider-sid", "example.com", "default"}
	for _, id := range []ID{old, next} {
		secrets = append(secrets, string(id[:]), hex.EncodeToString(id[:]), base64.StdEncoding.EncodeToString(id[:30]), base64.URLEncoding.EncodeToString(id[:30]))
	}
	for _, secret := range secrets {
		if strings.Contains(all.String(), secret) {
			t.Errorf("redis shows %q", secret)
		}
	}
}

func TestRedisTTLs(t *testing.T) {
	const m = time.Minute
	for name, c := range map[string]struct {
		timeouts timeouts
		ttl      time.Duration // zero: none
	}{
		"idling":   {timeouts{15 * m, 60 * m, 600 * m}, 15 * m},
		"rolling":  {timeouts{90 * m, 60 * m, 600 * m}, 60 * m},
		"absolute": {timeouts{0, 60 * m, 50 * m}, 50 * m},
		"off":      {timeouts{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := redisRig(t)
			s, client := r.sessions(c.timeouts), r.server.Client(t, 0)
			id := r.start(s, nil, john())
			r.ttl(client.PTTL(t.Context(), s.store.(*redisStore).record(id)).Val(), c.ttl)
			if c.ttl == 0 {
				return
			}
			r.pass(10 * m)
			r.open(s, id) // a touch
			left := c.ttl
			if c.timeouts.idling != 15*m {
				left = c.ttl - 10*m
			}
			r.ttl(client.PTTL(t.Context(), s.store.(*redisStore).record(id)).Val(), left)
			r.pass(m)
			r.open(r.sessions(c.timeouts), id) // a touch by a replica that sees it for the first time
			if left != 15*m {
				left -= m
			}
			r.ttl(client.PTTL(t.Context(), s.store.(*redisStore).record(id)).Val(), left)
		})
	}
}

func (r *rig) ttl(got, expected time.Duration) {
	r.Helper()
	if expected == 0 && got == -1 {
		return
	}
	if got > expected || got < expected-5*time.Second {
		r.Errorf("a TTL of %s, expected %s", got, expected)
	}
}

func TestOneRequestIsOneGet(t *testing.T) {
	r := redisRig(t)
	s, c := r.sessions(usual), r.server.Client(t, 0)
	id := r.start(s, nil, john())
	commands := func() string {
		var counts []string
		for _, name := range []string{"get", "getex", "pexpire", "set", "eval", "evalsha"} {
			counts = append(counts, fmt.Sprint(name, " ", r.server.Calls(t, name)))
		}
		return strings.Join(counts, ", ")
	}
	c.ConfigResetStat(t.Context())
	for range 100 {
		r.open(s, id)
	}
	if got := commands(); got != "get 100, getex 0, pexpire 0, set 0, eval 0, evalsha 0" {
		t.Errorf("100 requests within a minute: %s", got)
	}
	c.ConfigResetStat(t.Context())
	r.pass(time.Minute)
	c.ConfigResetStat(t.Context())
	for range 100 {
		r.open(s, id)
	}
	if got := commands(); got != "get 99, getex 1, pexpire 0, set 0, eval 0, evalsha 0" {
		t.Errorf("100 requests a minute later: %s", got)
	}
}

func TestARefreshKeepsTheTTL(t *testing.T) {
	r := redisRig(t)
	s, i := r.sessions(timeouts{idling: 15 * time.Minute}), &issuer{clock: r.clock}
	id := r.start(s, nil, i.audience())
	r.pass(30 * time.Second)
	if _, err := s.Update(t.Context(), id, i.refresh); err != nil {
		t.Fatal(err)
	}
	r.ttl(r.server.Client(t, 0).PTTL(t.Context(), s.store.(*redisStore).record(id)).Val(), 14*time.Minute+30*time.Second)
}

func TestIndexesEnd(t *testing.T) {
	r := redisRig(t)
	s, c := r.sessions(timeouts{idling: 15 * time.Minute, rolling: time.Hour}), r.server.Client(t, 0)
	index := "sallyport:i:" + mustKeyring(t, secretA).Names(john().Issuer, kindSubject, john().Subject)[0]
	r.start(s, nil, john())
	r.ttl(c.PTTL(t.Context(), index).Val(), time.Hour)
	for range 5 {
		r.pass(20 * time.Minute)
		r.start(s, nil, john())
	}
	if n := c.ZCard(t.Context(), index).Val(); n != 3 {
		t.Errorf("%d sessions are listed, expected the 3 of the last hour", n)
	}
	r.ttl(c.PTTL(t.Context(), index).Val(), time.Hour)

	forever := r.sessions(timeouts{idling: 15 * time.Minute})
	r.start(forever, nil, john())
	r.ttl(c.PTTL(t.Context(), index).Val(), 0)
	r.pass(20 * time.Minute)
	r.pass(time.Hour)
	r.start(forever, nil, john())
	if n := c.ZCard(t.Context(), index).Val(); n != 1 {
		t.Errorf("%d sessions are listed, expected only the one that redis has", n)
	}
}

func TestForeignRecords(t *testing.T) {
	r := redisRig(t)
	s, c, ctx := r.sessions(usual), r.server.Client(t, 0), t.Context()
	name := func(id ID) string { return s.store.(*redisStore).record(id) }
	mine, other := r.start(s, nil, john()), r.start(s, nil, john())
	record := c.Get(ctx, name(mine)).Val()
	for what, foreign := range map[string]string{
		"another session's":    c.Get(ctx, name(other)).Val(),
		"with a changed byte":  record[:len(record)-1] + string(record[len(record)-1]^1),
		"empty":                "",
		"another program's":    "hello",
		"of a later version":   "\x02" + record[1:],
		"without ending":       record[:40],
		"with a changed nonce": record[:12] + string(record[12]^1) + record[13:],
	} {
		r.open(s, mine) // it is known decoded
		c.Set(ctx, name(mine), foreign, time.Hour)
		r.gone(s, mine)
		r.gone(r.sessions(usual), mine)
		c.Set(ctx, name(mine), record, time.Hour)
		if t.Failed() {
			t.Fatalf("a record %s", what)
		}
	}
	r.open(s, mine)
	c.Del(ctx, name(mine))
	c.RPush(ctx, name(mine), "a list")
	if _, err := s.Open(ctx, mine); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a list: got %v, expected %v", err, ErrUnavailable)
	}
	if strings.Contains(r.log.String(), "hello") || !strings.Contains(r.log.String(), "not used") {
		t.Errorf("the log: %s", r.log)
	}
}

func TestRotationOfSecretsInRedis(t *testing.T) {
	r := redisRig(t)
	with := func(secrets ...auth.Secret) *Sessions {
		s, err := New(Config{
			Settings: Settings{Storage: "redis", Redis: r.server.Settings(), RollingTimeout: time.Hour}, Now: r.clock.now,
			Keyring: mustKeyring(t, secrets...), Log: slog.New(slog.NewTextHandler(r.log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	before, during, after := with(secretA), with(secretB, secretA), with(secretB)
	old := r.start(before, nil, john())
	r.open(during, old)
	r.gone(after, old)
	fresh := r.start(during, nil, john())
	r.open(after, fresh)
	r.gone(before, fresh)
	r.pass(50 * time.Minute)
	renewed := r.open(during, old)
	if !renewed.Renewed {
		t.Fatal("not renewed")
	}
	r.open(after, renewed.ID) // a renewal seals anew
	third := r.start(before, nil, john())
	r.pass(grace) // what the renewal left has gone
	if n, err := during.EndBySubject(t.Context(), john().Issuer, john().Subject); n != 3 || err != nil {
		t.Errorf("ended %d, %v, expected those of both secrets", n, err)
	}
	for _, id := range []ID{fresh, renewed.ID, third} {
		r.gone(during, id)
	}
}

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
			"update": second(s.Update(t.Context(), id, (&issuer{clock: r.clock}).refresh)),
			"by sid": second(s.EndBySID(t.Context(), "https://a", "1")),
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

func second[T any](_ T, err error) error { return err }

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
		t.Errorf("a caller that is gone: got %v, expected %v", err, ErrUnavailable)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

// kill -9 under load: nothing but ErrUnavailable, and afterwards every session is alive.
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

func grows(n *atomic.Int64, by int64) func() bool {
	from := n.Load()
	return func() bool { return n.Load() >= from+by }
}

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// Redis goes away while the token request is under way: the rotated refresh token is kept, callers have the session, and
// it is saved as soon as Redis is back.
func TestARefreshSurvivesRedisAway(t *testing.T) {
	r := redisRig(t, "--appendonly", "yes", "--appendfsync", "always")
	s, other, i := r.sessions(usual), r.sessions(usual), &issuer{clock: r.clock}
	id := r.start(s, nil, i.audience())
	i.during = r.server.Kill
	for range 3 { // the others join what is being saved
		got, err := s.Update(t.Context(), id, i.refresh)
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
	s.patience.minPause, s.patience.maxPause = time.Hour, time.Hour
	id := r.start(s, nil, i.audience())
	i.during = r.server.Kill
	if _, err := s.Update(t.Context(), id, i.refresh); err != nil {
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

// The client sends a command again if the answer to it was lost. The second must not take the first for somebody else's.
func TestScriptsKnowTheirOwnWork(t *testing.T) {
	r := redisRig(t)
	s, ctx := r.sessions(usual), t.Context()
	store := s.store.(*redisStore)
	id := r.start(s, nil, john())
	e, err := store.load(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	name := store.record(id)
	for range 2 {
		if ok, err := swapScript.Run(ctx, store.client, []string{name}, e.record, "next").Bool(); !ok || err != nil {
			t.Errorf("swap: %v, %v", ok, err)
		}
	}
	w := write{name: "sallyport:s:new", record: "record", ttl: time.Minute, old: name, oldRecord: "next", left: "left", now: time.Now(), end: time.Now().Add(time.Hour)}
	for range 2 {
		if ok, err := saveScript.Run(ctx, store.client, w.keys(), w.arguments()...).Bool(); !ok || err != nil {
			t.Errorf("save: %v, %v", ok, err)
		}
	}
	w.name, w.record = "sallyport:s:newer", "other"
	if ok, _ := saveScript.Run(ctx, store.client, w.keys(), w.arguments()...).Bool(); ok {
		t.Error("what somebody else did was taken for its own")
	}
}
