package flow_test

import (
	"io"
	"net/http"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/dpop"
	"sallyport/internal/dpop/dpoptest"
	"sallyport/internal/provider"
	"sallyport/internal/redis/redistest"
)

// wrongProof is the verdict on a request whose proof is missing or wrong.
var (
	wrongProof = verdict{401, "invalid_dpop_proof", "dpop_proof_invalid", false}
	replayed   = verdict{401, "invalid_dpop_proof", "dpop_proof_replayed", false}
)

// boundTo returns claims that bind a token to a key.
func boundTo(k *dpoptest.Key) map[string]any {
	return map[string]any{"cnf": map[string]any{"jkt": k.Thumbprint()}}
}

// proved returns a request for /page with a token and its proof.
func (g *gate) proved(k *dpoptest.Key, token string, changes ...func(*dpoptest.Proof)) *auth.Request {
	return g.request("GET /page", "Authorization", "DPoP "+token, "DPoP", g.proof(k, token, changes...))
}

func (g *gate) proof(k *dpoptest.Key, token string, changes ...func(*dpoptest.Proof)) string {
	return k.Proof("GET", origin+"/page", token, append([]func(*dpoptest.Proof){dpoptest.At(g.clock.now())}, changes...)...)
}

// again returns the request as a client sends it once more.
func (g *gate) again(r *auth.Request) *auth.Request {
	fresh := g.request(r.Method + " " + r.URL.Path)
	fresh.Header = r.Header
	return fresh
}

