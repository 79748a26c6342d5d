package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// TestClusterCache checks that two gates share the issuer's responses in Redis, without readable tokens or claims, and that each
// sends its own requests while Redis is away.
func TestClusterCache(t *testing.T) {
	t.Parallel()
	up, counting, redis := startUpstream(t), startCountingProxy(t), startRedis(t)
	shared := func(more ...string) []string {
		return append([]string{fmt.Sprintf("session: {secret: %q}", sessionSecret), "cluster_cache_strategy: redis",
			"cluster_cache_items: [introspection, tokens]", fmt.Sprintf("cluster_cache_redis: {port: %d}", redis.port)}, more...)
	}
	at := func(path, client, secret string, oidc ...string) route {
		return route{path: path, upstream: up, counting: counting, issuer: counting.issuer("sallyport"), client: client, secret: secret,
			oidc: shared(oidc...)}
	}
	c := config{routes: []route{
		at("/asked", "lightweight", lightweightSecret, "auth_methods: [introspection]"),
		at("/basic", "app", appSecret, "auth_methods: [password]"),
		at("/client", "app", appSecret, "auth_methods: [client_credentials]"),
	}}
	gates := []*gate{startGate(t, c), startGate(t, c)}
	v := newVisitor(t, gates...)
	plain := mustDiscover(t, counting.issuer("sallyport"))
	opaque := func() []string {
		token := v.accessToken(plain, clientSecretBasic("lightweight", lightweightSecret), passwordGrant("john"))
		gates[0].registerSecrets(token)
		gates[1].registerSecrets(token)
		return []string{"Authorization", "Bearer " + token}
	}
	requests := asking{"/asked": opaque(), "/basic": {"Authorization", basic("john", "doe")},
		"/client": {"Authorization", basic("service", serviceSecret)}}
	calls := func() int { return counting.count("/introspect") + tokenCalls(counting) }
	all := func(g *gate, requests asking) (asked int) {
		t.Helper()
		before := calls()
		for path, header := range requests {
			if a := v.call(g.url+path, header...); a.status != http.StatusOK {
				t.Errorf("%s is answered %d: %s", path, a.status, a.body)
			}
		}
		return calls() - before
	}

	if got := all(gates[0], requests); got != len(requests) {
		t.Errorf("the first gate asked %d times, want %d", got, len(requests))
	}
	if got := all(gates[1], requests); got != 0 {
		t.Errorf("the second gate asked %d times, want never", got)
	}
	store := goredis.NewClient(&goredis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", redis.port)})
	t.Cleanup(func() { store.Close() })
	mustBeSealed(t, store, len(requests), append(counting.seen(), "preferred_username", "access_token", "lightweight", "john@example.com",
		serviceSecret, "service-account-service", mustBearer(t, up.mustArrival(t, "/basic")).claim("sub")))

	// a wrong password is not in the cache
	if a := v.call(gates[1].url+"/basic", "Authorization", basic("john", "wrong")); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong password is answered %d", a.status)
	}
	// changed records in Redis are ignored
	mustSpoil(t, store)
	third := startGate(t, c)
	if got := all(third, requests); got != len(requests) {
		t.Errorf("with spoiled records a third gate asked %d times, want %d", got, len(requests))
	}

	withoutRedis(t, redis, gates, opaque, all)
}

// asking maps the paths of requests to their headers.
type asking map[string][]string

// withoutRedis checks that without Redis each gate sends its own requests to the issuer, without long delays, and that the gates
// share responses again when Redis is back. all sends requests to a gate and returns the number of requests to the issuer.
func withoutRedis(t *testing.T, redis *redisServer, gates []*gate, opaque func() []string, all func(*gate, asking) int) {
	t.Helper()
	redis.kill()
	requests := asking{"/asked": opaque(), "/basic": {"Authorization", basic("jane", "doe")}}
	for n, g := range gates {
		begun := time.Now()
		if got := all(g, requests); got != len(requests) {
			t.Errorf("without Redis gate %d asked %d times, want %d", n, got, len(requests))
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("without Redis gate %d took %v", n, took)
		}
		if got := all(g, requests); got != 0 {
			t.Errorf("without Redis gate %d asked again", n)
		}
	}
	redis.start(t)
	mustAwait(t, 10*time.Second, "the gates to share again", func() bool {
		requests := asking{"/asked": opaque()}
		first := all(gates[0], requests)
		return first == 1 && all(gates[1], requests) == 0
	})
}

// mustBeSealed checks that no key or value in Redis contains a secret, in plain text or base64.
func mustBeSealed(t *testing.T, store *goredis.Client, want int, secrets []string) {
	t.Helper()
	keys := store.Keys(t.Context(), "*").Val()
	if len(keys) != want {
		t.Errorf("Redis has the keys %q, want %d", keys, want)
	}
	for _, key := range keys {
		value := store.Get(t.Context(), key).Val()
		plain := key + value
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if decoded, err := encoding.DecodeString(strings.TrimRight(value, "=")); err == nil {
				plain += string(decoded)
			}
		}
		for _, secret := range secrets {
			if len(secret) >= 8 && strings.Contains(plain, secret) { // shorter values may occur by chance
				t.Errorf("Redis has %q in %q: %q", secret, key, value)
			}
		}
		if ttl := store.TTL(t.Context(), key).Val(); ttl <= 0 || len(value) < 100 {
			t.Errorf("%q has %d bytes and ends in %v", key, len(value), ttl)
		}
	}
}

// mustSpoil changes one byte of every value in Redis.
func mustSpoil(t *testing.T, store *goredis.Client) {
	t.Helper()
	for _, key := range store.Keys(t.Context(), "*").Val() {
		value := []byte(store.Get(t.Context(), key).Val())
		value[len(value)/2] ^= 1
		if err := store.Set(t.Context(), key, value, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
