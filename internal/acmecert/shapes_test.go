package acmecert

import (
	"log/slog"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// TestShapesOfRedis checks records and the lease in a Sentinel set and in a Cluster, and that the replicas of Redis have the records.
func TestShapesOfRedis(t *testing.T) {
	redistest.EachShape(t, func(t *testing.T, settings redis.Settings) {
		var all []*redisStore
		for range 2 {
			c := Config{Settings: Settings{Redis: settings, Secret: []auth.Secret{secret}}, Log: slog.New(slog.DiscardHandler)}
			s, err := newRedisStore(&c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.close() })
			all = append(all, s)
		}
		if err := all[0].put(t.Context(), "a.example", []byte("x"), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := all[1].get(t.Context(), "a.example"); err != nil || string(got) != "x" {
			t.Errorf("%q, %v", got, err)
		}
		for n, s := range all {
			if ok, err := s.lease(t.Context(), string(rune('a'+n)), time.Minute); err != nil || ok != (n == 0) {
				t.Errorf("replica %d has the lease: %t, %v", n, ok, err)
			}
		}
		if n := all[0].client.Unacknowledged(); n != 0 {
			t.Errorf("%d writes weren't acknowledged", n)
		}
	})
}
