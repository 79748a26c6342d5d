package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/redis/redistest"
)

// TestSentinelFailover kills the master under load, and starts it again. No acknowledged write is lost, and a server that rejoins causes
// no error.
func TestSentinelFailover(t *testing.T) {
	set := redistest.StartSentinel(t)
	s := set.Settings()
	s.SentinelNodes = s.SentinelNodes[:1] // it names the others
	c, log := mustNew(t, s)
	l := startLoad(t, c, func(w, n int) string { return fmt.Sprintf("sallyport:%d:%d", w, n) })
	l.await(200, time.Now())

	master, fault := set.Master(t), time.Now()
	master.Kill()
	set.AwaitMaster(t, master)
	back := time.Now()
	l.await(200, back.Add(3*time.Second))
	master.Restart(t)
	set.AwaitReplicas(t, 2)
	l.await(200, time.Now())
	l.quiet(fault, back)
	l.complete()
	t.Logf("%d writes weren't acknowledged\n%s", c.Unacknowledged(), log)
}

// TestSentinelFailoverCommand replaces a master that works. Until it becomes a replica it accepts writes, which the replica that isn't
// promoted would confirm; so all replicas must confirm.
func TestSentinelFailoverCommand(t *testing.T) {
	set := redistest.StartSentinel(t)
	s, all := set.Settings(), 2
	s.WaitReplicas, s.WaitTimeout = &all, 100*time.Millisecond
	c, log := mustNew(t, s)
	l := startLoad(t, c, func(w, n int) string { return fmt.Sprintf("sallyport:%d:%d", w, n) })
	l.await(200, time.Now())
	fault := time.Now()
	set.Failover(t)
	back := time.Now()
	l.await(200, back.Add(3*time.Second))
	set.AwaitReplicas(t, 2)
	l.await(100, time.Now())
	l.quiet(fault, back)
	l.complete()
	t.Logf("%d writes weren't acknowledged\n%s", c.Unacknowledged(), log)
}

