package authserver

import (
	"log/slog"
	"testing"

	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// TestShapesOfRedis issues, refreshes and revokes tokens in a Sentinel set and in a Cluster, over two gates. No script touches two slots,
// or a Cluster would refuse it.
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
			r := memoryRig(t)
			r.client, r.settings = client, settings
			a, b := r.gate(), r.gate()
			machine, _ := a.granted(cc, basic("app", appSecret))
			b.alive(machine)
			for range 10 { // families of several slots
				access, refresh := a.tokens()
				next, latest := b.granted(refreshing(refresh))
				a.alive(access)
				a.alive(next)
				b.post("revoke", revoking(latest))
				for _, token := range []string{access, next} {
					r.gate().dead(token)
				}
				a.refused(refreshing(latest), 400, "invalid_grant")
			}
			a.post("revoke", revoking(machine))
			r.gate().dead(machine)
			if n := client.Unacknowledged(); n != 0 {
				t.Errorf("%d writes weren't acknowledged", n)
			}
		})
	}
}
