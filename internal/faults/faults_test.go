package faults

import (
	"fmt"
	"testing"
	"time"

	"sallyport/internal/redis/redistest"
)

// TestFaults lets one part fail after another. An ended login never answers again, no user gets another's answer, and no acknowledged login
// or logout is lost. Errors come only while the part is away, and for 3 s after.
func TestFaults(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	nothing := func() {}
	for what, fault := range map[string]func(*rig, *load){
		"redis killed and restarted": func(_ *rig, l *load) {
			for range 3 {
				l.fail("redis", server.Kill, time.Second, func() { server.Restart(t) })
			}
		},
		"a gate killed and restarted": func(_ *rig, l *load) {
			for n := range 3 {
				l.fail("a gate", l.gates[n%2].kill, time.Second, l.gates[n%2].start)
			}
		},
		"the provider away": func(r *rig, l *load) { l.fail("the provider", r.provider.Close, 4*tokenLife, r.provider.Reopen) },
		"secrets rotated": func(r *rig, l *load) {
			for _, secrets := range [][]string{{firstSecret, secondSecret}, {secondSecret, firstSecret}} {
				for _, g := range l.gates {
					g.configure(r, secrets...)
					g.reload()
					l.await("answers during the rotation", "ok", 10*users)
				}
			}
			l.fail("nothing", nothing, 0, nothing)
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, fmt.Sprintf("port: %d", server.Port))
			l := startLoad(t, r, startGate(t, r, firstSecret), startGate(t, r, firstSecret))
			l.await("answers", "ok", 20*users)
			fault(r, l)
			l.report(what)
		})
	}
}
