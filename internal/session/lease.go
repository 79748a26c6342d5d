package session

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// hold takes the lease of an ID if nobody has it, so that of all requests and replicas one does something about a session.
// The lease is renewed every third of its life until release is called; a holder that died loses it after that life.
func (s *Sessions) hold(ctx context.Context, id ID) (release func(), ok bool, err error) {
	holder := rand.Text()
	ok, err = s.store.lease(ctx, id, holder, s.patience.lease)
	if err != nil || !ok {
		return nil, false, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	renewing.Go(func() { s.keep(ctx, id, holder) })
	return func() {
		stop()
		renewing.Wait()
		s.store.release(context.WithoutCancel(ctx), id, holder) // if that fails the lease runs out by itself
	}, true, nil
}

// keep renews a lease until ctx ends. A store that is away is asked again: the lease may still be free when it is back.
func (s *Sessions) keep(ctx context.Context, id ID, holder string) {
	tick := time.NewTicker(s.patience.lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.store.lease(ctx, id, holder, s.patience.lease)
		case <-ctx.Done():
			return
		}
	}
}
