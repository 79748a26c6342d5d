package signer

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A slowStore blocks each load until let is closed.
type slowStore struct {
	memoryStore
	loads atomic.Int64
	let   chan struct{}
}

func (s *slowStore) load(ctx context.Context) (*set, error) {
	s.loads.Add(1)
	<-s.let
	return s.memoryStore.load(ctx)
}

// Concurrent requests for the public keys read the store once.
func TestCrowdAtThePublicKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Settings: Settings{Storage: "memory"}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		store := &slowStore{memoryStore: memoryStore{&set{}}, let: make(chan struct{})}
		s.store = store
		var answered atomic.Int64
		for range 100 {
			go func() {
				if keys, err := s.Public(t.Context()); err == nil && keys != nil {
					answered.Add(1)
				}
			}()
		}
		synctest.Wait()
		if n := store.loads.Load(); n != 1 {
			t.Errorf("the store is read %d times at once, expected once", n)
		}
		close(store.let)
		synctest.Wait()
		if n := answered.Load(); n != 100 {
			t.Errorf("%d of 100 got the keys", n)
		}
	})
}
