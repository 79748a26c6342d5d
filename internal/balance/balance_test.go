package balance

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
)

// A rig is a balancer with a clock of its own.
type rig struct {
	*Balancer
	now time.Time
	log bytes.Buffer
}

// newRig returns a balancer with targets a, b, c, ... of the weights.
func newRig(c Config, weights ...int) *rig {
	r := &rig{now: time.Unix(1e9, 0)}
	c.Now = func() time.Time { return r.now }
	r.Balancer = New(c)
	r.LogTo(slog.New(slog.NewJSONHandler(&r.log, nil)))
	for n, w := range weights {
		r.Add(string(rune('a'+n)), w)
	}
	return r
}

// pick picks n targets for one key, and returns their names.
func (r *rig) pick(k Key, n int) string {
	var names strings.Builder
	for range n {
		t := r.Pick(k)
		names.WriteString(t.Name)
		r.Release(t)
	}
	return names.String()
}

func TestRoundRobin(t *testing.T) {
	for want, weights := range map[string][]int{
		"abcabc": {1, 1, 1}, "aabacaa": {5, 1, 1}, "aaa": {1},
	} {
		if got := newRig(Config{Policy: RoundRobin}, weights...).pick(Key{}, len(want)); got != want {
			t.Errorf("weights %v: %s, expected %s", weights, got, want)
		}
	}
}

// TestLeastConnections checks that a target gets requests by how many it has, for its weight.
func TestLeastConnections(t *testing.T) {
	r := newRig(Config{Policy: LeastConnections}, 1, 1, 2)
	counts := map[string]int{}
	var last *Target
	for range 8 {
		last = r.Pick(Key{})
		counts[last.Name]++
	}
	if counts["a"] != 2 || counts["b"] != 2 || counts["c"] != 4 {
		t.Errorf("8 requests that go on: %v", counts)
	}
	r.Release(last)
	if next := r.Pick(Key{}); next != last {
		t.Errorf("the target that has one request less is %s, and %s got the next one", last.Name, next.Name)
	}
	if turns := newRig(Config{Policy: LeastConnections}, 1, 1).pick(Key{}, 4); turns != "abab" && turns != "baba" {
		t.Errorf("equal targets without requests got %s", turns)
	}
}

// TestRendezvous checks that a key keeps its target, that few keys move when a target goes, and that weights count.
func TestRendezvous(t *testing.T) {
	const keys = 3000
	four, three := newRig(Config{Policy: ClientAddress}, 1, 1, 2, 1), newRig(Config{Policy: ClientAddress}, 1, 1, 2)
	counts := map[string]int{}
	for n := range keys {
		k := KeyOf(fmt.Append(nil, "192.0.2.", n))
		was, is := four.pick(k, 1), three.pick(k, 1)
		if counts[was]++; was != "d" && was != is {
			t.Fatalf("key %d moved from %s to %s without need", n, was, is)
		}
		if again := four.pick(k, 3); again != strings.Repeat(was, 3) {
			t.Fatalf("key %d: %s, then %s", n, was, again)
		}
	}
	for name, share := range map[string]float64{"a": .2, "b": .2, "c": .4, "d": .2} {
		if got := float64(counts[name]) / keys; math.Abs(got-share) > .04 {
			t.Errorf("%s has %.2f of the keys, expected %.2f", name, got, share)
		}
	}
	if turns := four.pick(Key{}, 5); strings.Count(turns, "c") != 2 {
		t.Errorf("requests without a key: %s, expected turns", turns)
	}
	if got := KeyOf([]byte("a")).hash; got != 0xaf63dc4c8601ec8c { // the published FNV-1a of "a": replicas must agree
		t.Errorf("the hash of a is %x", got)
	}
}

var errReset = errors.New("reset")

