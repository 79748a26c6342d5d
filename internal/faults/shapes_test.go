package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// inline returns settings of a set of Sentinels or of a Cluster as they stand between braces.
func inline(s redis.Settings) string {
	text := []string{"username: " + s.Username, "password: " + string(s.Password)}
	var sentinels, nodes []string
	for _, n := range s.SentinelNodes {
		sentinels = append(sentinels, fmt.Sprintf("{host: %s, port: %d}", n.Host, n.Port))
	}
	for _, n := range s.ClusterNodes {
		nodes = append(nodes, fmt.Sprintf("{ip: %s, port: %d}", n.IP, n.Port))
	}
	if len(nodes) > 0 {
		return strings.Join(append(text, "cluster_nodes: ["+strings.Join(nodes, ", ")+"]"), ", ")
	}
	return strings.Join(append(text, "sentinel_nodes: ["+strings.Join(sentinels, ", ")+"]", "sentinel_master: "+s.SentinelMaster,
		"sentinel_username: "+s.SentinelUsername, "sentinel_password: "+string(s.SentinelPassword)), ", ")
}

// startShape starts the load of a number of gates, which use a set of Sentinels or a Cluster.
func startShape(t *testing.T, s redis.Settings, replicas int) *load {
	t.Helper()
	r := newRig(t, inline(s))
	var gates []*gate
	for range replicas {
		gates = append(gates, startGate(t, r, firstSecret))
	}
	l := startLoad(t, r, gates...)
	l.await("answers", "ok", 20*users)
	return l
}

// TestSentinel kills the master of a set of Sentinels under the load of three gates, twice. Errors come only until 3 s after another server
// is the master. When the former one is back, as a replica, there are none.
func TestSentinel(t *testing.T) {
	set := redistest.StartSentinel(t)
	l := startShape(t, set.Settings(), 3)
	for range 2 {
		master := set.Master(t)
		l.fail("the master", master.Kill, 0, func() { set.AwaitMaster(t, master) })
		master.Restart(t)
		set.AwaitReplicas(t, 2)
		l.await("answers with the former master as a replica", "ok", 20*users)
	}
	l.report("Sentinel failover")
}

// TestCluster moves the slots of sessions to other masters of a Cluster, which causes no error, and then kills a master and starts it
// again.
func TestCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	l := startShape(t, cluster.Settings(), 2)
	moved := 0
	for _, node := range cluster.Nodes[:2] {
		moved += moveSlots(t, cluster, node, 50)
		l.await("answers while slots move", "ok", 10*users)
	}
	if moved < 10 {
		t.Errorf("%d slots were moved, expected more", moved)
	}
	t.Logf("%d slots with keys moved to another master", moved)
	const key = "sallyport:k"
	owner := cluster.Owner(t, key)
	l.fail("a master", owner.Kill, 0, func() { // without a replica the new master can't confirm a write
		cluster.AwaitOwner(t, key, owner)
		owner.Restart(t)
		cluster.AwaitWhole(t)
	})
	l.report("slots moved, a Cluster master killed")
}

// moveSlots moves up to most slots that have keys from a node to another master, and returns their number.
func moveSlots(t *testing.T, cluster *redistest.Cluster, node *redistest.Server, most int) (moved int) {
	t.Helper()
	keys, err := node.Client(t, 0).Keys(t.Context(), "sallyport:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if moved == most {
			break
		}
		if cluster.Owner(t, key) != node { // its slot has moved already
			continue
		}
		move := cluster.BeginMove(t, key)
		move.Keys(t)
		move.End(t)
		moved++
	}
	return moved
}

// TestPartition cuts the master of a set of Sentinels off from the other servers and from the Sentinels, but not from the gates. It
// measures for how long the gates read from it and write to it. What it writes in that time is lost: no logout of it is acknowledged, but
// a login can be lost whose tokens were refreshed.
func TestPartition(t *testing.T) {
	set := redistest.StartPartition(t)
	l := startShape(t, set.Settings(), 2)
	l.mu.Lock()
	l.lossy = true
	l.mu.Unlock()
	master := set.Servers[0]
	var begun time.Time
	windows := make(chan [2]time.Duration, 1)
	l.fail("the network between the master and the others", func() {
		set.Wire.Hold()
		begun = time.Now()
		go func() { windows <- watchFormer(t, master, begun, 6*time.Second) }()
	}, 0, func() { set.AwaitMaster(t, master) })
	window := <-windows
	t.Logf("the master that was cut off answered reads for %s, and took writes for %s", window[0], window[1])
	if slices.Max(window[:]) > 5*time.Second {
		t.Error("the window is longer than the documentation says")
	}
	set.Wire.Mend()
	set.AwaitReplicas(t, 2)
	l.await("answers with the former master as a replica", "ok", 20*users)
	l.report("partition")
}

// watchFormer returns for how long after begun the gates still read from a server and wrote to it.
func watchFormer(t *testing.T, server *redistest.Server, begun time.Time, limit time.Duration) (window [2]time.Duration) {
	var before [2]int
	for time.Since(begun) < limit {
		for n, command := range []string{"get", "set"} {
			if calls := server.Calls(t, command); calls != before[n] {
				before[n], window[n] = calls, time.Since(begun).Round(10*time.Millisecond)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return window
}
