package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// A reader of Redis or of the log sees no token, no code and no user. What Redis has is random to such a reader, and may have a short word
// by chance: one that is there is there each time.
func TestNobodyElseSeesAnything(t *testing.T) {
	first, second := readByOthers(t), readByOthers(t)
	for _, word := range []string{"john", "app", "https://", "example.com", "read"} {
		if strings.Contains(first, word) && strings.Contains(second, word) {
			t.Errorf("redis shows %q", word)
		}
	}
}

// readByOthers issues tokens and codes, and returns all that Redis has then. It checks that no secret is there or in the log.
func readByOthers(t *testing.T) string {
	t.Helper()
	r := redisRig(t)
	g, c, ctx := r.gate(), r.server.Client(t, 0), t.Context()
	access, refresh := g.tokens()
	next, latest := g.granted(refreshing(refresh))
	machine, _ := g.granted(with(cc, "scope", "read"), basic("app", appSecret))
	code := g.code(asking())
	g.user.Subject = "john"
	a, err := g.browse(asking())
	g.reply(g.asked(a, err))
	g.refused(redeeming("sp_c_x"), 400, "invalid_grant")
	g.refused(cc, 401, "invalid_client", basic("app", "a-wrong-secret"))
	g.alive(access)

	keys := c.Keys(ctx, "*").Val()
	var all strings.Builder
	for _, key := range keys {
		if !strings.HasPrefix(key, "sallyport:o:") {
			t.Errorf("%q is outside the prefix", key)
		}
		if ttl := c.PTTL(ctx, key).Val(); ttl <= 0 {
			t.Errorf("%q is kept for ever", key)
		}
		fmt.Fprintln(&all, key, c.Dump(ctx, key).Val(), c.Get(ctx, key).Val(), c.ZRange(ctx, key, 0, -1).Val())
	}
	if len(keys) != 7 { // three access tokens, a family and its set, two codes
		t.Errorf("%d keys, expected 7: %q", len(keys), keys)
	}
	r.pass(refreshGrace)
	g.refused(refreshing(refresh), 400, "invalid_grant") // its family is revoked, which is logged
	g.post("revoke", revoking(machine))
	for _, secret := range []string{access, refresh, next, latest, machine,
		code, appSecret, "a-wrong-secret", provision, "john", verifier, challengeOf(verifier)} {
		short := secret[:min(len(secret), 16)]
		if len(secret) > 60 {
			short = secret[27:50] // of the random part
		}
		for _, form := range []string{secret, short, hex.EncodeToString([]byte(short))} {
			if form != "john" && strings.Contains(all.String(), form) {
				t.Errorf("redis shows %q", form)
			}
			if strings.Contains(r.log.String(), form) {
				t.Errorf("the log shows %q", form)
			}
		}
	}
	return all.String()
}

// A token's name in Redis is its tag and its SHA-256, so that an operator can find the record of a token.
func TestNamesInRedis(t *testing.T) {
	r := redisRig(t)
	g := r.gate()
	access, _ := g.granted(cc, basic("app", appSecret))
	sum := sha256.Sum256([]byte(access))
	name := "sallyport:o:a:{" + access[len("sp_"):len("sp_")+tagLength] + "}" + base64.RawURLEncoding.EncodeToString(sum[:])
	if ttl := r.server.Client(t, 0).PTTL(t.Context(), name).Val(); ttl > 2*time.Hour || ttl < 2*time.Hour-time.Minute {
		t.Errorf("%s has the TTL %s", name, ttl)
	}
}

func TestRecordsThatWereChanged(t *testing.T) {
	r := redisRig(t)
	g, c, ctx := r.gate(), r.server.Client(t, 0), t.Context()
	name := func(token string) string {
		h, _ := g.mint.parse(accessHandle, token)
		return g.store.(*redisStore).name(h)
	}
	mine, _ := g.granted(cc, basic("app", appSecret))
	other, _ := g.granted(cc, basic("other", appSecret))
	record := c.Get(ctx, name(mine)).Val()
	for what, foreign := range map[string]string{
		"another token's":   c.Get(ctx, name(other)).Val(),
		"a changed byte":    record[:len(record)-1] + string(record[len(record)-1]^1),
		"empty":             "",
		"another program's": "hello",
		"cut":               record[:30],
	} {
		c.Set(ctx, name(mine), foreign, time.Hour)
		if _, err := r.gate().Verify(ctx, mine); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	c.Del(ctx, name(mine))
	c.RPush(ctx, name(mine), "a list")
	if _, err := r.gate().Verify(ctx, mine); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a list: got %v, expected %v", err, ErrUnavailable)
	}
	if strings.Contains(r.log.String(), "hello") || !strings.Contains(r.log.String(), "not used") {
		t.Errorf("the log: %s", r.log)
	}
}

// Most requests need no Redis command, and a token that the mint did not make never does.
func TestFactsAreKnownForAWhile(t *testing.T) {
	r := redisRig(t)
	g := r.gate()
	access, _ := g.granted(cc, basic("app", appSecret))
	gets := r.server.Calls(t, "get")
	for range 100 {
		g.alive(access)
		g.dead("sp_" + randomText(53))
	}
	if n := r.server.Calls(t, "get") - gets; n != 1 {
		t.Errorf("%d GETs for 200 requests, expected 1", n)
	}
	r.clock.offset.Add(int64(CachedFor))
	g.alive(access)
	if n := r.server.Calls(t, "get") - gets; n != 2 {
		t.Errorf("%d GETs, expected one more after %s", n, CachedFor)
	}
}

