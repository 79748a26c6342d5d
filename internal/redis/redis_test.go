package redis

import (
	"log/slog"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/check"
)

// TestSettings checks the client options that no test with a real server covers.
func TestSettings(t *testing.T) {
	s := Settings{Host: "redis.internal", Port: 6380, ConnectTimeout: time.Second,
		SendTimeout: 2 * time.Second, ReadTimeout: 3 * time.Second, KeepalivePoolSize: 7}
	c, err := s.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := c.UniversalClient.(*goredis.Client).Options()
	if o.Addr != "redis.internal:6380" || o.PoolSize != s.KeepalivePoolSize {
		t.Errorf("the client dials %s and keeps %d connections", o.Addr, o.PoolSize)
	}
	for what, got := range map[string][2]time.Duration{
		"connect_timeout": {o.DialTimeout, s.ConnectTimeout}, "for a connection of the pool": {o.PoolTimeout, s.ConnectTimeout},
		"send_timeout": {o.WriteTimeout, s.SendTimeout}, "read_timeout": {o.ReadTimeout, s.ReadTimeout},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: waits %v, expected %v", what, got[0], got[1])
		}
	}
}

// TestWaitReplicas checks how many replicas must confirm a write.
func TestWaitReplicas(t *testing.T) {
	none, two := 0, 2
	for name, c := range map[string]struct {
		settings Settings
		want     int
	}{
		"single":            {Settings{}, 0},
		"proxied":           {Settings{ConnectionIsProxied: true}, 0},
		"sentinel":          {Settings{SentinelNodes: []SentinelNode{{Host: "a", Port: 1}}}, 1},
		"cluster":           {Settings{ClusterNodes: []ClusterNode{{IP: "a", Port: 1}}}, 1},
		"cluster, with 0":   {Settings{ClusterNodes: []ClusterNode{{IP: "a", Port: 1}}, WaitReplicas: &none}, 0},
		"single, with two":  {Settings{WaitReplicas: &two}, 2},
		"proxied, with two": {Settings{ConnectionIsProxied: true, WaitReplicas: &two}, 2},
	} {
		if got := c.settings.waitReplicas(); got != c.want {
			t.Errorf("%s: %d, expected %d", name, got, c.want)
		}
	}
}

// TestRoles checks that only masters are read from.
func TestRoles(t *testing.T) {
	for role, good := range map[string]bool{"": true, "master": true, "any": false, "slave": false} {
		s := Settings{SentinelRole: role}
		var list check.List
		s.Check(check.Checker{Report: &list}, "redis")
		if (len(list.Problems) == 0) != good {
			t.Errorf("sentinel_role %q: %v", role, list)
		}
	}
	s := Settings{ClusterNodes: []ClusterNode{{IP: "127.0.0.1", Port: 1}}, ClusterMaxRedirections: 3}
	c, err := s.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if o := c.cluster.Options(); o.ReadOnly || o.RouteByLatency || o.RouteRandomly || o.MaxRedirects != 3 {
		t.Errorf("the Cluster's options: %+v", o)
	}
}
