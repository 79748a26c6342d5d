package signer

import (
	"testing"

	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// TestShapesOfRedis checks that replicas agree on the keys in a Sentinel set and in a Cluster, and that the replicas of Redis have them.
func TestShapesOfRedis(t *testing.T) {
	for name, settings := range map[string]redis.Settings{
		"sentinel": redistest.StartSentinel(t).Settings(), "cluster": redistest.StartCluster(t).Settings(),
	} {
		t.Run(name, func(t *testing.T) {
			r := &rig{T: t, settings: Settings{Storage: "redis", Redis: settings}}
			a, b := r.open(), r.open()
			for _, s := range []*Signer{a, b} {
				if err := s.Ensure(t.Context(), []string{"ES256"}); err != nil {
					t.Fatal(err)
				}
			}
			if a, b := r.key(a, "ES256"), r.key(b, "ES256"); a.KeyID != b.KeyID {
				t.Errorf("the keys are %s and %s", a.KeyID, b.KeyID)
			}
			if n := a.store.(*redisStore).client.Unacknowledged(); n != 0 {
				t.Errorf("%d writes weren't acknowledged", n)
			}
		})
	}
}
