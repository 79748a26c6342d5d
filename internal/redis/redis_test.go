package redis

import (
	"log/slog"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
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
