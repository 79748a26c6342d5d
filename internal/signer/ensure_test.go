package signer

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/internal/redis/redistest"
)

// Replicas that start at the same time publish one set of keys, with the algorithms of all of them.
func TestReplicasEnsureOneSet(t *testing.T) {
	r := &rig{T: t, settings: Settings{Storage: "redis", Redis: redistest.Start(t).Settings()}}
	signers := []*Signer{r.open(), r.open(), r.open(), r.open()}
	var all sync.WaitGroup
	for n, s := range signers {
		all.Go(func() {
			if err := s.Ensure(t.Context(), [][]string{{"ES256", "ES384"}, {"EdDSA", "ES256"}}[n%2]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	want := r.public(signers[0])
	if len(want) != 3 {
		t.Errorf("%d keys are published, expected 3", len(want))
	}
	for _, s := range signers {
		if got := r.public(s); !maps.Equal(got, want) {
			t.Errorf("one replica publishes %v, another %v", got, want)
		}
		if kid := r.key(s, "ES256").KeyID; !want[kid] {
			t.Errorf("a replica signs with %s, which isn't published", kid)
		}
	}
}

// A rotation replaces all keys at once, so that each is published before it signs. The first keys are not rotated at once.
func TestRotationIsComplete(t *testing.T) {
	onEach(t, func(r *rig) {
		now := time.Now()
		r.settings.RotateAfter = time.Hour
		s := r.open()
		s.now = func() time.Time { return now }
		if err := s.Ensure(t.Context(), []string{"ES256", "EdDSA"}); err != nil {
			t.Fatal(err)
		}
		if kids := r.public(s); len(kids) != 2 {
			t.Errorf("%d keys are published, expected the 2 first ones", len(kids))
		}
		now = now.Add(time.Hour)
		r.key(s, "EdDSA")
		kids := r.public(s)
		if len(kids) != 4 {
			t.Errorf("%d keys are published, expected 2 new ones and the 2 before", len(kids))
		}
		if kid := r.key(s, "ES256").KeyID; !kids[kid] {
			t.Errorf("%s signs, and was not published before", kid)
		}
	})
}

// An awayStore fails while away is set.
type awayStore struct {
	memoryStore
	away  bool
	asked int
}

func (s *awayStore) load(ctx context.Context) (*set, error) {
	s.asked++
	if s.away {
		return nil, ErrUnavailable
	}
	return s.memoryStore.load(ctx)
}

// During an outage the store is used only once in a while, however many callers there are, and no other keys are published. Ensure uses it
// again, and so does Public after a pause: it makes the keys that Ensure could not make.
func TestStoreAway(t *testing.T) {
	now := time.Now()
	s, err := New(Config{Settings: Settings{Storage: "memory"}, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	store := &awayStore{memoryStore: memoryStore{&set{}}, away: true}
	s.store = store
	if err := s.Ensure(t.Context(), []string{"ES256"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Ensure: %v, expected %v", err, ErrUnavailable)
	}
	for range 10 {
		if set, err := s.Public(t.Context()); !errors.Is(err, ErrUnavailable) || len(set.Keys) != 0 {
			t.Errorf("Public: %v, %v", set, err)
		}
		if _, err := s.Key("ES256"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Key: %v", err)
		}
	}
	if store.asked != 1 {
		t.Errorf("the store was asked %d times, expected once", store.asked)
	}
	store.away = false
	now = now.Add(pause)
	set, err := s.Public(t.Context())
	if err != nil || len(set.Keys) != 1 {
		t.Fatalf("Public: %v, %v, expected one key", set, err)
	}
	published(t, s, &now, store)
}

// published checks that the keys are still used during an outage, and that Ensure uses the store again without a pause.
func published(t *testing.T, s *Signer, now *time.Time, store *awayStore) {
	t.Helper()
	store.away = true
	*now = now.Add(reread)
	if set, err := s.Public(t.Context()); err != nil || len(set.Keys) != 1 {
		t.Errorf("Public: %v, %v, expected the key that was read before", set, err)
	}
	if _, err := s.Key("ES256"); err != nil {
		t.Errorf("Key: %v, expected the one that was read before", err)
	}
	if _, err := s.Key("ES384"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Key: %v, expected %v", err, ErrUnavailable)
	}
	store.away = false
	if err := s.Ensure(t.Context(), []string{"ES256", "ES384"}); err != nil {
		t.Errorf("Ensure: %v", err)
	}
	if got := slices.Sorted(maps.Keys(s.set.Current)); !slices.Equal(got, []string{"ES256", "ES384"}) {
		t.Errorf("keys for %q", got)
	}
}
