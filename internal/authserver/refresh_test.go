package authserver

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRefresh(t *testing.T) {
	onBoth(t, func(r *rig) {
		g, other := r.gate(), r.gate()
		access, refresh := g.tokens()
		for range 3 {
			r.pass(13 * 24 * time.Hour) // each is valid for another 14 days
			status, answer := other.post("token", refreshing(refresh))
			if status != http.StatusOK || answer["scope"] != "read write" || answer["refresh_token"] == refresh {
				r.Fatalf("got %d %v", status, answer)
			}
			refresh = answer.String("refresh_token")
			if i := g.alive(answer.String("access_token")); i.Subject != "john" || i.Issuer != origin+base {
				r.Errorf("got %+v", i)
			}
			g, other = other, g
		}
		g.dead(access)
		r.pass(14 * 24 * time.Hour)
		g.refused(refreshing(refresh), 400, "invalid_grant")
	})
}

// A refresh may narrow the scope of one access token. The refresh token keeps the granted scope (RFC 6749 §6).
func TestARefreshNarrows(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		_, refresh := g.granted(redeeming(g.code(with(asking(), "scope", "read"))))
		g.refused(with(refreshing(refresh), "scope", "read write"), 400, "invalid_scope")
		g.refused(with(refreshing(refresh), "scope", "write"), 400, "invalid_scope")
		_, refresh = g.tokens()
		access, refresh := g.granted(with(refreshing(refresh), "scope", "write"))
		if i := g.alive(access); i.Tokens.Scope != "write" {
			r.Errorf("got %q", i.Tokens.Scope)
		}
		access, refresh = g.granted(refreshing(refresh))
		if i := g.alive(access); i.Tokens.Scope != "read write" {
			r.Errorf("got %q", i.Tokens.Scope)
		}
		less := r.gate(func(s *Settings) { s.Clients[0].Scopes = []string{"write"} })
		access, refresh = less.granted(refreshing(refresh))
		if i := less.alive(access); i.Tokens.Scope != "write" {
			r.Errorf("a scope that is no longer allowed was granted: %q", i.Tokens.Scope)
		}
		r.gate(func(s *Settings) { s.Clients[0].Scopes = nil }).refused(refreshing(refresh), 400, "invalid_scope")
		r.gate(func(s *Settings) { s.Clients[0].Grants = []string{authorizationCode} }).refused(refreshing(refresh),
			400, "unauthorized_client")
	})
}

// If a refresh token is used twice, all tokens of its authorization are revoked (RFC 9700 §4.14.2).
func TestAReusedRefreshTokenEndsItsFamily(t *testing.T) {
	onBoth(t, func(r *rig) {
		g, other := r.gate(), r.gate()
		first, stolen := g.tokens()
		unrelated, _ := g.tokens()
		second, latest := g.granted(refreshing(stolen))
		g.refused(with(refreshing(stolen), "client_id", "other"), 400, "invalid_grant") // another client can't cause that
		g.alive(second)
		r.pass(refreshGrace)
		other.refused(refreshing(stolen), 400, "invalid_grant")
		for _, replica := range []*gate{other, r.gate()} {
			replica.dead(first)
			replica.dead(second)
			replica.refused(refreshing(latest), 400, "invalid_grant")
		}
		g.alive(unrelated)
		if !strings.Contains(r.log.String(), "a refresh token was used twice") {
			r.Errorf("the log: %s", r.log)
		}
	})
}

