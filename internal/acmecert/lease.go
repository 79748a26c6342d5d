package acmecert

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// leaseLife is how long the lease lasts after its holder has died.
const leaseLife = time.Minute

// withLease calls f while this process holds the lease. It doesn't call f if another replica holds it. The context of f ends if the lease
// is lost.
func (c *Certifier) withLease(ctx context.Context, f func(context.Context)) {
	holder := rand.Text()
	ok, err := c.store.lease(ctx, holder, leaseLife)
	c.storeWorks(err)
	if err != nil || !ok {
		return
	}
	leased, lose := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { c.renewLease(leased, lose, holder) })
	f(leased)
	lose()
	renewing.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	c.store.release(ctx, holder) // on an error the lease ends by itself
}

// renewLease renews the lease after each third of its life until ctx ends. It calls lose if another replica has it, or could have it.
func (c *Certifier) renewLease(ctx context.Context, lose func(), holder string) {
	tick := time.NewTicker(leaseLife / 3)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		before := time.Now()
		ok, err := c.store.lease(ctx, holder, leaseLife)
		switch {
		case err == nil && ok:
			renewed = before
		case err == nil, time.Since(renewed) > leaseLife/2 && ctx.Err() == nil:
			c.log.Warn("the lease for orders of certificates is lost: another replica goes on", "error", err)
			lose()
			return
		}
	}
}
