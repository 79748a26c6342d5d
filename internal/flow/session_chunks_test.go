package flow_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// A chunkJar is a browser's session cookies with session_storage cookie, by their names.
type chunkJar map[string]string

// take does what the headers of an answer say.
func (j chunkJar) take(headers ...http.Header) chunkJar {
	for _, h := range headers {
		for _, c := range setIn(h) {
			switch {
			case !strings.HasPrefix(c.Name, "__Host-session_"):
			case c.MaxAge < 0:
				delete(j, c.Name)
			default:
				j[c.Name] = c.Value
			}
		}
	}
	return j
}

// request returns a request for a page with the cookies.
func (g *gate) requestOf(j chunkJar) *auth.Request {
	var all []*http.Cookie
	for _, name := range slices.Sorted(maps.Keys(j)) {
		all = append(all, &http.Cookie{Name: name, Value: j[name]})
	}
	return g.carries(all...)
}

// inCookies makes a gate keep its sessions in cookies, in a single process or not.
func inCookies(single bool) func(*gate) {
	return func(g *gate) { g.settings.Session.Storage, g.settings.Session.CookieSingleProcess = "cookie", single }
}

// padded makes the provider put n bytes into each access token.
func (g *gate) padded(n int) {
	g.issuer.AdjustAccessToken(func(c map[string]any) { c["padding"] = padding(n) })
}

// padding returns text that doesn't compress well.
func padding(n int) (text string) {
	for i := 0; len(text) < n; i++ {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		text += base64.StdEncoding.EncodeToString(sum[:])
	}
	return text
}

func (g *gate) loggedInJar() chunkJar {
	g.Helper()
	return chunkJar{}.take(g.loginHeaders("john")...)
}

// TestChunks: a login that doesn't fit one cookie takes several, another process with the secret accepts them, and a cookie that isn't
// needed any more is cleared.
func TestChunks(t *testing.T) {
	w := newWorld(t)
	g, other := w.newGate(t, browserFlows, inCookies(true)), w.newGate(t, browserFlows, inCookies(true))
	g.padded(3000)
	j := g.loggedInJar()
	if len(j) < 2 {
		t.Fatalf("the cookies are %d", len(j))
	}
	g.expect(row{ask: always(g.requestOf(j)), want: passes, more: isJohns})
	other.expect(row{ask: always(other.requestOf(j)), want: passes, more: isJohns})

	part := maps.Clone(j)
	delete(part, slices.Sorted(maps.Keys(j))[1])
	g.expect(row{ask: always(g.requestOf(part)), want: goesOn, more: clears})
	delete(j, slices.Sorted(maps.Keys(j))[0])
	g.expect(row{ask: always(g.requestOf(j)), want: goesOn, more: func(g *gate, res *auth.Result) {
		if len(j.take(res.Header)) != 0 {
			t.Errorf("still there: %d cookies", len(j))
		}
	}})

	j = g.loggedInJar()
	g.issuer.AdjustAccessToken(nil)
	w.clock.advance(6 * time.Minute)
	g.expect(row{ask: always(g.requestOf(j)), want: passes, calls: calls{provider.Token: 1}, more: func(g *gate, res *auth.Result) {
		if len(j.take(res.Header)) != 1 {
			t.Errorf("after the refresh: %d cookies", len(j))
		}
	}})
	j[slices.Collect(maps.Keys(j))[0]+"_3"] = "x"
	g.expect(row{ask: always(g.requestOf(j)), want: passes, more: func(g *gate, res *auth.Result) {
		if len(res.Header["Set-Cookie"]) != 1 || len(j.take(res.Header)) != 1 {
			t.Errorf("got %v", res.Header)
		}
	}})
}

