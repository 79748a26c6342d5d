package session

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

// A reader of Redis sees no user, no token and no session ID.
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
	if len(keys) != 6 { // the session and its details, the successor of the first ID, a lease, two indexes
		t.Errorf("%d keys, expected 6: %q", len(keys), keys)
	}
	secrets := []string{"the-access-token", "the-refresh-token", "the-id-token", "john", "provider-sid", "example.com", "default"}
	for _, id := range []ID{old, next} {
		secrets = append(secrets, string(id[:]), hex.EncodeToString(id[:]))
		secrets = append(secrets, base64.StdEncoding.EncodeToString(id[:30]), base64.URLEncoding.EncodeToString(id[:30]))
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
		"idling":   {timeouts{idling: 15 * m, rolling: 60 * m, absolute: 600 * m}, 15 * m},
		"rolling":  {timeouts{idling: 90 * m, rolling: 60 * m, absolute: 600 * m}, 60 * m},
		"absolute": {timeouts{rolling: 60 * m, absolute: 50 * m}, 50 * m},
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
			r.open(r.sessions(c.timeouts), id) // a touch by a replica that has not cached it
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
	if got := commands(); got != "get 100, getex 0, pexpire 2, set 0, eval 1, evalsha 1" {
		t.Errorf("100 requests a minute later: %s", got)
	}
}

func TestARefreshKeepsTheTTL(t *testing.T) {
	r := redisRig(t)
	s, i := r.sessions(timeouts{idling: 15 * time.Minute}), &issuer{clock: r.clock}
	id := r.start(s, nil, i.login())
	r.pass(30 * time.Second)
	if _, err := s.Update(t.Context(), id, i.refresh, noDiscard); err != nil {
		t.Fatal(err)
	}
	r.ttl(r.server.Client(t, 0).PTTL(t.Context(), s.store.(*redisStore).record(id)).Val(), 14*time.Minute+30*time.Second)
}

func TestIndexesEnd(t *testing.T) {
	r := redisRig(t)
	s, c := r.sessions(timeouts{idling: 15 * time.Minute, rolling: time.Hour}), r.server.Client(t, 0)
	index := "sallyport:i:" + mustKeyring(t, secretA).Names(kindSubject, john().Issuer, "app", john().Subject)[0]
	r.start(s, nil, john())
	r.ttl(c.PTTL(t.Context(), index).Val(), time.Hour)
	for range 5 {
		r.pass(20 * time.Minute)
		r.start(s, nil, john())
	}
	if n := c.ZCard(t.Context(), index).Val(); n != 1 {
		t.Errorf("%d sessions are listed, expected only the one that isn't idle", n)
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
		r.open(s, mine) // cached
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
	rotated := r.open(during, old)
	if !rotated.Rotated {
		t.Fatal("not rotated")
	}
	r.open(after, rotated.ID) // a rotation seals with the new secret
	third := r.start(before, nil, john())
	r.pass(grace) // the old ID is not followed any more
	if n, err := bySubject(during, t.Context(), john().Issuer, "app", john().Subject); n != 3 || err != nil {
		t.Errorf("ended %d, %v, expected those of both secrets", n, err)
	}
	for _, id := range []ID{fresh, rotated.ID, third} {
		r.gone(during, id)
	}
}

func second[T any](_ T, err error) error { return err }

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

// The Redis client sends a command again if the response was lost. The second run must recognize the result of the first.
func TestScriptsKnowTheirOwnWork(t *testing.T) {
	r := redisRig(t)
	s, ctx := r.sessions(usual), t.Context()
	store := s.store.(*redisStore)
	id := r.start(s, nil, john())
	e, err := store.load(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	keys := store.keysOf(id.digest())
	for range 2 {
		if ok, err := swapScript.Run(ctx, store.client, keys, e.record, "next", "", "", "channel", "digest", "").Bool(); !ok || err != nil {
			t.Errorf("swap: %v, %v", ok, err)
		}
	}
	for range 2 {
		keys := store.keysOf("new")
		if ok, err := swapScript.Run(ctx, store.client, keys, "", "left", "60000", "", "channel", "digest", "").Bool(); !ok || err != nil {
			t.Errorf("swap of nothing: %v, %v", ok, err)
		}
	}
	if ok, _ := swapScript.Run(ctx, store.client, keys, e.record, "other", "", "", "channel", "digest", "").Bool(); ok {
		t.Error("another change was taken for its own result")
	}
	for _, record := range []string{e.record, "left", "next"} {
		ok, err := dropScript.Run(ctx, store.client, keys, record, "channel", "digest").Bool()
		if err != nil || ok != (record == "next") {
			t.Errorf("drop of %q: %v, %v", record, ok, err)
		}
	}
}

// All keys of one login are in one slot of a Redis Cluster.
func TestKeysOfOneLoginAreInOneSlot(t *testing.T) {
	r := redisRig(t)
	s := r.sessions(usual).store.(*redisStore)
	id := newID()
	details := s.key("d:", id.digest())
	tag := func(key string) string { return key[strings.Index(key, "{") : strings.Index(key, "}")+1] }
	if a, b := tag(s.record(id)), tag(s.lock(id)); a != b || a != tag(details) || a != "{"+id.digest()+"}" {
		t.Errorf("the record is in slot %s, the lease in %s", a, b)
	}
}