// TestRepeatedWrite checks that a write that finds its own result is acknowledged only when the replicas have that.
func TestRepeatedWrite(t *testing.T) {
	set := redistest.StartSentinel(t)
	s := set.Settings()
	s.WaitTimeout = 100 * time.Millisecond
	c, _ := mustNew(t, s)
	once := goredis.NewScript(`return redis.call('SET', KEYS[1], ARGV[1], 'NX') and 1 or 0`)
	write := func() bool {
		ok, err := c.Write(t.Context(), "sallyport:k", func(ctx context.Context, c goredis.Cmdable) error {
			return once.Run(ctx, c, []string{"sallyport:k"}, "v").Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	for _, server := range set.Servers[1:] {
		server.Pause()
		t.Cleanup(server.Resume)
	}
	for n := range 3 {
		if write() {
			t.Errorf("attempt %d is acknowledged, and no replica runs", n)
		}
	}
	for _, server := range set.Servers[1:] {
		server.Resume()
	}
	if err := c.MustWrite(t.Context(), "sallyport:k", func(ctx context.Context, c goredis.Cmdable) error {
		return once.Run(ctx, c, []string{"sallyport:k"}, "v").Err()
	}); err != nil {
		t.Error(err)
	}
}

// TestUnknownMaster checks that a name that no Sentinel knows is an error, and never the answer that a key doesn't exist.
func TestUnknownMaster(t *testing.T) {
	set := redistest.StartSentinel(t)
	s := set.Settings()
	s.SentinelMaster = "other"
	c, _ := mustNew(t, s)
	if err := c.Get(t.Context(), "sallyport:k").Err(); err == nil || errors.Is(err, goredis.Nil) {
		t.Errorf("got %v", err)
	}
	const want = `no Sentinel monitors a master "other": set redis.sentinel_master`
	if err := s.Ask(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, expected %q", err, want)
	}
}

// TestClusterMaster kills the master of a third of the slots under load, and starts it again.
func TestClusterMaster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	c, log := mustNew(t, cluster.Settings())
	l := startLoad(t, c, func(w, n int) string { return fmt.Sprintf("sallyport:{%d:%d}", w, n) })
	l.await(200, time.Now())

	owner, fault := cluster.Owner(t, "sallyport:k"), time.Now()
	owner.Kill()
	cluster.AwaitOwner(t, "sallyport:k", owner)
	back := time.Now()
	l.await(200, back.Add(3*time.Second))
	owner.Restart(t)
	cluster.AwaitWhole(t)
	cluster.Failover(t, "sallyport:k")
	again := time.Now()
	l.await(200, again.Add(3*time.Second))
	l.quiet(fault, again)
	l.complete()
	t.Logf("%d writes weren't acknowledged\n%s", c.Unacknowledged(), log)
}

// TestMovedSlot moves a slot to another master while keys of the slot are written: no command fails.
func TestMovedSlot(t *testing.T) {
	cluster := redistest.StartCluster(t)
	c, _ := mustNew(t, cluster.Settings())
	l := startLoad(t, c, func(w, n int) string { return fmt.Sprintf("sallyport:{k}%d:%d", w, n) })
	l.await(100, time.Now())
	for range 2 {
		begun := time.Now()
		move := cluster.BeginMove(t, "sallyport:{k}")
		l.await(100, time.Now()) // new keys are written by ASK
		move.Keys(t)
		l.await(100, time.Now())
		move.End(t)
		l.await(100, time.Now())
		if asked := move.To.Calls(t, "asking"); asked == 0 {
			t.Error("no command was redirected by ASK")
		}
		l.quiet(begun, time.Now())
	}
	l.mu.Lock()
	if len(l.failed) > 0 {
		t.Errorf("%d commands failed: %v", len(l.failed), l.last)
	}
	l.mu.Unlock()
	l.complete()
}

// TestMaxRedirections checks that a write that two nodes redirect to each other isn't sent more often than cluster_max_redirections allows.
func TestMaxRedirections(t *testing.T) {
	cluster := redistest.StartCluster(t)
	move := cluster.BeginMove(t, "sallyport:{k}")
	move.Forget(t) // the target redirects back
	calls := map[int]int{}
	for _, most := range []int{1, 5} {
		s := cluster.Settings()
		s.ClusterMaxRedirections = most
		c, _ := mustNew(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := c.Write(ctx, "sallyport:{k}", func(ctx context.Context, c goredis.Cmdable) error {
			calls[most]++
			return c.Set(ctx, "sallyport:{k}", "v", 0).Err()
		})
		cancel()
		if err == nil {
			t.Error("the write succeeded")
		}
	}
	// The pauses of 5, 10, 20, 40, 80 and 100 ms leave room for 7 attempts.
	if calls[1] > 7*2 || calls[5] <= calls[1] {
		t.Errorf("%d calls with one redirection, %d with five", calls[1], calls[5])
	}
}

// TestEachMaster checks the order of the masters, and that the keys of a Cluster are on all of them.
func TestEachMaster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	c, _ := mustNew(t, cluster.Settings())
	for n := range 100 {
		key := fmt.Sprintf("sallyport:%d", n)
		if err := c.MustWrite(t.Context(), key, set(key, "v")); err != nil {
			t.Fatal(err)
		}
	}
	var addresses []string
	found := 0
	err := c.EachMaster(t.Context(), func(ctx context.Context, m *goredis.Client) error {
		addresses = append(addresses, m.Options().Addr)
		keys, _, err := m.Scan(ctx, 0, "sallyport:*", 1000).Result()
		found += len(keys)
		return err
	})
	if err != nil || len(addresses) != 3 || found != 100 || addresses[0] > addresses[1] || addresses[1] > addresses[2] {
		t.Errorf("masters %q with %d keys, %v", addresses, found, err)
	}
}
