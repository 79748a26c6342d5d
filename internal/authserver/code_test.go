package authserver

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestCode(t *testing.T) {
	onBoth(t, func(r *rig) {
		g, other := r.gate(), r.gate()
		access, refresh := other.granted(redeeming(g.code(asking())))
		i := g.alive(access)
		if i.Subject != "john" || i.Introspection["authenticated_userid"] != "john" ||
			i.ClientID != "app" || i.Tokens.Scope != "read write" {
			r.Errorf("got %+v", i)
		}
		if refresh == "" || !strings.HasPrefix(access, "sp_") || !strings.HasPrefix(refresh, "sp_r_") {
			r.Errorf("got %d and %d characters", len(access), len(refresh))
		}
		g.dead(refresh)
		public, _ := g.granted(spa(redeeming(g.code(spa(with(asking(), "scope", "read"))))))
		g.alive(public)
	})
}

func TestCodesThatAreRefused(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate(func(s *Settings) { s.PKCE = "lax" })
		plain := with(asking(), "code_challenge", "", "code_challenge_method", "")
		for name, c := range map[string]struct {
			asked, form url.Values
			burnt       bool // the code is deleted: its own client can't redeem it either
		}{
			"another redirect_uri":      {asking(), with(redeeming(""), "redirect_uri", appURI+"?x=1"), true},
			"redirect_uri and a slash":  {asking(), with(redeeming(""), "redirect_uri", appURI+"/"), true},
			"no redirect_uri":           {asking(), with(redeeming(""), "redirect_uri", ""), true},
			"another verifier":          {asking(), with(redeeming(""), "code_verifier", verifier+"x"), true},
			"no verifier":               {asking(), with(redeeming(""), "code_verifier", ""), true},
			"the challenge as verifier": {asking(), with(redeeming(""), "code_verifier", challengeOf(verifier)), true},
			"a verifier of no PKCE":     {plain, redeeming(""), true},
			"another client":            {asking(), with(redeeming(""), "client_id", "other"), false},
			"a public client":           {asking(), spa(redeeming("")), false},
		} {
			code := g.code(c.asked)
			g.refused(with(c.form, "code", code), 400, "invalid_grant")
			own := redeeming(code)
			if !c.asked.Has("code_challenge") {
				own = with(own, "code_verifier", "")
			}
			if status, answer := g.post("token", own); (status == http.StatusOK) == c.burnt {
				r.Errorf("%s, then as it should be: got %d %v", name, status, answer)
			}
		}
		g.granted(with(redeeming(g.code(plain)), "code_verifier", ""))
		code := g.code(asking())
		g.refused(redeeming(code[:len(code)-1]+"-"), 400, "invalid_grant")
		g.refused(redeeming(strings.Replace(code, "sp_c_", "sp_r_", 1)), 400, "invalid_grant")
		r.pass(codeLife)
		g.refused(redeeming(code), 400, "invalid_grant")
	})
}

// An expired code is refused although Redis still has it.
func TestTheClockJudgesACode(t *testing.T) {
	r := redisRig(t)
	g := r.gate()
	code := g.code(asking())
	r.clock.offset.Add(int64(codeLife))
	g.refused(redeeming(code), 400, "invalid_grant")
	if !strings.Contains(r.log.String(), "the code has expired") {
		t.Errorf("the log: %s", r.log)
	}
}

// If a client uses a code twice, its tokens are revoked (RFC 6749 §4.1.2). Another client that uses it revokes nothing.
func TestAReplayedCodeEndsItsTokens(t *testing.T) {
	onBoth(t, func(r *rig) {
		g, other := r.gate(), r.gate()
		code := g.code(asking())
		access, refresh := g.granted(redeeming(code))
		second, refresh := g.granted(refreshing(refresh))
		unrelated, _ := g.tokens()
		g.refused(with(redeeming(code), "client_id", "other"), 400, "invalid_grant")
		g.alive(access)
		g.refused(redeeming(code), 400, "invalid_grant")
		g.dead(access)
		g.dead(second)
		other.dead(second)
		other.refused(refreshing(refresh), 400, "invalid_grant")
		g.alive(unrelated)
		g.refused(redeeming(code), 400, "invalid_grant")
		if !strings.Contains(r.log.String(), "a code was used twice") {
			r.Errorf("the log: %s", r.log)
		}
	})
}

// That holds as long as the tokens are valid, even without a refresh token.
func TestALateReplay(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate(func(s *Settings) { s.RefreshTokenTTL = time.Second })
		asked := with(asking(), "client_id", "first party", "redirect_uri", "https://first.example.com/", "scope", "read")
		redeem := func(code string) url.Values {
			return with(redeeming(code), "client_id", "first party", "redirect_uri", "https://first.example.com/")
		}
		withRefresh, without := g.code(asking()), g.code(asked)
		one, _ := g.granted(redeeming(withRefresh))
		two, _ := g.granted(redeem(without))
		r.pass(119 * time.Minute)
		g.alive(one)
		g.alive(two)
		g.refused(redeeming(withRefresh), 400, "invalid_grant")
		g.refused(redeem(without), 400, "invalid_grant")
		g.dead(one)
		g.dead(two)
	})
}

// Of concurrent requests with one code, on any number of replicas, one gets tokens. Because the others are replays, the tokens are
// revoked in the end.
func TestACodeIsRedeemedOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		gates := []*gate{r.gate(), r.gate()}
		for range 5 {
			code := gates[0].code(asking())
			won, access := concurrently(gates, 50, func(g *gate) (int, string) {
				status, answer := g.post("token", redeeming(code))
				return status, answer.String("access_token")
			})
			if won != 1 {
				r.Fatalf("%d of 50 got tokens, expected 1", won)
			}
			r.gate().dead(access)
		}
	})
}

// concurrently sends n requests at once. It returns how many got status 200, and the token of one of them.
func concurrently(gates []*gate, n int, send func(*gate) (int, string)) (int, string) {
	var won atomic.Int64
	var got atomic.Value
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			if status, token := send(gates[i%len(gates)]); status == http.StatusOK {
				won.Add(1)
				got.Store(token)
			}
		})
	}
	done.Wait()
	token, _ := got.Load().(string)
	return int(won.Load()), token
}
