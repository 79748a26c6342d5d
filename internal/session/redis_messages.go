package session

import (
	"context"
	"errors"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Every script that replaces or deletes a record publishes the digest of its ID on one channel. A message may be lost; then copies end by
// their time, and streams when their watch looks by itself.

// channel returns the channel of the messages.
func (r *redisStore) channel() string { return r.prefix + "sessions" }

const (
	pingEvery     = 5 * time.Second // if a ping isn't answered in this time either, the connection is taken for dead
	subscribeWait = 250 * time.Millisecond
)

// listen receives messages until ctx ends. A lost connection ends all copies, and none is used until there is another.
func (r *redisStore) listen(ctx context.Context) {
	logged := false
	for number := uint64(1); ; number++ {
		err := r.receive(ctx, number)
		connected := r.near.connection.Swap(0) != 0
		if ctx.Err() != nil {
			return
		}
		if connected {
			logged = false
		} else if !logged {
			r.log.Warn("messages about sessions in redis don't arrive, so other replicas' logouts take longer to be noticed; "+
				"an ACL user needs the commands publish and subscribe, and the channel", "channel", r.channel(), "error", err)
			logged = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(subscribeWait):
		}
	}
}

// receive subscribes to the channel over a connection of its own, and handles messages until that is lost.
func (r *redisStore) receive(ctx context.Context, number uint64) error {
	sub := r.client.Subscribe(ctx, r.channel())
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { sub.Close() })()
	pinged := false
	for {
		message, err := sub.ReceiveTimeout(ctx, pingEvery)
		var timeout net.Error
		switch {
		case err == nil:
			pinged = false
		case pinged || !errors.As(err, &timeout) || !timeout.Timeout():
			return err
		default:
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			pinged = true
		}
		switch m := message.(type) {
		case *goredis.Subscription: // the second one would be of a connection that the client made in place of a lost one
			if !r.near.connection.CompareAndSwap(0, number) {
				return errors.New("the connection was lost")
			}
		case *goredis.Message:
			r.changed(m.Payload)
		}
	}
}

// changed handles the news that the record with a digest was replaced or deleted.
func (r *redisStore) changed(digest string) {
	r.near.end(digest)
	r.watchers.wake(digest)
}

func (r *redisStore) watch(id ID, wake chan<- struct{}) (stop func()) {
	r.subscribe()
	return r.watchers.add(id.digest(), wake)
}

// subscribe begins to receive messages, unless that has begun.
func (r *redisStore) subscribe() {
	r.subscribed.Do(func() { r.listening.Go(func() { r.listen(r.closing) }) })
}