func TestARestartKeepsTokens(t *testing.T) {
	r := redisRig(t, "--appendonly", "yes", "--appendfsync", "always")
	access, refresh := r.gate().tokens()
	code := r.gate().code(asking())
	r.server.Kill()
	r.server.Restart(t)
	g := r.gate(func(s *Settings) { s.Secret = []auth.Secret{"cccccccccccccccccccccccccccccccc", sealing[0]} }) // and a new secret
	g.alive(access)
	g.granted(redeeming(code))
	_, refresh = g.granted(refreshing(refresh))
	g.granted(refreshing(refresh))
	r.gate(func(s *Settings) { s.Secret = []auth.Secret{"cccccccccccccccccccccccccccccccc"} }).dead(access)
}

func TestRedisAway(t *testing.T) {
	r := redisRig(t, "--appendonly", "yes", "--appendfsync", "always")
	g := r.gate()
	access, refresh := g.tokens()
	code := g.code(asking())
	g.alive(access)
	r.server.Kill()
	g.alive(access) // still cached
	r.clock.offset.Add(int64(CachedFor))
	if _, err := g.Verify(t.Context(), access); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, expected %v", err, ErrUnavailable)
	}
	if err := g.Ping(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ping: got %v", err)
	}
	for name, c := range map[string]struct {
		endpoint string
		body     string
	}{
		"client_credentials": {"token", with(cc, "client_id", "app", "client_secret", appSecret).Encode()},
		"code":               {"token", redeeming(code).Encode()},
		"refresh_token":      {"token", refreshing(refresh).Encode()},
		"revoke":             {"revoke", revoking(access).Encode()},
		"revoke refresh":     {"revoke", revoking(refresh).Encode()},
		"introspect":         {"introspect", with(revoking(access)).Encode()},
		"authorize":          {"authorize", with(asking(), "provision_key", provision, "authenticated_userid", "john").Encode()},
	} {
		_, err := g.serve(c.endpoint, http.MethodPost, "", c.body)
		if e := auth.AsError(err); e.Status != 503 || e.RetryAfter == 0 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: got %v, expected 503", name, err)
		}
	}
	a, err := g.reply(g.question(g.user))
	if e := auth.AsError(err); a != nil || e.Status != 503 {
		t.Errorf("consent: got %+v, %v", a, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Verify(ctx, access); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a caller whose context is canceled: got %v", err)
	}
	r.server.Restart(t)
	await(t, "recovery", func() bool { _, err := g.Verify(t.Context(), access); return err == nil })
	g.granted(redeeming(code))
	g.granted(refreshing(refresh))
}

// The Redis client sends a command again if the response was lost. The second run must recognize the result of the first, or it would
// revoke the tokens that were just issued.
func TestAScriptKnowsItsOwnWork(t *testing.T) {
	r := redisRig(t)
	g, ctx := r.gate(), t.Context()
	s := g.store.(*redisStore)
	c := g.clients["app"]
	h, _ := g.mint.parse(codeHandle, g.code(asking()))
	was, err := s.load(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	next, _ := g.newIssuance(c, was, "read", "")
	keys := []string{s.name(h), s.familyName(was.Family), s.name(next.token), s.membersName(was.Family)}
	arguments := []any{was.raw, "family", "60000", "token", "60000", "0", "60000000", maxMembers}
	for range 2 {
		if ok, err := spendScript.Run(ctx, s.client, keys, arguments...).Bool(); !ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
	}
	arguments[3] = "another token"
	if ok, _ := spendScript.Run(ctx, s.client, keys, arguments...).Bool(); ok {
		t.Error("another change was taken for its own result")
	}
}

// Expired tokens are removed from the set of a family's tokens, and the set expires with the last of them.
func TestFamiliesEnd(t *testing.T) {
	r := redisRig(t)
	g, c, ctx := r.gate(), r.server.Client(t, 0), t.Context()
	_, refresh := g.tokens()
	for range 5 {
		r.pass(time.Hour)
		_, refresh = g.granted(refreshing(refresh))
	}
	h, _ := g.mint.parse(refreshHandle, refresh)
	s := g.store.(*redisStore)
	if n := c.ZCard(ctx, s.membersName(h.family)).Val(); n != 2 {
		t.Errorf("%d tokens in the set, expected those of the last two hours", n)
	}
	family, members := c.PTTL(ctx, s.familyName(h.family)).Val(), c.PTTL(ctx, s.membersName(h.family)).Val()
	if most := 14 * 24 * time.Hour; family > most || family < most-time.Minute || members > most || members < family-time.Minute {
		t.Errorf("the TTLs are %s and %s", family, members)
	}
	r.pass(14*24*time.Hour + time.Minute)
	if keys := c.Keys(ctx, "*").Val(); len(keys) != 0 {
		t.Errorf("%q are left", keys)
	}
}

// A set outlives a family whose refresh token ends before its access tokens.
func TestASetLivesAsLongAsItsTokens(t *testing.T) {
	r := redisRig(t)
	long := r.gate()
	short := r.gate(func(s *Settings) { s.TokenExpiration, s.RefreshTokenTTL = time.Minute, time.Minute })
	access, refresh := long.tokens()
	_, latest := short.granted(refreshing(refresh))
	r.pass(50 * time.Second)
	short.refused(refreshing(refresh), 400, "invalid_grant")
	long.dead(access)
	short.refused(refreshing(latest), 400, "invalid_grant")
}
