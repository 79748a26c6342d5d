package faults

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
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
	leaving := u.load.leaving
	u.load.mu.Unlock()
	f()
	u.load.mu.Lock()
	defer u.load.mu.Unlock()
	u.busy = false
	fault = fault || u.load.fault
	if fault && u.load.lossy || leaving { // a request that was answered while the part went may have refreshed the tokens
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
