package redistest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/redis"
)

// SentinelACL is what the gate's ACL user of the Sentinels may do. The page configs/redis.md has the same text.
const SentinelACL = "resetchannels &+switch-master &+replica-reconf-done -@all " +
	"+sentinel|get-master-addr-by-name +sentinel|sentinels +subscribe +unsubscribe +ping"

// masterName is the name of the master that the Sentinels monitor.
const masterName = "main"

// durable are the settings with which an acknowledged write survives the end of a process.
var durable = []string{"appendonly yes", "appendfsync always", "save \"\"", "repl-diskless-sync-delay 0"}

// user is the line of a configuration file for the user with an ACL.
func user(acl string) string { return fmt.Sprintf("user %s on >%s %s", username, password, acl) }

// A SentinelSet is a master with two replicas, and three Sentinels that replace it in about a second.
type SentinelSet struct {
	Servers   []*Server // the first is the first master
	Sentinels []*Server
	Wire      *Wire // to the first master; nil if it is reached without
}

// StartSentinel starts a master, two replicas and three Sentinels, which are killed when the test ends.
func StartSentinel(t testing.TB) *SentinelSet {
	t.Helper()
	return startSentinel(t, &SentinelSet{}, nil, nil)
}

// StartPartition is StartSentinel with a first master that Wire.Hold cuts off from the other servers and from the Sentinels, but not from
// clients. A master without replicas refuses writes after a second.
func StartPartition(t testing.TB) *SentinelSet {
	t.Helper()
	writes := []string{"min-replicas-to-write 1", "min-replicas-max-lag 1", "replica-announce-ip 127.0.0.1"}
	elsewhere := []string{"bind-source-addr " + stranger, "protected-mode no"} // else a server accepts only connections from 127.0.0.1
	s := &SentinelSet{}
	s.start(t, writes)
	s.Wire = NewWire(t, fmt.Sprintf("127.0.0.1:%d", s.Servers[0].Port))
	return startSentinel(t, s, append(writes, elsewhere...), append(elsewhere, "sentinel announce-ip 127.0.0.1"))
}

// start starts a server with further lines of its configuration. All but the first replicate that one.
func (s *SentinelSet) start(t testing.TB, more []string) {
	t.Helper()
	s.Servers = append(s.Servers, startFile(t, &Server{limited: true}, nil, func(int) []string {
		lines := slices.Concat([]string{user(ACL)}, durable, more)
		if len(s.Servers) > 0 {
			lines = append(lines, fmt.Sprintf("replicaof 127.0.0.1 %d", s.port(s.Servers[0])))
		}
		return lines
	}))
}

// port returns the port at which a server is reached.
func (s *SentinelSet) port(server *Server) int {
	if s.Wire != nil && server == s.Servers[0] {
		return s.Wire.Port()
	}
	return server.Port
}

// startSentinel starts what a set lacks, with further lines of the configurations of servers and Sentinels.
func startSentinel(t testing.TB, s *SentinelSet, servers, sentinels []string) *SentinelSet {
	t.Helper()
	for len(s.Servers) < 3 {
		s.start(t, servers)
	}
	await(t, "two replicas", func() bool { return replicasOf(t, s.Servers[0]) == 2 })
	for range 3 {
		s.Sentinels = append(s.Sentinels, startFile(t, &Server{}, []string{"--sentinel"}, func(int) []string {
			return append([]string{
				user(SentinelACL), fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", masterName, s.port(s.Servers[0])),
				"sentinel down-after-milliseconds " + masterName + " 500", "sentinel failover-timeout " + masterName + " 3000",
			}, sentinels...)
		}))
	}
	for _, sentinel := range s.Sentinels {
		c := sentinel.admin(t)
		await(t, "Sentinels that know each other", func() bool {
			known := goredis.NewMapStringStringCmd(t.Context(), "sentinel", "master", masterName)
			err := c.Process(t.Context(), known)
			return err == nil && known.Val()["num-slaves"] == "2" && known.Val()["num-other-sentinels"] == "2"
		})
	}
	return s
}

// Settings returns the settings of a client of the set.
func (s *SentinelSet) Settings() redis.Settings {
	settings := defaults()
	settings.SentinelMaster, settings.SentinelUsername, settings.SentinelPassword = masterName, username, password
	for _, sentinel := range s.Sentinels {
		settings.SentinelNodes = append(settings.SentinelNodes, redis.SentinelNode{Host: "127.0.0.1", Port: sentinel.Port})
	}
	return settings
}

// Master returns the server that the Sentinels call the master.
func (s *SentinelSet) Master(t testing.TB) *Server {
	t.Helper()
	address := s.Sentinels[0].admin(t).Do(t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName).Val()
	if parts, ok := address.([]any); ok && len(parts) == 2 {
		for _, server := range s.Servers {
			if strconv.Itoa(s.port(server)) == parts[1] {
				return server
			}
		}
	}
	t.Fatalf("the Sentinels know no master: %v", address)
	return nil
}

// AwaitMaster waits until a server other than former is the master, and returns it.
func (s *SentinelSet) AwaitMaster(t testing.TB, former *Server) (master *Server) {
	t.Helper()
	await(t, "a new master", func() bool {
		master = s.Master(t)
		return master != former && role(t, master) == "master"
	})
	return master
}

// AwaitReplicas waits until n replicas follow the master.
func (s *SentinelSet) AwaitReplicas(t testing.TB, n int) {
	t.Helper()
	await(t, "replicas", func() bool { return replicasOf(t, s.Master(t)) == n })
}

// Failover makes the Sentinels replace the master, which goes on as a replica.
func (s *SentinelSet) Failover(t testing.TB) {
	t.Helper()
	former := s.Master(t)
	if err := s.Sentinels[0].admin(t).Do(t.Context(), "SENTINEL", "FAILOVER", masterName).Err(); err != nil {
		t.Fatal(err)
	}
	s.AwaitMaster(t, former)
}

// role returns "master" or "slave".
func role(t testing.TB, s *Server) string { return info(t, s, "replication")["role"] }

// replicasOf returns how many replicas receive what the server writes.
func replicasOf(t testing.TB, s *Server) (n int) {
	for key, value := range info(t, s, "replication") {
		if strings.HasPrefix(key, "slave") && strings.Contains(value, "state=online") {
			n++
		}
	}
	return n
}

// info returns a section of INFO; it is empty if the server doesn't answer.
func info(t testing.TB, s *Server, section string) map[string]string {
	return pairs(s.admin(t).Info(t.Context(), section).Val())
}

// pairs returns the lines "key:value" of a text.
func pairs(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[key] = value
		}
	}
	return all
}

// await waits for up to 20 s until done returns true.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there is no sign of %s", what)
		}
	}
}
