package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// ErrNotAcknowledged means that a write may be lost if its master fails: fewer replicas than redis.wait_replicas have confirmed it.
var ErrNotAcknowledged = errors.New("the write isn't confirmed by as many replicas as redis.wait_replicas says")

// A Client is a client of Redis, whatever its shape: one server, the master that Sentinels name, or a Cluster. It is safe for concurrent
// use. Everything is read from masters. While parts of a Cluster or a set of Sentinels change, a command is tried again for 2 s; so
// Redis may run a command or a script twice, and callers must allow for that.
type Client struct {
	goredis.UniversalClient

	cluster     *goredis.ClusterClient               // the same client, if it is of a Cluster
	node        func(address string) *goredis.Client // returns a client of one node of a Cluster
	hops        int                                  // how many redirections of the Cluster a write follows
	replicas    int                                  // how many must confirm a write; 0: its own answer confirms it
	waitTimeout time.Duration
	log         *slog.Logger

	unacknowledged atomic.Uint64

	mu     sync.Mutex
	logged map[string]time.Time // by message: when it was logged last
}

// Unacknowledged returns how many writes ended without the confirmation of redis.wait_replicas replicas.
func (c *Client) Unacknowledged() uint64 { return c.unacknowledged.Load() }

// Write calls write with a connection to the master that holds key; all keys that write changes are in the slot of key. It reports
// whether the change is acknowledged: whether redis.wait_replicas replicas have confirmed it in redis.wait_timeout. The error is that of
// write, which must wrap the client's error. While parts of Redis change, Write calls write again for 2 s. So write must recognize what it
// has done before. It sends commands, scripts and pipelines, but no transactions (MULTI).
func (c *Client) Write(ctx context.Context, key string, write func(context.Context, goredis.Cmdable) error) (acknowledged bool, err error) {
	acknowledged, err = c.write(ctx, time.Now().Add(patience), key, write)
	if err == nil && !acknowledged {
		c.unacknowledged.Add(1)
	}
	return acknowledged, err
}

// MustWrite calls write as Write does, again and again until the change is acknowledged. After 2 s it returns an error that wraps
// ErrNotAcknowledged; then the change may be done or not.
func (c *Client) MustWrite(ctx context.Context, key string, write func(context.Context, goredis.Cmdable) error) error {
	end := time.Now().Add(patience)
	for {
		acknowledged, err := c.write(ctx, end, key, write)
		switch {
		case err == nil && acknowledged:
			return nil
		case c.replicas == 0, err != nil && !changing(err):
			return err
		case !pause(ctx, end, longestPause):
			c.unacknowledged.Add(1)
			return errors.Join(ErrNotAcknowledged, err)
		}
	}
}

// write writes until end.
func (c *Client) write(
	ctx context.Context, end time.Time, key string, write func(context.Context, goredis.Cmdable) error,
) (acknowledged bool, err error) {
	if c.replicas == 0 {
		err = write(ctx, c.UniversalClient)
		return err == nil, err
	}
	err = c.again(ctx, end, func(ctx context.Context) (err error) {
		acknowledged, err = c.writeOnce(ctx, key, write)
		return err
	})
	return acknowledged, err
}

// writeOnce writes to the master of the key's slot. In a Cluster it follows redirections: MOVED names the slot's new master, ASK the node
// to which a slot is moving.
func (c *Client) writeOnce(
	ctx context.Context, key string, write func(context.Context, goredis.Cmdable) error,
) (acknowledged bool, err error) {
	master, err := c.master(ctx, key)
	if err != nil {
		return false, err
	}
	acknowledged, err = c.writeTo(ctx, master, false, write)
	from := master.Options().Addr
	for range c.hops {
		to, asked := redirection(err, from)
		if to == "" || c.cluster == nil {
			break
		}
		if !asked {
			c.cluster.ReloadState(ctx)
		}
		node := c.node(to)
		acknowledged, err = c.writeTo(ctx, node, asked, write)
		node.Close()
		from = to
	}
	return acknowledged, err
}

// redirection returns the address to which an error of a Cluster redirects, or "". asked means that the node accepts the command only
// after ASKING. A redirection without a host is to the host that it came from.
func redirection(err error, from string) (to string, asked bool) {
	to, moved := goredis.IsMovedError(err)
	if !moved {
		to, asked = goredis.IsAskError(err)
	}
	if host, port, err := net.SplitHostPort(to); err == nil && host == "" {
		host, _, _ = net.SplitHostPort(from)
		to = net.JoinHostPort(host, port)
	}
	return to, asked
}

// master returns a client of the master that holds key.
func (c *Client) master(ctx context.Context, key string) (*goredis.Client, error) {
	if c.cluster != nil {
		return c.cluster.MasterForKey(ctx, key)
	}
	return c.UniversalClient.(*goredis.Client), nil
}

// writeTo writes over one connection of a node. WAIT counts only on the connection that wrote: it waits for the writes that were sent
// before on the same connection. A connection that breaks isn't replaced, so WAIT can't run on another one.
func (c *Client) writeTo(
	ctx context.Context, node *goredis.Client, asked bool, write func(context.Context, goredis.Cmdable) error,
) (acknowledged bool, err error) {
	conn := node.Conn()
	defer conn.Close()
	if asked {
		conn.AddHook(asking{})
	}
	if err := write(ctx, conn); err != nil {
		return false, err
	}
	n, err := conn.Do(ctx, "wait", c.replicas, c.waitTimeout.Milliseconds()).Int()
	switch {
	case err == nil && n >= c.replicas:
		return true, nil
	case err == nil:
		c.warn("fewer replicas than redis.wait_replicas have confirmed a write in redis.wait_timeout: "+
			"a write that isn't confirmed is lost if the master fails now", "replicas", n, "wait_replicas", c.replicas)
	case goredis.IsPermissionError(err):
		c.warn("the ACL user may not run WAIT, so no write can be confirmed: allow it +wait, or set redis.wait_replicas to 0", "error", err)
	default:
		c.warn("the connection to Redis failed before redis.wait_replicas replicas had confirmed a write", "error", err)
	}
	return false, nil
}

// warn logs a message, at most once a minute.
func (c *Client) warn(message string, args ...any) {
	c.mu.Lock()
	now := time.Now()
	due := now.Sub(c.logged[message]) >= time.Minute
	if due {
		c.logged[message] = now
	}
	c.mu.Unlock()
	if due {
		c.log.Warn(message, args...)
	}
}

// EachMaster calls f with a client of each master, in the order of their addresses, until f returns an error. A command of such a client
// isn't tried again while parts of Redis change.
func (c *Client) EachMaster(ctx context.Context, f func(context.Context, *goredis.Client) error) error {
	if c.cluster == nil {
		return f(ctx, c.UniversalClient.(*goredis.Client))
	}
	var mu sync.Mutex
	var masters []*goredis.Client
	err := c.cluster.ForEachMaster(ctx, func(_ context.Context, m *goredis.Client) error { // concurrently
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, m)
		return nil
	})
	if err != nil {
		return fmt.Errorf("the nodes of the Cluster: %w", err)
	}
	slices.SortFunc(masters, func(a, b *goredis.Client) int { return cmp.Compare(a.Options().Addr, b.Options().Addr) })
	for _, m := range masters {
		if err := f(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
