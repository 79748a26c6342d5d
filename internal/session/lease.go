package session

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// tryLease takes the lease of an ID if it is free: of all requests on all replicas, one at a time changes a session. The lease is
// renewed after each third of its life until release is called. If the process dies, the lease ends after its life.
func (s *Sessions) tryLease(ctx context.Context, id ID) (release func(), ok bool, err error) {
	holder := rand.Text()
	ok, err = s.store.lease(ctx, id, holder, s.timing.lease)
	if err != nil || !ok {
		return nil, false, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	renewing.Go(func() { s.renewLease(ctx, id, holder) })
	return func() {
		stop()
		renewing.Wait()
		s.store.release(context.WithoutCancel(ctx), id, holder) // on an error the lease ends by itself
	}, true, nil
}

// renewLease renews a lease until ctx ends. It goes on after an error: the lease may still be free when the store is back.
func (s *Sessions) renewLease(ctx context.Context, id ID, holder string) {
	tick := time.NewTicker(s.timing.lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.store.lease(ctx, id, holder, s.timing.lease)
		case <-ctx.Done():
			return
		}
	}
}
