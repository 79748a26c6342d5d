package redistest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/freeport"
	"sallyport/internal/redis"
)

// A Cluster is a Redis Cluster of three masters and three replicas, which replace a master in about two seconds.
type Cluster struct {
	Nodes []*Server // the first three are masters at first; each of the others replicates the one three before it
}

// StartCluster starts a Cluster, whose nodes are killed when the test ends.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	bus := make([]int, 6)
	for n := range bus {
		c.Nodes = append(c.Nodes, startFile(t, &Server{limited: true}, nil, func(int) []string {
			bus[n] = freeport.Port()
			return append([]string{
				user(ACL), "cluster-enabled yes", "cluster-config-file nodes.conf", fmt.Sprintf("cluster-port %d", bus[n]),
				"cluster-node-timeout 1000", "cluster-allow-replica-migration no",
			}, durable...)
		}))
	}
	for n, node := range c.Nodes {
		must(t, node, "CLUSTER", "SET-CONFIG-EPOCH", n+1)
		if n < 3 {
			must(t, node, "CLUSTER", "ADDSLOTSRANGE", n*16384/3, (n+1)*16384/3-1)
		}
		if n > 0 {
			must(t, c.Nodes[0], "CLUSTER", "MEET", "127.0.0.1", node.Port, bus[n])
		}
	}
	for n, node := range c.Nodes {
		await(t, "nodes that know each other", func() bool { return c.clusterInfo(t, node)["cluster_known_nodes"] == "6" })
		if n >= 3 {
			await(t, "a master to replicate", func() bool {
				return node.admin(t).Do(t.Context(), "CLUSTER", "REPLICATE", c.id(t, c.Nodes[n-3])).Err() == nil
			})
		}
	}
	c.AwaitWhole(t)
	return c
}

// Settings returns the settings of a client of the Cluster. They name two of its nodes.
func (c *Cluster) Settings() redis.Settings {
	settings := defaults()
	for _, node := range c.Nodes[:2] {
		settings.ClusterNodes = append(settings.ClusterNodes, redis.ClusterNode{IP: "127.0.0.1", Port: node.Port})
	}
	return settings
}

// AwaitWhole waits until all nodes agree that the Cluster works, that none has failed, and that each of three masters has a replica.
func (c *Cluster) AwaitWhole(t testing.TB) {
	t.Helper()
	for _, node := range c.Nodes {
		await(t, "a whole Cluster", func() bool {
			known := node.admin(t).ClusterNodes(t.Context()).Val()
			return c.clusterInfo(t, node)["cluster_state"] == "ok" &&
				strings.Count(known, "slave ") == 3 && !strings.Contains(known, "fail") &&
				(role(t, node) == "slave" || replicasOf(t, node) == 1)
		})
	}
}

// Owner returns the master of a key's slot, as the nodes that are alive see it.
func (c *Cluster) Owner(t testing.TB, key string) *Server {
	t.Helper()
	for _, node := range c.Nodes {
		slot := int(node.admin(t).ClusterKeySlot(t.Context(), key).Val())
		//lint:ignore SA1019 Redis 6.2 has no CLUSTER SHARDS
		slots, err := node.admin(t).ClusterSlots(t.Context()).Result()
		if err != nil {
			continue
		}
		for _, s := range slots {
			if s.Start <= slot && slot <= s.End {
				return c.byPort(t, s.Nodes[0].Addr)
			}
		}
	}
	t.Fatal("no node answers")
	return nil
}

func (c *Cluster) byPort(t testing.TB, address string) *Server {
	t.Helper()
	for _, node := range c.Nodes {
		if strings.HasSuffix(address, ":"+strconv.Itoa(node.Port)) {
			return node
		}
	}
	t.Fatalf("%s is no node", address)
	return nil
}

// AwaitOwner waits until a node other than former is the master of a key's slot and the Cluster works.
func (c *Cluster) AwaitOwner(t testing.TB, key string, former *Server) {
	t.Helper()
	await(t, "another owner", func() bool {
		owner := c.Owner(t, key)
		return owner != former && role(t, owner) == "master" && c.clusterInfo(t, owner)["cluster_state"] == "ok"
	})
}

// Failover makes the replica of the key's master take its place.
func (c *Cluster) Failover(t testing.TB, key string) {
	t.Helper()
	owner := c.Owner(t, key)
	for _, node := range c.Nodes {
		if info(t, node, "replication")["master_port"] == strconv.Itoa(owner.Port) {
			must(t, node, "CLUSTER", "FAILOVER")
		}
	}
	c.AwaitOwner(t, key, owner)
}

// A Move is the move of a slot to another master. Until it ends, the slot's former master redirects with ASK.
type Move struct {
	From, To *Server

	c    *Cluster
	slot int64
}

// BeginMove begins to move the slot of a key to another master.
func (c *Cluster) BeginMove(t testing.TB, key string) *Move {
	t.Helper()
	m := &Move{c: c, From: c.Owner(t, key)}
	m.slot = m.From.admin(t).ClusterKeySlot(t.Context(), key).Val()
	for _, node := range c.Nodes {
		if node != m.From && role(t, node) == "master" {
			m.To = node
		}
	}
	must(t, m.To, "CLUSTER", "SETSLOT", m.slot, "IMPORTING", c.id(t, m.From))
	must(t, m.From, "CLUSTER", "SETSLOT", m.slot, "MIGRATING", c.id(t, m.To))
	return m
}

// Keys moves the slot's keys.
func (m *Move) Keys(t testing.TB) {
	t.Helper()
	for {
		keys, err := m.From.admin(t).ClusterGetKeysInSlot(t.Context(), int(m.slot), 100).Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			return
		}
		arguments := []any{"MIGRATE", "127.0.0.1", m.To.Port, "", 0, 5000, "KEYS"}
		for _, key := range keys {
			arguments = append(arguments, key)
		}
		must(t, m.From, arguments...)
	}
}

// Forget makes the target forget the move, which the former master remembers: they redirect to each other.
func (m *Move) Forget(t testing.TB) {
	t.Helper()
	must(t, m.To, "CLUSTER", "SETSLOT", m.slot, "STABLE")
}

// End makes the target the slot's master.
func (m *Move) End(t testing.TB) {
	t.Helper()
	id := m.c.id(t, m.To)
	must(t, m.To, "CLUSTER", "SETSLOT", m.slot, "NODE", id)
	must(t, m.From, "CLUSTER", "SETSLOT", m.slot, "NODE", id)
}

// id returns the ID of a node.
func (c *Cluster) id(t testing.TB, node *Server) string {
	t.Helper()
	text, err := node.admin(t).Do(t.Context(), "CLUSTER", "MYID").Text()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// clusterInfo returns the lines of CLUSTER INFO; it is empty if the node doesn't answer.
func (c *Cluster) clusterInfo(t testing.TB, node *Server) map[string]string {
	return pairs(node.admin(t).ClusterInfo(t.Context()).Val())
}

// must runs a command as the default user.
func must(t testing.TB, s *Server, arguments ...any) {
	t.Helper()
	if err := s.admin(t).Do(t.Context(), arguments...).Err(); err != nil {
		t.Fatalf("%v: %v", arguments[:2], err)
	}
}
