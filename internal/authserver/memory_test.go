package authserver

import (
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Memory is bounded, however many tokens are requested. A full store evicts those that expire first.
func TestMemoryIsBounded(t *testing.T) {
	r := memoryRig(t)
	g := r.gate()
	before := heapBytes()
	first, _ := g.granted(cc, basic("other", appSecret)) // a minute
	code := g.code(asking())
	tokens, refresh := g.tokens()
	r.pass(2 * time.Second) // all further tokens expire later
	c := g.clients["app"]
	for range maxTokens + 20_000 {
		rec := g.newAccess(c, origin, clientCredentials)
		rec.Scope = "read write"
		if err := g.store.add(t.Context(), g.mint.make(accessHandle, ""), rec); err != nil {
			t.Fatal(err)
		}
	}
	m := g.process.memory
	if n := m.tokens.Len(); n != maxTokens {
		t.Errorf("%d tokens are stored, expected %d", n, maxTokens)
	}
	if used := heapBytes() - before; used > 200<<20 {
		t.Errorf("%d MB are used", used>>20)
	}
	g.dead(first)
	g.dead(tokens)
	g.granted(redeeming(code)) // access tokens evict no codes and no refresh tokens
	g.granted(refreshing(refresh))
	if strings.Count(r.log.String(), "the token store in memory is full") != 1 {
		t.Error("expected one warning that the store is full")
	}
	r.pass(2*time.Hour + time.Minute)
	g.granted(cc, basic("other", appSecret))
	if n := m.tokens.Len() + m.codes.Len(); n != 1 {
		t.Errorf("%d records are left when all have expired, expected the last", n)
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// When a family is evicted its access tokens are deleted: they could not be revoked any more.
func TestAFamilyThatIsPushedOut(t *testing.T) {
	r := memoryRig(t)
	g := r.gate()
	g.process.memory.families.Max = 2
	one, refresh := g.tokens()
	two, _ := g.tokens()
	three, _ := g.tokens()
	g.dead(one)
	g.refused(refreshing(refresh), 400, "invalid_grant")
	g.alive(two)
	g.alive(three)
}

// A reload with other clients keeps tokens, consents and failed attempts.
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
	next.dead(other) // its client is not configured any more
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
	if _, err := i.at(base, nil).Verify(t.Context(), "sp_x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}