// However many requests use a refresh token at once, on all replicas, and however often it is used within the grace time, it has one
// successor, also if that was used meanwhile. After the grace time, or when the tokens were revoked, it has none.
func TestARefreshTokenHasOneSuccessor(t *testing.T) {
	onBoth(t, func(r *rig) {
		gates := []*gate{r.gate(), r.gate()}
		for range 5 {
			_, refresh := gates[0].tokens()
			var mu sync.Mutex
			successors := map[string]bool{}
			won, access := concurrently(gates, 50, func(g *gate) (int, string) {
				status, answer := g.post("token", refreshing(refresh))
				mu.Lock()
				defer mu.Unlock()
				if status == http.StatusOK {
					successors[answer.String("refresh_token")] = true
				}
				return status, answer.String("access_token")
			})
			if won != 50 || len(successors) != 1 {
				r.Fatalf("%d of 50 got tokens, with %d refresh tokens, expected one", won, len(successors))
			}
			r.gate().alive(access)
			r.pass(refreshGrace - time.Second)
			_, next := gates[1].granted(refreshing(refresh))
			_, latest := gates[0].granted(refreshing(next))
			if _, again := gates[1].granted(refreshing(refresh)); !successors[next] || again != next {
				r.Errorf("the successor of a token became another one")
			}
			if _, again := gates[1].granted(refreshing(next)); again != latest {
				r.Errorf("the successor of the successor became another one")
			}
			r.pass(time.Second)
			gates[0].refused(refreshing(refresh), 400, "invalid_grant")
			gates[1].refused(refreshing(latest), 400, "invalid_grant")

			_, refresh = gates[0].tokens()
			_, next = gates[0].granted(refreshing(refresh))
			gates[1].post("revoke", with(revoking(next)))
			gates[0].refused(refreshing(refresh), 400, "invalid_grant")
		}
	})
}

// With reuse_refresh_token the same token serves any number of requests, and expires at its first expiry.
func TestReuseRefreshToken(t *testing.T) {
	onBoth(t, func(r *rig) {
		reuse := func(s *Settings) { s.ReuseRefreshToken = true }
		gates := []*gate{r.gate(reuse), r.gate(reuse)}
		_, refresh := gates[0].tokens()
		won, access := concurrently(gates, 4, func(g *gate) (int, string) {
			status, answer := g.post("token", refreshing(refresh))
			return status, answer.String("access_token")
		})
		if won != 4 {
			r.Errorf("%d of 4 got tokens", won)
		}
		gates[0].alive(access)
		r.pass(13 * 24 * time.Hour)
		if _, next := gates[1].granted(refreshing(refresh)); next != "" {
			r.Error("there is another refresh token")
		}
		r.pass(24 * time.Hour)
		gates[0].refused(refreshing(refresh), 400, "invalid_grant")

		code := gates[0].code(spa(with(asking(), "scope", "read"))) // a public client always gets a new one
		_, refresh = gates[0].granted(spa(redeeming(code)))
		if _, next := gates[0].granted(spa(refreshing(refresh))); next == "" || next == refresh {
			r.Error("a public client's refresh token stays")
		}
	})
}

// A client that refreshes in a loop replaces its own tokens: only the newest are valid.
func TestAFamilyKeepsItsNewestTokens(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		first, refresh := g.tokens()
		all := []string{first}
		for range maxMembers + 20 {
			access, next := g.granted(refreshing(refresh))
			all, refresh = append(all, access), next
		}
		fresh := r.gate() // with an empty cache
		fresh.process.tokens = newTokenCache(r.clock.now)
		for n, access := range all {
			if n < len(all)-maxMembers {
				fresh.dead(access)
			} else {
				fresh.alive(access)
			}
		}
		if r.server == nil {
			if n := g.process.memory.tokens.Len(); n != maxMembers {
				r.Errorf("%d access tokens are stored, expected %d", n, maxMembers)
			}
			return
		}
		c, ctx := r.server.Client(t, 0), t.Context()
		h, _ := g.mint.parse(refreshHandle, refresh)
		set, stored := c.ZCard(ctx, g.store.(*redisStore).membersName(h.family)).Val(), len(c.Keys(ctx, "sallyport:o:a:*").Val())
		if set != maxMembers || stored != maxMembers {
			r.Errorf("%d access tokens are stored, and %d are in the family's set, expected %d", stored, set, maxMembers)
		}
	})
}

// A new token is never deleted, even if this replica's clock is so late that the token expires before the others.
func TestAFamilyKeepsTheTokenOfASlowClock(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		_, refresh := g.tokens()
		for range maxMembers {
			_, refresh = g.granted(refreshing(refresh))
		}
		r.clock.offset.Add(-int64(time.Minute))
		access, _ := g.granted(refreshing(refresh))
		g.alive(access)
	})
}
