package session

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"
)

func deflated(t *testing.T, content string) []byte {
	out := bytes.NewBuffer([]byte{isDeflated})
	w, err := flate.NewWriter(out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, content)
	w.Close()
	return out.Bytes()
}

// The timeouts of storage cookie are those of the other storages.
func TestCookieTimeouts(t *testing.T) {
	const m = time.Minute
	for name, row := range map[string]struct {
		timeouts timeouts
		used     []time.Duration
		over     time.Duration
	}{
		"idling":                  {timeouts{idling: 15 * m}, []time.Duration{14 * m, 14 * m, 14 * m}, 15 * m},
		"idling, not used at all": {timeouts{idling: 15 * m}, nil, 15 * m},
		"idling, short":           {timeouts{idling: m / 3}, []time.Duration{m / 4, m / 4}, 21 * time.Second},
		"rolling, not rotated":    {timeouts{rolling: 60 * m}, []time.Duration{44 * m}, 16 * m},
		"rolling, rotated":        {timeouts{rolling: 60 * m}, []time.Duration{46 * m, 46 * m, 46 * m}, 60 * m},
		"absolute":                {timeouts{rolling: 60 * m, absolute: 100 * m}, []time.Duration{46 * m, 46 * m}, 8 * m},
	} {
		r := newCookieRig(t)
		a, b, j := r.process(row.timeouts), r.process(row.timeouts), jar{}
		r.login(j, a, john())
		for n, d := range row.used {
			r.pass(d)
			r.open(j, []*CookieSessions{a, b}[n%2])
		}
		r.pass(row.over)
		t.Log(name)
		r.refused(j, a)
		r.refused(j, b)
	}
}

// A use is recorded at most each minute, and two processes that record one in the same second set equal cookies.
func TestCookieTouch(t *testing.T) {
	r := newCookieRig(t)
	a, b, j := r.process(usual), r.process(usual), jar{}
	began := r.login(j, a, randomLogin(5000))
	other, late := maps.Clone(j), maps.Clone(j)
	r.pass(58 * time.Second)
	if r.open(j, a).Rotated {
		t.Error("a use was recorded within a minute")
	}
	r.pass(4 * time.Second)
	opened := r.open(j, a)
	r.open(other, b)
	if !opened.Rotated || opened.ID != began.carried.id || !maps.Equal(j, other) {
		t.Errorf("rotated is %v; both processes set equal cookies: %v", opened.Rotated, maps.Equal(j, other))
	}
	r.pass(2 * time.Second)
	if r.open(late, a); !maps.Equal(j, late) {
		t.Error("a concurrent request got other cookies")
	}
	if r.open(j, a).Rotated {
		t.Error("a use was recorded again within a minute")
	}
}

// A rotation seals the session under a new ID, which two processes agree on.
func TestCookieRotation(t *testing.T) {
	r := newCookieRig(t)
	times := timeouts{rolling: time.Hour}
	a, b, j := r.process(times), r.process(times), jar{}
	began := r.login(j, a, john())
	other := maps.Clone(j)
	r.pass(46 * time.Minute)
	opened := r.open(j, a)
	r.open(other, b)
	if !opened.Rotated || opened.ID == began.carried.id || opened.ID.lineage() != began.carried.id.lineage() || !maps.Equal(j, other) {
		t.Errorf("got %+v; both processes set equal cookies: %v", opened, maps.Equal(j, other))
	}
	r.pass(46 * time.Minute)
	if next := r.open(j, b); next.ID == opened.ID {
		t.Error("the second rotation kept the ID")
	}
}

// A login never takes over an ID. The session before it ends here, and neither it nor its late answers touch the new cookies.
func TestCookieLoginReplaces(t *testing.T) {
	r := newCookieRig(t)
	c, j := r.process(usual), jar{}
	before := r.login(j, c, john())
	old := maps.Clone(j)
	after := r.login(j, c, john())
	if after.carried.id.lineage() == before.carried.id.lineage() || !newer(after, before) {
		t.Errorf("got %+v after %+v", after.carried, before.carried)
	}
	if err := r.refused(old, c); !errors.Is(err, ErrReplaced) {
		t.Errorf("got %v", err)
	}
	if old.read(c).MayClear() || c.MaySet(old["s"]) || !c.MaySet(j["s"]) {
		t.Error("the older login's answer may change the newer cookie")
	}
	r.open(j, c)
}

