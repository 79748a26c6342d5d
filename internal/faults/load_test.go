package faults

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
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
		AccessTokenLifetime: tokenLife,
	}
	for n := range users {
		config.Users = append(config.Users, provider.User{Username: userName(n), Password: "doe"})
	}
	r.provider = provider.Start(t, config)
	r.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-User"))
	}))
	t.Cleanup(r.upstream.Close)
	return r
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
	l.begin()
	away()
	l.begin() // again: a request may have begun before the part was away
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
func (l *load) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = true
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

// A user is one person with one browser.
type user struct {
	load   *load
	name   string
	random *rand.Rand
	client *http.Client
	ended  []*http.Cookie // cookies of logins that have ended with an acknowledged logout
	busy   bool           // a request is under way; guarded by load.mu
}

func (u *user) run() {
	for {
		select {
		case <-u.load.stop:
			return
		default:
		}
		switch {
		case u.client == nil:
			u.login()
		case u.random.IntN(200) == 0:
			u.logout()
		case len(u.ended) > 0 && u.random.IntN(20) == 0:
			u.tryEnded()
		default:
			u.ask()
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func (u *user) gate() *gate { return u.load.gates[u.random.IntN(len(u.load.gates))] }

// during runs a request, and returns whether a part was away meanwhile.
func (u *user) during(f func()) (fault bool) {
	u.load.mu.Lock()
	u.busy, fault = true, u.load.fault
	u.load.mu.Unlock()
	f()
	u.load.mu.Lock()
	defer u.load.mu.Unlock()
	u.busy = false
	fault = fault || u.load.fault
	if fault && u.load.lossy {
		u.load.doubtful[u] = true
	}
	return fault
}

// failedNow counts a request that failed during a fault.
func (u *user) failedNow(kind string) {
	u.load.count(kind)
	u.load.mu.Lock()
	defer u.load.mu.Unlock()
	u.load.failed = time.Now()
}

func (u *user) login() {
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	var res *http.Response
	var err error
	fault := u.during(func() { res, err = u.load.rig.provider.LogIn(client, u.gate().url+"/", u.name, "doe") })
	body := text(res, err)
	switch {
	case err == nil && res.StatusCode == http.StatusOK && body == u.name:
		u.client = client
		u.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		u.load.count("login")
		u.load.mu.Lock()
		u.load.doubtful[u] = fault
		u.load.mu.Unlock()
	case fault:
		u.failedNow("login failed during the fault")
		time.Sleep(100 * time.Millisecond)
	default:
		u.load.bad(loginFailed, "%s: %v %s", u.name, err, body)
		time.Sleep(time.Second)
	}
}

// request returns a program's request: without a session it is answered 401.
func (u *user) request(method, path string) *http.Request {
	r, err := http.NewRequest(method, u.gate().url+path, nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func (u *user) ask() {
	var res *http.Response
	var err error
	fault := u.during(func() { res, err = u.client.Do(u.request(http.MethodGet, "/")) })
	body := text(res, err)
	switch {
	case err == nil && res.StatusCode == http.StatusOK && body == u.name:
		u.load.count("ok")
	case err == nil && res.StatusCode == http.StatusOK:
		u.load.bad(anothers, "%s got %q", u.name, body)
	case err == nil && res.StatusCode == http.StatusUnauthorized:
		u.lost()
	case fault:
		u.failedNow("error during the fault")
	default:
		u.load.bad(failedAlone, "%s: %v %d %s", u.name, err, status(res), body)
	}
}

// lost counts a login that has ended without a logout.
func (u *user) lost() {
	u.load.mu.Lock()
	doubtful := u.load.doubtful[u]
	u.load.mu.Unlock()
	if u.client = nil; doubtful {
		u.load.count("login lost whose tokens were on their way")
		return
	}
	u.load.bad(loginLost, "%s", u.name)
}

func (u *user) logout() {
	at, _ := url.Parse(u.gate().url)
	cookies := u.client.Jar.Cookies(at)
	var res *http.Response
	var err error
	fault := u.during(func() { res, err = u.client.Do(u.request(http.MethodPost, "/oauth2/logout")) })
	body := text(res, err)
	switch {
	case err == nil && res.StatusCode < 400:
		u.load.count("logout")
		u.client = nil
		for _, c := range cookies {
			if strings.HasPrefix(c.Name, "session_") {
				u.ended = append(u.ended, c)
			}
		}
		u.ended = u.ended[max(0, len(u.ended)-5):]
		time.Sleep(nearCache)
	case fault:
		u.failedNow("logout failed during the fault")
		u.client = nil // a logout clears the browser's cookie in any case
	default:
		u.load.bad(logoutFailed, "%s: %v %d %s", u.name, err, status(res), body)
	}
}

// nearCache is how long a replica may answer for a login that has ended.
const nearCache = 1500 * time.Millisecond

// tryEnded sends the cookie of a login that has ended.
func (u *user) tryEnded() {
	r := u.request(http.MethodGet, "/")
	r.AddCookie(u.ended[u.random.IntN(len(u.ended))])
	var res *http.Response
	var err error
	u.during(func() { res, err = (&http.Client{Timeout: 20 * time.Second}).Do(r) })
	if body := text(res, err); err == nil && res.StatusCode == http.StatusOK {
		u.load.bad(undone, "%s: %s", u.name, body)
	}
	u.load.count("ended cookie tried")
}

func text(res *http.Response, err error) string {
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

func status(res *http.Response) int {
	if res == nil {
		return 0
	}
	return res.StatusCode
}
