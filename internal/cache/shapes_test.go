package cache

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// TestShapesOfRedis checks that replicas share values in a Sentinel set and in a Cluster.
func TestShapesOfRedis(t *testing.T) {
	for name, settings := range map[string]redis.Settings{
		"sentinel": redistest.StartSentinel(t).Settings(), "cluster": redistest.StartCluster(t).Settings(),
	} {
		t.Run(name, func(t *testing.T) {
			client, err := settings.New(slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			asked := 0
			load := func(context.Context) (shared, time.Time, error) {
				asked++
				return shared{"a value"}, time.Time{}, nil
			}
			for n := range 10 { // in several slots
				for range 2 {
					c := replica(t, client, sharedSecret, "introspection")
					if _, err := c.Get(t.Context(), KeyOf(nil, string(rune('a'+n))), load); err != nil || asked != n+1 {
						t.Errorf("value %d: %v after %d calls", n, err, asked)
					}
				}
			}
		})
	}
}
