package session

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The details are sealed with a key from the secret alone, and bound to their name. They have no token and no other claim (§1.4).
func TestDetailsAreSealed(t *testing.T) {
	r := redisRig(t)
	s, c, ctx := r.sessions(usual), r.server.Client(t, 0), t.Context()
	a, b := r.start(s, nil, of("john", "1")), r.start(s, nil, of("jane", "2"))
	store := s.store.(*redisStore)
	name := store.key("d:", a.digest())
	sealed := c.HGet(ctx, name, "l").Val()
	plain, err := mustKeyring(t, secretA).OpenRecord(listedUse, name, "", sealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"token", "Jöhn", "realm_access", "identity"} {
		if strings.Contains(string(plain), not) {
			t.Errorf("the details have %q: %s", not, plain)
		}
	}
	if _, err := openListed(mustKeyring(t, secretB), name, sealed); err == nil {
		t.Error("another secret opens the details")
	}
	c.HSet(ctx, store.key("d:", b.digest()), "l", sealed)
	if got := subjects(r.pages(s, Selection{}, 10)); !slices.Equal(got, []string{"john"}) {
		t.Errorf("with the details of another session: got %q", got)
	}
	if !strings.Contains(r.log.String(), "left out of the list") {
		t.Errorf("the log: %s", r.log)
	}
}

// The details live as long as the record.
func TestDetailsGoWithTheRecord(t *testing.T) {
	r := redisRig(t)
	s, c, ctx := r.sessions(timeouts{idling: 15 * time.Minute, rolling: time.Hour}), r.server.Client(t, 0), t.Context()
	id := r.start(s, nil, of("john", "1"))
	for range 5 {
		r.pass(10 * time.Minute)
		id = r.open(s, id).ID
		store := s.store.(*redisStore)
		record, details := c.PTTL(ctx, store.record(id)).Val(), c.PTTL(ctx, store.key("d:", id.digest())).Val()
		if (record - details).Abs() > time.Second {
			t.Errorf("the record lives for %s, the details for %s", record, details)
		}
	}
	r.pass(time.Minute + grace)
	if n := len(c.Keys(ctx, "sallyport:d:*").Val()); n != 1 {
		t.Errorf("%d details, expected those of the successor", n)
	}
	planted := id
	r.start(s, &planted, of("jane", "2"))
	if n := len(c.Keys(ctx, "sallyport:d:*").Val()); n != 1 {
		t.Errorf("%d details, expected those of the login", n)
	}
}

// An index entry without a record is removed by later writes only when it is older than a mark lives: its login may be under way (§1.6).
func TestIndexEntriesArePruned(t *testing.T) {
	r := redisRig(t)
	s, c, ctx := r.sessions(timeouts{}), r.server.Client(t, 0), t.Context()
	index := s.store.(*redisStore).indexNames(indexKey{kindSubject, john().Issuer, "app", "john"})[0]
	login := of("john", "1")
	login.Began = r.clock.now()
	if err := s.store.index(ctx, newID(), &Session{Issued: r.clock.now(), Login: login}); err != nil { // as a login begins
		t.Fatal(err)
	}
	r.pass(markLife - time.Minute)
	r.start(s, nil, of("john", "1"))
	if n := c.ZCard(ctx, index).Val(); n != 2 {
		t.Errorf("%d entries, expected the one of the login under way, too", n)
	}
	r.pass(2 * time.Minute)
	r.start(s, nil, of("john", "1"))
	if n := c.ZCard(ctx, index).Val(); n != 2 {
		t.Errorf("%d entries, expected those of the two sessions", n)
	}
}