// TestEjection follows a target through failures, ejections that grow, and its return.
func TestEjection(t *testing.T) {
	r := newRig(Config{Policy: RoundRobin, MaxFails: 3, EjectTime: 10 * time.Second}, 1, 1)
	a := r.targets[0]
	r.Failed(a, errReset)
	r.Failed(a, errReset)
	r.Succeeded(a)
	r.Failed(a, errReset)
	r.Failed(a, errReset)
	if got := r.pick(Key{}, 4); strings.Count(got, "a") != 2 {
		t.Errorf("two failures in a row: %s", got)
	}
	r.Failed(a, errReset)
	for _, away := range []int{10, 20, 40, 80, 160, 160, 160} {
		if got := r.pick(Key{}, 4); got != "bbbb" || r.States()[0].Usable {
			t.Fatalf("ejected: %s", got)
		}
		r.now = r.now.Add(time.Duration(away)*time.Second - 1)
		if got := r.pick(Key{}, 4); got != "bbbb" {
			t.Fatalf("ejected for %d s, almost over: %s", away, got)
		}
		r.now = r.now.Add(1)
		if got := r.pick(Key{}, 4); strings.Count(got, "a") != 2 || !r.States()[0].Usable {
			t.Fatalf("after %d s: %s", away, got)
		}
		r.Failed(a, errReset) // one is enough after an ejection
	}
	r.now = r.now.Add(160 * time.Second)
	r.pick(Key{}, 1)
	r.Succeeded(a)
	r.now = r.now.Add(10 * time.Second)
	r.Succeeded(a)
	for range 3 {
		r.Failed(a, errReset)
	}
	r.now = r.now.Add(10 * time.Second)
	if got := r.pick(Key{}, 4); strings.Count(got, "a") != 2 {
		t.Errorf("the first ejection after a good time is short again, got %s", got)
	}
	for _, want := range []string{`"event":"upstream_target_ejected","target":"a","failures":3,"for":10000000000,"error":"reset"`,
		`"event":"upstream_target_returned","target":"a"`} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, r.log.String())
		}
	}
}

// TestOneAtATime checks that a target which returns gets a second request only when it has answered the first.
func TestOneAtATime(t *testing.T) {
	r := newRig(Config{Policy: RoundRobin, MaxFails: 1, EjectTime: time.Second}, 1, 1)
	a := r.targets[0]
	r.Failed(a, errReset)
	r.now = r.now.Add(time.Second)
	count := func() (n int) {
		for range 10 {
			if r.Pick(Key{}) == a {
				n++
			}
		}
		return n
	}
	if n := count(); n != 1 || !r.States()[0].Usable {
		t.Errorf("%d of 10 requests at once", n)
	}
	r.Succeeded(a)
	if n := count(); n < 5 {
		t.Errorf("%d of 10 requests after an answer", n)
	}
}

// TestAllEjected checks that all targets are used if all are ejected, and that an answer puts a target back.
func TestAllEjected(t *testing.T) {
	r := newRig(Config{Policy: RoundRobin, MaxFails: 1, EjectTime: time.Minute}, 1, 1)
	for _, target := range r.targets {
		r.Failed(target, errReset)
	}
	if got := r.pick(Key{}, 4); strings.Count(got, "a") != 2 || strings.Count(got, "b") != 2 {
		t.Errorf("all are ejected: %s", got)
	}
	r.Succeeded(r.targets[1])
	if got := r.pick(Key{}, 4); got != "bbbb" {
		t.Errorf("b answers again: %s", got)
	}
}

func TestNeverEjected(t *testing.T) {
	r := newRig(Config{Policy: RoundRobin, EjectTime: time.Minute}, 1, 1)
	for range 100 {
		r.Failed(r.targets[0], errReset)
	}
	if got := r.pick(Key{}, 4); strings.Count(got, "a") != 2 {
		t.Errorf("max_fails: 0: %s", got)
	}
}

// TestSlowStart checks that the share of a target grows after its return.
func TestSlowStart(t *testing.T) {
	for _, policy := range []string{RoundRobin, LeastConnections} {
		r := newRig(Config{Policy: policy, MaxFails: 1, EjectTime: time.Second, SlowStart: 100 * time.Second}, 1, 1)
		if got := r.pick(Key{}, 10); strings.Count(got, "a") != 5 {
			t.Errorf("%s: at the start: %s", policy, got)
		}
		r.Failed(r.targets[0], errReset)
		r.now = r.now.Add(time.Second)
		r.takeBack(r.now)
		r.Succeeded(r.targets[0])
		last := 0
		for _, c := range []struct{ after, least, most int }{{0, 2, 22}, {50, 60, 80}, {100, 100, 100}} {
			r.now = r.targets[0].returned.Add(time.Duration(c.after) * time.Second)
			got := 0
			var held []*Target
			for range 200 {
				target := r.Pick(Key{})
				held = append(held, target)
				if target == r.targets[0] {
					got++
				}
			}
			for _, target := range held {
				r.Release(target)
			}
			if got < c.least || got > c.most || got < last {
				t.Errorf("%s: %d of 200 requests %d s after the return, expected %d to %d", policy, got, c.after, c.least, c.most)
			}
			last = got
		}
	}
}