// TestBoundTokens checks that a token that is bound to a key needs its proof in every flow, at the first request and at later ones, which
// find the results of the first in caches.
func TestBoundTokens(t *testing.T) {
	w, key, stranger := newWorld(t), dpoptest.NewKey(), dpoptest.NewKey()
	says := func(g *gate) { saying(boundTo(key))(g) }
	takesAny := func(g *gate) { // a userinfo endpoint that doesn't verify bindings: the gate can't prove a caller's token there
		g.issuer.Break(provider.Userinfo, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"sub":"john"}`)
		})
		t.Cleanup(func() { g.issuer.Break(provider.Userinfo, nil) })
	}
	for name, c := range map[string]struct {
		methods string
		change  func(*gate)
		before  func(*gate)
		token   func(*gate) string
		unbound func(*gate) string
	}{
		"a JWT":                           {methods: "bearer", token: jwt(boundTo(key)), unbound: jwt(nil)},
		"an opaque token, introspected":   {methods: "introspection", before: says, token: opaque},
		"a JWT, introspected":             {methods: "introspection", before: says, token: jwt(nil)},
		"a JWT, and introspection is mum": {methods: "introspection", token: jwt(boundTo(key)), unbound: jwt(nil)},
		"a JWT, introspected as well": {methods: "bearer", before: says, token: jwt(nil),
			change: func(g *gate) { g.settings.IntrospectJWTTokens = true }},
		"a JWT, judged by userinfo": {methods: "userinfo", before: takesAny, token: jwt(boundTo(key)), unbound: jwt(nil)},
		"a JWT, and userinfo is searched": {methods: "bearer", token: jwt(boundTo(key)), unbound: jwt(nil),
			change: func(g *gate) { g.settings.SearchUserInfo = true }},
	} {
		t.Run(name, func(t *testing.T) {
			var changes []func(*gate)
			if c.change != nil {
				changes = append(changes, c.change)
			}
			g := w.newGate(t, c.methods, changes...)
			if c.before != nil {
				c.before(g)
			}
			token := c.token(g)
			good := g.proved(key, token)
			for n, one := range []struct {
				ask  *auth.Request
				want verdict
			}{
				{g.bearer(token), invalid("token_bound")},
				{good, passes}, {g.again(good), replayed}, {g.proved(key, token), passes},
				{g.bearer(token), invalid("token_bound")},
				{g.request("GET /page", "Authorization", "Bearer "+token, "DPoP", g.proof(key, token)), invalid("token_bound")},
				{g.request("GET /page", "Authorization", "dpop "+token, "DPoP", g.proof(key, token)), passes},
				{g.request("GET /page", "X-Access-Token", token, "DPoP", g.proof(key, token)), invalid("token_bound")},
				{g.request("GET /page", "Authorization", "DPoP "+token), wrongProof},
				{g.request("GET /page", "Authorization", "DPoP "+token, "DPoP", g.proof(key, token), "DPoP", g.proof(key, token)),
					wrongProof},
				{g.proved(stranger, token), wrongProof},
				{g.request("GET /other", "Authorization", "DPoP "+token, "DPoP", g.proof(key, token)), wrongProof},
				{g.request("POST /page", "Authorization", "DPoP "+token, "DPoP", g.proof(key, token)), wrongProof},
				{g.request("GET /page", "Authorization", "DPoP "+token, "DPoP", g.proof(key, "another")), wrongProof},
			} {
				if got, _ := g.judge(one.ask); got != one.want {
					t.Errorf("request %d: got %+v, expected %+v", n, got, one.want)
				}
			}
			if c.unbound != nil {
				g.expectVerdict(g.proved(key, c.unbound(g)), invalid("token_not_bound"))
			}
		})
	}
}

func (g *gate) expectVerdict(r *auth.Request, want verdict) {
	g.Helper()
	if got, _ := g.judge(r); got != want {
		g.Errorf("got %+v, expected %+v", got, want)
	}
}

// TestTokensOfTheBuiltInServer checks that the scheme DPoP isn't one for tokens that aren't bound.
func TestTokensOfTheBuiltInServer(t *testing.T) {
	key := dpoptest.NewKey()
	g := newWorld(t).newGate(t, "kong_oauth2", withIssuer(nil))
	token := issued(g)
	g.expectVerdict(g.bearer(token), passes)
	g.expectVerdict(g.proved(key, token), invalid("token_not_bound"))
}

// TestStrict checks what off, strict and proof_of_possession_required mean for bound and unbound tokens.
func TestStrict(t *testing.T) {
	w, key := newWorld(t), dpoptest.NewKey()
	of := func(kind string) map[string]any {
		return map[string]map[string]any{"none": nil, "key": boundTo(key), "certificate": boundToCertificate(caller(t))}[kind]
	}
	unbound := invalid("token_not_bound")
	for _, c := range []struct {
		dpop, mtls string
		required   bool
		want       map[string]verdict // by what the token is bound to; each comes with what proves it
	}{
		{"optional", "optional", false, map[string]verdict{"none": passes, "key": passes, "certificate": passes}},
		{"strict", "optional", false, map[string]verdict{"none": unbound, "key": passes, "certificate": unbound}},
		{"optional", "strict", false, map[string]verdict{"none": unbound, "key": unbound, "certificate": passes}},
		{"optional", "optional", true, map[string]verdict{"none": unbound, "key": passes, "certificate": passes}},
		{"off", "off", false, map[string]verdict{"none": passes, "key": invalid("token_bound"), "certificate": passes}},
	} {
		g := w.newGate(t, "bearer", func(g *gate) {
			g.settings.DPoP, g.settings.MTLS, g.settings.Required = c.dpop, c.mtls, c.required
		})
		for kind, want := range c.want {
			token := jwt(of(kind))(g)
			r := g.bearer(token)
			if kind == "key" {
				r = g.proved(key, token)
			}
			r.ClientCert = caller(t)
			if got, _ := g.judge(r); got != want {
				t.Errorf("%+v: a token bound to %s: got %+v, expected %+v", c, kind, got, want)
			}
		}
	}
	g := w.newGate(t, "bearer", func(g *gate) { g.settings.DPoP = "off" })
	g.expectVerdict(g.bearer(jwt(of("key"))(g)), passes)
}

// TestTwoBindings checks a token that is bound in two ways, or whose claims and introspection response differ: it needs both proofs.
func TestTwoBindings(t *testing.T) {
	w, key := newWorld(t), dpoptest.NewKey()
	both := map[string]any{"jkt": key.Thumbprint(), "x5t#S256": thumbprint(caller(t))}
	g := w.newGate(t, "bearer")
	token := jwt(map[string]any{"cnf": both})(g)
	g.expectVerdict(g.proved(key, token), invalid("token_bound"))
	r := g.bearer(token)
	r.ClientCert = caller(t)
	g.expectVerdict(r, invalid("token_bound"))
	r = g.proved(key, token)
	r.ClientCert = caller(t)
	g.expectVerdict(r, passes)

	g = w.newGate(t, "bearer", func(g *gate) { g.settings.IntrospectJWTTokens = true })
	saying(boundTo(dpoptest.NewKey()))(g)
	g.expectVerdict(g.proved(key, jwt(boundTo(key))(g)), invalid("token_bound"))
}

// TestBoundSession checks that a session that a bound token began needs the token's proof at every request, and that a login needs none.
func TestBoundSession(t *testing.T) {
	w, key := newWorld(t), dpoptest.NewKey()
	g := w.newGate(t, "session bearer authorization_code", func(g *gate) { g.settings.DisableSession = nil })
	token := jwt(boundTo(key))(g)
	got, res := g.judge(g.proved(key, token))
	if got != passes || len(res.Header["Set-Cookie"]) == 0 {
		t.Fatalf("got %+v with the header %v, expected a session", got, res.Header)
	}
	cookie := g.sessionIn(res.Header)
	with := func(header ...string) *auth.Request {
		return g.request("GET /page", append([]string{"Cookie", cookie.Name + "=" + cookie.Value}, header...)...)
	}
	proof := g.proof(key, token)
	g.expectVerdict(with(), wrongProof)
	g.expectVerdict(with("DPoP", proof), passes)
	g.expectVerdict(with("DPoP", proof), replayed)
	g.expectVerdict(with("DPoP", g.proof(dpoptest.NewKey(), token)), wrongProof)
	g.expectVerdict(with("DPoP", g.proof(key, "another")), wrongProof)
	g.expectVerdict(with("Authorization", "Bearer "+token), invalid("token_bound"))
	other := jwt(boundTo(key))(g)
	g.expectVerdict(with("Authorization", "DPoP "+other, "DPoP", g.proof(key, other)), passes)
	g.expectVerdict(g.carries(g.login("john")), passes)
}

// TestNonce checks the challenge for a nonce, and the fresh nonce of a response when the client's is about to expire.
func TestNonce(t *testing.T) {
	w, key := newWorld(t), dpoptest.NewKey()
	g := w.newGate(t, "bearer", func(g *gate) { g.settings.DPoPUseNonce, g.deps.NonceKey = true, []byte("a key") })
	token := jwt(boundTo(key))(g)
	challenge := verdict{401, "use_dpop_nonce", "dpop_nonce", false}
	got, res := g.judge(g.proved(key, token))
	nonce := res.Header.Get("Dpop-Nonce")
	if got != challenge || nonce == "" {
		t.Fatalf("got %+v with the header %v", got, res.Header)
	}
	use := func(nonce string) (verdict, string) {
		got, res := g.judge(g.proved(key, token, dpoptest.Claim("nonce", nonce)))
		return got, res.Header.Get("Dpop-Nonce")
	}
	if got, next := use(nonce); got != passes || next != "" {
		t.Errorf("got %+v and the nonce %q", got, next)
	}
	g.clock.advance(g.settings.DPoPProofLifetime / 2)
	got, next := use(nonce)
	if got != passes || next == "" || next == nonce {
		t.Errorf("in the next period: got %+v and the nonce %q", got, next)
	}
	if got, next := use(next); got != passes || next != "" {
		t.Errorf("got %+v and the nonce %q", got, next)
	}
}

// TestReplicasOfARoute checks that a proof that one replica took is refused by the other, and by all when Redis is away.
func TestReplicasOfARoute(t *testing.T) {
	w, key, server := newWorld(t), dpoptest.NewKey(), redistest.Start(t)
	settings := server.Settings()
	replica := func() *gate {
		return w.newGate(t, "bearer", func(g *gate) {
			client, err := settings.New(g.deps.Log)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close() })
			g.deps.Replays = &dpop.Replays{Memory: dpop.NewMemory(), Redis: client, Prefix: settings.Prefix}
		})
	}
	one, two := replica(), replica()
	token := jwt(boundTo(key))(one)
	r := one.proved(key, token)
	one.expectVerdict(r, passes)
	two.expectVerdict(two.again(r), replayed)
	two.expectVerdict(two.proved(key, token), passes)
	server.Kill()
	gone := verdict{503, "temporarily_unavailable", "dpop_replays_unavailable", true}
	two.expectVerdict(two.proved(key, token), gone)
	two.expectVerdict(two.bearer(jwt(nil)(two)), passes)
}

// TestOneIssuersBinding checks that each issuer of a route has its own settings of bindings.
func TestOneIssuersBinding(t *testing.T) {
	one, two, key := newWorld(t), newWorld(t), dpoptest.NewKey()
	two.clock = one.clock
	first, second := one.newGate(t, "bearer"), two.newGate(t, "bearer", func(g *gate) { g.settings.DPoP = "strict" })
	g := multiIssuer(first, second)
	g.expectVerdict(g.bearer(jwt(nil)(first)), passes)
	g.expectVerdict(g.bearer(jwt(nil)(second)), invalid("token_not_bound"))
	token := jwt(boundTo(key))(second)
	g.expectVerdict(g.bearer(token), invalid("token_bound"))
	g.expectVerdict(g.proved(key, token), passes)
}
