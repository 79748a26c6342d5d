package session

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// leaseLife is how long a lease lasts that nobody renews: its holder is gone. Holders renew it every third of that.
const leaseLife = 6 * time.Second

// Both compare the random value, so that a holder whose lease has run out doesn't touch the next one's.
var (
	renewScript   = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`)
	releaseScript = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
)

// lease takes the lease of an ID if nobody holds it. It is renewed until release is called or this process ends.
func (r *redisStore) lease(ctx context.Context, id ID) (release func(), ok bool, err error) {
	name, value := id.name(r.prefix)+":lease", rand.Text()
	taken, err := r.client.SetNX(ctx, name, value, leaseLife).Result()
	if err != nil {
		return nil, false, away(err)
	}
	if !taken { // the client may have sent it twice: then the first one took it
		held, err := r.client.Get(ctx, name).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, false, away(err)
		}
		if held != value {
			return nil, false, nil
		}
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	go r.renewLease(renewing, name, value)
	return func() {
		stop()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseLife)
		defer cancel()
		releaseScript.Run(ctx, r.client, []string{name}, value) // if it fails, the lease runs out by itself
	}, true, nil
}

func (r *redisStore) renewLease(ctx context.Context, name, value string) {
	tick := time.NewTicker(leaseLife / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			renewScript.Run(ctx, r.client, []string{name}, value, leaseLife.Milliseconds())
		case <-ctx.Done():
			return
		}
	}
}