// An answer with an older version of the cookies is not sent after a newer one.
func TestCookieLateAnswer(t *testing.T) {
	r := newCookieRig(t)
	c, j := r.process(usual), jar{}
	r.login(j, c, john())
	r.pass(2 * time.Minute)
	first := maps.Clone(j)
	r.open(first, c) // its answer is late
	carrier := j.read(c)
	r.open(j, c)
	calls := 0
	refreshed, err := j.read(c).Update(t.Context(), ID{}, refreshedTo("new", &calls), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.set(j, c, refreshed)
	r.pass(30 * time.Minute)
	if c.MaySet(first["s"]) || !c.MaySet(j["s"]) || carrier.MayClear() || !j.read(c).MayClear() {
		t.Error("of two versions the higher must win")
	}
}

// One refresh serves all requests of a process with the cookies before it, for a minute, and a use or a new ID doesn't undo it.
func TestCookieRefreshOnce(t *testing.T) {
	r := newCookieRig(t)
	times := timeouts{idling: 15 * time.Minute, rolling: 80 * time.Second}
	c, j := r.process(times), jar{}
	r.login(j, c, john())
	calls, release, waiting := 0, make(chan struct{}), make(chan struct{})
	count, once := refreshedTo("new", &calls), sync.Once{}
	slow := func(ctx context.Context, s *Session) (*Session, error) {
		once.Do(func() { close(waiting) })
		<-release
		return count(ctx, s)
	}
	var all sync.WaitGroup
	results := make([]*Session, 20)
	for n := range results {
		k := j.read(c)
		all.Go(func() { results[n], _ = k.Update(context.Background(), ID{}, slow, nil) })
	}
	<-waiting
	given, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := j.read(c).Update(given, ID{}, slow, nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a request that gave up got %v", err)
	}
	close(release)
	all.Wait()
	for _, s := range results {
		if s == nil || s.Login.Identity.Tokens.AccessToken != "new1" || s != results[0] || calls != 1 {
			t.Fatalf("got %+v after %d refreshes", s, calls)
		}
	}
	r.pass(59 * time.Second)
	old := maps.Clone(j)
	opened := r.open(old, c)
	if !opened.Rotated || opened.Session.Login.Identity.Tokens.AccessToken != "new1" {
		t.Errorf("after 59 s a request with the old cookies got %+v", opened.Session.Login.Identity.Tokens)
	}
	late := maps.Clone(j)
	r.pass(500 * time.Millisecond)
	if got := r.open(late, c).Session.Login.Identity.Tokens.AccessToken; got != "new1" {
		t.Errorf("the rotated session has %s", got)
	}
	if calls != 1 {
		t.Errorf("%d refreshes", calls)
	}
}

// After a logout the process opens and sets no cookie of the login, also if a refresh was under way.
func TestCookieLogout(t *testing.T) {
	r := newCookieRig(t)
	c, other, j := r.process(usual), r.process(usual), jar{}
	r.login(j, c, john())
	first := maps.Clone(j)
	k := j.read(c)
	discarded := 0
	_, err := k.Update(t.Context(), ID{}, func(_ context.Context, s *Session) (*Session, error) {
		if _, err := j.read(c).EndLogin(t.Context(), ID{}); err != nil {
			t.Error(err)
		}
		return s.With(john()), nil
	}, func(context.Context, *Session) { discarded++ })
	if !isNotFound(err) || discarded != 1 {
		t.Errorf("a refresh that a logout overtook: %v, and its tokens were revoked %d times", err, discarded)
	}
	r.refused(j, c)
	if c.MaySet(first["s"]) || !k.MayClear() {
		t.Error("after the logout the cookie may be set, or not be cleared")
	}
	r.open(maps.Clone(j), other) // what the documentation says: a copy stays valid elsewhere
	r.pass(23 * time.Hour)
	if c.MaySet(first["s"]) {
		t.Error("the process forgot the logout")
	}
}

// A refused refresh ends the login, another failure doesn't, and a decision about an older version ends nothing.
func TestCookieRefreshFails(t *testing.T) {
	r := newCookieRig(t)
	c, j := r.process(usual), jar{}
	r.login(j, c, john())
	failing := func(err error) Refresh { return func(context.Context, *Session) (*Session, error) { return nil, err } }
	away := errors.New("away")
	if _, err := j.read(c).Update(t.Context(), ID{}, failing(away), nil); !errors.Is(err, away) {
		t.Error(err)
	}
	if _, err := j.read(c).Update(t.Context(), ID{}, func(context.Context, *Session) (*Session, error) { panic("oops") }, nil); err == nil {
		t.Error("a panic was lost")
	}
	read := r.open(j, c).Session
	calls := 0
	if _, err := j.read(c).Update(t.Context(), ID{}, refreshedTo("new", &calls), nil); err != nil {
		t.Error(err)
	}
	if err := j.read(c).EndIfUnchanged(t.Context(), ID{}, read); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
	r.open(j, c)
	if _, err := j.read(c).Update(t.Context(), ID{}, failing(ErrEnded), nil); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	r.refused(j, c)

	r.login(j, c, john())
	if err := j.read(c).EndIfUnchanged(t.Context(), ID{}, r.open(j, c).Session); err != nil {
		t.Error(err)
	}
	r.refused(j, c)
}

// The decoded sessions are bounded, and those in use stay.
func TestDecodedSessionsAreBounded(t *testing.T) {
	var d decodedSessions
	set := func(n int) *chunkSet {
		return &chunkSet{head: head{version: uint64(n)}, values: [MaxChunks]string{"a", "b"}}
	}
	d.put("s", set(-1), &Session{}, 1<<20)
	for n := range 200 {
		d.put("s", set(n), &Session{}, 1<<20)
		if d.get("s", set(-1)) == nil {
			t.Fatalf("one in use was forgotten after %d others", n)
		}
	}
	if n := len(d.younger) + len(d.older); n > maxDecoded>>20 || n < maxDecoded>>22 {
		t.Errorf("%d MiB are stored", n)
	}
	if d.get("s", set(0)) != nil {
		t.Error("one that isn't in use is still there")
	}
	other := set(-1)
	other.values[1] = "c"
	if d.get("t", set(-1)) != nil || d.get("s", other) != nil {
		t.Error("other cookies have the session")
	}
	for range 1000 {
		d.put("s", set(-1), &Session{}, 1<<20)
	}
	if d.bytes > maxDecoded/2 || d.bytes < 1<<20 {
		t.Errorf("%d bytes are counted", d.bytes)
	}
}
