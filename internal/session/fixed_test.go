package session

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// With any value of these settings the store has hashes only, and an index by which a logout finds sessions.
func TestHashesAndIndexAreAlwaysOn(t *testing.T) {
	r := redisRig(t)
	for _, on := range []bool{false, true} {
		s, err := New(Config{
			Settings: Settings{
				Secret: []auth.Secret{secretA}, Storage: "redis", Redis: r.server.Settings(),
				HashStorageKey: on, StoreMetadata: on, HashSubject: on,
			},
			Keyring: mustKeyring(t, secretA), Now: r.clock.now, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		id := r.start(s, nil, john())
		for _, key := range r.server.Client(t, 0).Keys(t.Context(), "*").Val() {
			if strings.Contains(key, john().Subject) || strings.Contains(key, string(id[:])) {
				t.Errorf("%v: the name of %q", on, key)
			}
		}
		if n, err := bySubject(s, t.Context(), john().Issuer, "app", john().Subject); n != 1 || err != nil {
			t.Errorf("%v: ended %d, %v", on, n, err)
		}
		s.Close()
		r.pass(2 * time.Second) // a login in the second of the logout ends, too
	}
	a := Settings{Audience: "a", StoreMetadata: true}
	b := Settings{Audience: "b", HashSubject: true}
	x, y := a.ForStore(), b.ForStore()
	if x.Audience != y.Audience || x.StoreMetadata != y.StoreMetadata || x.HashSubject != y.HashSubject {
		t.Errorf("%+v and %+v don't share a store", x, y)
	}
}