// TestChecked checks the thresholds of active checks, and that unhealthy targets are used only if all are.
func TestChecked(t *testing.T) {
	r := newRig(Config{Policy: RoundRobin, Healthy: 2, Unhealthy: 3}, 1, 1)
	a, b := r.targets[0], r.targets[1]
	bad := errors.New("status 500")
	for _, step := range []struct {
		result error
		want   string
	}{{bad, "ab"}, {bad, "ab"}, {nil, "ab"}, {bad, "ab"}, {bad, "ab"}, {bad, "b"}, {nil, "b"}, {bad, "b"}, {nil, "b"}, {nil, "ab"}} {
		r.Checked(a, step.result)
		got := r.pick(Key{}, 4)
		if strings.Contains(got, "a") != strings.Contains(step.want, "a") {
			t.Errorf("after %v: %s, expected %s", step.result, got, step.want)
		}
	}
	for range 3 {
		r.Checked(a, bad)
		r.Checked(b, bad)
	}
	if got := r.pick(Key{}, 4); strings.Count(got, "a") != 2 {
		t.Errorf("no target is healthy: %s", got)
	}
	if !strings.Contains(r.log.String(), `"event":"upstream_target_unhealthy","target":"a","error":"status 500"`) ||
		!strings.Contains(r.log.String(), `"event":"upstream_target_healthy","target":"a"`) {
		t.Errorf("the log: %s", r.log.String())
	}
}

// TestAnother checks where the second attempt of a request goes.
func TestAnother(t *testing.T) {
	for name, c := range map[string]struct {
		targets int
		ejected string
		dead    bool
		want    string
	}{
		"another one":                            {2, "", true, "b"},
		"another one, after a closed connection": {2, "", false, "b"},
		"a usable one":                           {3, "b", true, "c"},
		"only one":                               {1, "", true, "a"},
		"the other is ejected, this one is dead": {2, "b", true, "b"},
		"the other is ejected, this one isn't":   {2, "b", false, "a"},
		"both are ejected":                       {2, "ab", false, "b"},
	} {
		r := newRig(Config{Policy: RoundRobin, MaxFails: 1, EjectTime: time.Minute}, []int{1, 1, 1}[:c.targets]...)
		for _, target := range r.targets {
			if strings.Contains(c.ejected, target.Name) {
				r.Failed(target, errReset)
			}
		}
		if got := r.Another(Key{}, r.targets[0], c.dead); got.Name != c.want || got.active != 1 {
			t.Errorf("%s: %s with %d requests, expected %s", name, got.Name, got.active, c.want)
		}
	}
}

// TestAReturnIsTried checks that a target is tried again although a request from before its ejection, or the one that tries it, goes on.
func TestAReturnIsTried(t *testing.T) {
	r := newRig(Config{Policy: LeastConnections, MaxFails: 3, EjectTime: 10 * time.Second}, 1, 1)
	a := r.targets[0]
	for r.Pick(Key{}) != a { // a WebSocket that goes on
	}
	for range 3 {
		r.Failed(a, errReset)
	}
	r.now = r.now.Add(time.Hour)
	if got := r.pick(Key{}, 10); strings.Count(got, "a") != 1 {
		t.Errorf("picked %s, expected a once", got)
	}
	r.now = r.now.Add(11 * time.Second)
	if got := r.pick(Key{}, 10); strings.Count(got, "a") != 1 {
		t.Errorf("after eject_time picked %s, expected a once", got)
	}
	r.Succeeded(a)
	if got := r.pick(Key{}, 10); strings.Count(got, "a") < 4 {
		t.Errorf("after an answer picked %s", got)
	}
}

// TestWhileAReturnIsTried checks that no request goes to an ejected target because the only other one is being tried.
func TestWhileAReturnIsTried(t *testing.T) {
	r := newRig(Config{Policy: RoundRobin, MaxFails: 3, EjectTime: 10 * time.Second}, 1, 1)
	a, b := r.targets[0], r.targets[1]
	for range 3 {
		r.Failed(b, errReset)
	}
	r.now = r.now.Add(9 * time.Second)
	for range 3 {
		r.Failed(a, errReset)
	}
	r.now = r.now.Add(2 * time.Second)
	if tried := r.Pick(Key{}); tried != b {
		t.Fatalf("picked %s, expected b", tried.Name)
	}
	if got := r.pick(Key{}, 6); got != "bbbbbb" {
		t.Errorf("picked %s, expected b alone", got)
	}
}

// TestALateAnswer checks that the answer to a request from before an ejection doesn't end it while another target works.
func TestALateAnswer(t *testing.T) {
	r := newRig(Config{Policy: RoundRobin, MaxFails: 3, EjectTime: 10 * time.Second}, 1, 1)
	a := r.targets[0]
	for range 3 {
		r.Failed(a, errReset)
	}
	r.Succeeded(a)
	if got := r.pick(Key{}, 6); got != "bbbbbb" {
		t.Errorf("picked %s, expected b alone", got)
	}
}