// TestChunksRefresh: in a single process concurrent requests cause one refresh and get equal cookies. Otherwise a session ends with its
// access token.
func TestChunksRefresh(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows, inCookies(true))
	j := g.loggedInJar()
	w.clock.advance(6 * time.Minute)
	before := w.counted()
	results := make(chan chunkJar, 20)
	for range 20 {
		r := g.requestOf(j)
		go func() {
			res, err := g.chain[:1].Authenticate(r)
			if err != nil {
				res = &auth.Result{}
			}
			results <- chunkJar{}.take(res.Header)
		}()
	}
	first := <-results
	for range 19 {
		if got := <-results; len(first) == 0 || !maps.Equal(first, got) {
			t.Error("concurrent requests got other cookies")
		}
	}
	if n := w.asked(before)[provider.Token]; n != 1 {
		t.Errorf("%d refreshes, expected 1", n)
	}
	g.expect(row{ask: always(g.requestOf(first)), want: passes, more: isJohns})

	many := w.newGate(t, browserFlows, inCookies(false))
	j = many.loggedInJar()
	w.clock.advance(5*time.Minute - time.Second)
	many.expect(row{ask: always(many.requestOf(j)), want: passes})
	w.clock.advance(2 * time.Second)
	many.expect(row{ask: always(many.requestOf(j)), want: goesOn, more: clears})
}

// TestChunksTooLarge: a login that doesn't fit into cookies is refused, and the log names redis.
func TestChunksTooLarge(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, "session bearer", inCookies(false), func(g *gate) { g.settings.DisableSession = nil })
	g.warm()
	token := g.issuer.AccessToken("john", "app", map[string]any{"padding": padding(9000)})
	g.expect(row{ask: always(g.bearer(token)), want: misset})
	_, err := g.chain.Authenticate(g.bearer(token))
	if err == nil || !strings.Contains(auth.AsError(err).Err.Error(), "write session_storage: redis") {
		t.Errorf("got %v", err)
	}
}

// TestChunksReview: an answer with older cookies isn't sent after a newer one, a new login or a logout.
func TestChunksReview(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows, inCookies(true))
	sent := func(r *auth.Request, h http.Header) bool { return len(g.chain.Review(r, h, true)["Set-Cookie"]) > 0 }
	answer := func(r *auth.Request) http.Header {
		res, err := g.chain.Authenticate(r)
		if err != nil {
			return auth.HeaderOf(err)
		}
		return res.Header
	}
	j := g.loggedInJar()
	w.clock.advance(2 * time.Minute)
	r := g.requestOf(j)
	touched := answer(r)
	if !sent(r, touched) {
		t.Fatal("a recorded use isn't sent")
	}
	w.clock.advance(4 * time.Minute)
	refreshed := answer(g.requestOf(j))
	if sent(r, touched) || !sent(r, refreshed) {
		t.Error("the older version is sent after the newer one, or the newer one isn't")
	}
	name := slices.Sorted(maps.Keys(j))[0]
	next := chunkJar{}.take(g.loginHeaders("john", "Cookie", name+"="+j[name])...)
	if sent(r, refreshed) || sent(r, http.Header{"Set-Cookie": {name + "=; Max-Age=0", name + "_1=; Max-Age=0"}}) {
		t.Error("the cookies of a login are sent, or cleared, after the next one")
	}
	g.expect(row{ask: always(g.requestOf(j)), want: goesOn, more: keeps})
	g.expect(row{ask: always(g.requestOf(next)), want: passes, more: isJohns})
	if other := (http.Header{"Set-Cookie": {"other=1", name + "_x=2"}}); len(g.chain.Review(r, other, true)["Set-Cookie"]) != 2 {
		t.Error("cookies of others are held back")
	}

	w.clock.advance(2 * time.Minute)
	r = g.requestOf(next)
	touched = answer(r)
	for _, e := range g.chain.Endpoints() {
		if e.Name != "logout" || e.Path == "" {
			continue
		}
		out := g.requestOf(next)
		out.Method = http.MethodPost
		out.Header.Set("Origin", origin)
		res, err := e.Serve(out)
		if err != nil || res.Answer.Status != http.StatusSeeOther {
			t.Fatal(res, err)
		}
	}
	if sent(r, touched) {
		t.Error("a cookie is set after the logout")
	}
	g.expect(row{ask: always(g.requestOf(next)), want: goesOn, more: clears})
	if _, err := g.chain.Authenticate(g.requestOf(next)); !errors.Is(err, auth.ErrNoCredential) {
		t.Error(err)
	}
}
