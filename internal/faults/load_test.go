package faults

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/provider"
)

const (
	clientSecret = "the-secret-of-the-client"
	tokenLife    = 2 * time.Second // so that each session is refreshed again and again
	users        = 12
	recovery     = 3 * time.Second // until a gate works again after a part is back
)

// A rig is what the gates share: the provider, which rotates refresh tokens and ends a grant whose refresh token is used twice, an upstream
// that answers with the user's name, and the settings of Redis.
type rig struct {
	provider *provider.Provider
	upstream *httptest.Server
	redis    string
}

func newRig(t testing.TB, redis string) *rig {
	t.Helper()
	r := &rig{redis: redis}
	config := provider.Config{
		Clients: []provider.Client{{
			ID: "app", Secret: clientSecret, RedirectURIs: []string{"http://127.0.0.1/oauth2/callback"},
			PostLogoutRedirectURIs: []string{"http://127.0.0.1/"},
		}},
		AccessTokenLifetime: tokenLife, Users: people(users),
	}
	r.provider = provider.Start(t, config)
	r.upstream = startUpstream(t)
	return r
}

// startUpstream starts an upstream that answers with the user's name.
func startUpstream(t testing.TB) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-User"))
	}))
	t.Cleanup(server.Close)
	return server
}

// people returns the first n users.
func people(n int) (all []provider.User) {
	for i := range n {
		all = append(all, provider.User{Username: userName(i), Password: "doe"})
	}
	return all
}

func userName(n int) string { return fmt.Sprint("user", n) }

// A load is a number of users, each of whom logs in, sends requests to any replica, logs out and begins again.
type load struct {
	t     testing.TB
	gates []*gate
	rig   *rig
	stop  chan struct{}
	all   sync.WaitGroup

	mu       sync.Mutex
	counts   map[string]int
	doubtful map[*user]bool // users whose tokens were on their way when a part failed
	fault    bool           // a part is away, or came back just now
	leaving  bool           // a part is being taken away
	lossy    bool           // what is written during a fault may be lost
	failed   time.Time      // when a request failed last
	users    []*user
}

// startLoad starts the load, and waits until all users have logged in once.
func startLoad(t testing.TB, r *rig, gates ...*gate) *load {
	t.Helper()
	l := &load{t: t, gates: gates, rig: r, stop: make(chan struct{}), counts: map[string]int{}, doubtful: map[*user]bool{}}
	for n := range users {
		u := &user{load: l, name: userName(n), random: rand.New(rand.NewPCG(uint64(n), 7))}
		l.users = append(l.users, u)
		l.all.Go(u.run)
	}
	t.Cleanup(l.end)
	l.await("logins", "login", users)
	return l
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.all.Wait()
}

func (l *load) count(kind string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[kind]++
}

// bad counts what must never happen, and reports it.
func (l *load) bad(kind, format string, args ...any) {
	l.count(kind)
	l.t.Errorf(kind+": "+format, args...)
}

// await waits until n more of a kind were counted.
func (l *load) await(what, kind string, n int) {
	l.t.Helper()
	l.mu.Lock()
	before := l.counts[kind]
	l.mu.Unlock()
	enough := func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.counts[kind] >= before+n }
	if !await(60*time.Second, enough) {
		l.t.Fatalf("no %s", what)
	}
}

// fail makes a part fail by calling away, and mends it by calling back. Then the load goes on for a while.
func (l *load) fail(what string, away func(), forTime time.Duration, back func()) {
	l.t.Helper()
	begun := time.Now()
	l.begin(true)
	away()
	l.begin(false) // again: a request may have begun before the part was away
	time.Sleep(forTime)
	back()
	mended := time.Now()
	time.Sleep(recovery)
	l.mu.Lock()
	l.fault = false
	last := "none failed"
	if l.failed.After(begun) {
		last = "the last request failed " + l.failed.Sub(mended).Round(10*time.Millisecond).String() + " after it was back"
	}
	l.mu.Unlock()
	l.t.Logf("%s: away for %s; %s", what, mended.Sub(begun).Round(10*time.Millisecond), last)
	l.await("answers after "+what, "ok", 20*users)
	l.await("logins after "+what, "login", 2)
}

// begin begins a fault. The tokens of requests that are under way may be lost.
func (l *load) begin(leaving bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault, l.leaving = true, leaving
	for _, u := range l.users {
		if u.busy {
			l.doubtful[u] = true
		}
	}
}

// report prints what was counted, and checks that no user lost a login.
func (l *load) report(what string) {
	l.t.Helper()
	l.end()
	var text []string
	for _, never := range []string{anothers, loginLost, undone, loginFailed, logoutFailed, failedAlone} {
		l.counts[never] += 0 // so that it is printed
	}
	for _, kind := range slices.Sorted(maps.Keys(l.counts)) {
		text = append(text, fmt.Sprintf("%s %d", kind, l.counts[kind]))
	}
	l.t.Logf("%s: %s; refreshes %d", what, strings.Join(text, ", "), l.rig.provider.RefreshCount())
}

// What must never happen.
const (
	anothers     = "another user's answer"
	loginLost    = "login lost"
	undone       = "logout undone"
	loginFailed  = "login failed"
	logoutFailed = "logout failed"
	failedAlone  = "error without a fault"
)
