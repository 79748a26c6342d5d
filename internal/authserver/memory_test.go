package authserver

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"
)

// However many tokens are asked for, memory is bounded; those that would end first go.
func TestMemoryIsBounded(t *testing.T) {
	r := memoryRig(t)
	g := r.gate()
	before := heapBytes()
	first, _ := g.granted(cc, basic("other", appSecret)) // a minute
	code := g.code(asking())
	tokens, refresh := g.tokens()
	r.pass(2 * time.Second) // all that come now end later
	c := g.clients["app"]
	for range maxTokens + 20_000 {
		rec := g.access(c, origin, clientCredentials)
		rec.Scope = "read write"
		if err := g.store.keep(t.Context(), g.mint.make(accessHandle, ""), rec); err != nil {
			t.Fatal(err)
		}
	}
	m := g.kept.memory
	if n, q := len(m.tokens.things), len(m.tokens.queue); n != maxTokens || q != maxTokens {
		t.Errorf("%d tokens and %d in the queue, expected %d", n, q, maxTokens)
	}
	if used := heapBytes() - before; used > 200<<20 {
		t.Errorf("%d MB are used", used>>20)
	}
	g.dead(first)
	g.dead(tokens)
	g.granted(redeeming(code)) // codes and refresh tokens aren't pushed out by access tokens
	g.granted(refreshing(refresh))
	if strings.Count(r.log.String(), "the token store in memory is full") != 1 {
		t.Error("it isn't said once that the store is full")
	}
	r.pass(2*time.Hour + time.Minute)
	g.granted(cc, basic("other", appSecret))
	if n := len(m.tokens.things) + len(m.codes.things); n != 1 {
		t.Errorf("%d things are left when all have expired, expected the last", n)
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A family that has to go takes its access tokens along: nothing could end them any more.
func TestAFamilyThatIsPushedOut(t *testing.T) {
	r := memoryRig(t)
	g := r.gate()
	g.kept.memory.families.max = 2
	one, refresh := g.tokens()
	two, _ := g.tokens()
	three, _ := g.tokens()
	g.dead(one)
	g.refused(refreshing(refresh), 400, "invalid_grant")
	g.alive(two)
	g.alive(three)
}

func TestRoom(t *testing.T) {
	r, now := newRoom[int](3), time.Now()
	key := func(n int) (d digest) { binary.BigEndian.PutUint64(d[:], uint64(n)); return d }
	for n, life := range []time.Duration{5, 3, 4} {
		if r.put(key(n), n, now.Add(life)) != nil {
			t.Fatal("something had to go too soon")
		}
	}
	r.put(key(1), 10, now.Add(9)) // in the place of 1, at another time
	if gone := r.put(key(3), 3, now.Add(6)); gone == nil || *gone != 2 {
		t.Errorf("%v had to go, expected 2", gone)
	}
	if v, ok := r.get(key(1)); !ok || v != 10 {
		t.Errorf("got %d %t", v, ok)
	}
	r.sweep(now.Add(6))
	if _, ok := r.drop(key(0)); ok || len(r.things) != 1 || len(r.queue) != 1 {
		t.Errorf("%d things and %d in the queue are left, expected one", len(r.things), len(r.queue))
	}
	if v, ok := r.drop(key(1)); !ok || v != 10 || len(r.queue) != 0 {
		t.Errorf("got %d %t", v, ok)
	}
}

// A reload with other clients keeps tokens, consents and what is known of guesses.
func TestAReload(t *testing.T) {
	r := memoryRig(t)
	g := r.gate(func(s *Settings) { s.Secret = nil })
	access, refresh := g.tokens()
	other, _ := g.granted(cc, basic("other", appSecret))
	a, err := g.browse(asking())
	g.reply(g.asked(a, err))
	for range 10 {
		g.refused(cc, 401, "invalid_client", basic("app", "wrong"), from("198.51.100.1"))
	}
	next := r.gate(func(s *Settings) { s.Secret, s.Clients = nil, s.Clients[:2] })
	next.alive(access)
	next.dead(other) // its client is gone
	a, err = next.browse(asking())
	next.redirected(a, err, appURI)
	next.refused(cc, 429, "temporarily_unavailable", basic("app", appSecret), from("198.51.100.1"))
	next.granted(refreshing(refresh))
}

func TestALogIsNotNeeded(t *testing.T) {
	i, err := New(Config{Settings: usual()})
	if err != nil || i.log != slog.Default() || i.now == nil {
		t.Errorf("got %v", err)
	}
	if _, err := i.Verify(t.Context(), "sp_x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}
