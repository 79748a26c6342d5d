package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/mcp"
	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
	"sallyport/internal/testlog"
)

const (
	origin    = "https://gate.example.com"
	base      = "/api"
	verifier  = "the-code-verifier-of-a-test-is-long-enough-to-pass"
	appSecret = "the-secret-of-the-app-0123456789"
	provision = "the-provision-key-of-the-consent-page"
	appURI    = "https://app.example.com/callback"
	spaURI    = "https://spa.example.com/callback"
)

// discard is a log that is not read.
var discard = slog.New(slog.DiscardHandler)

var sealing = []auth.Secret{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}

// usual are settings as a file would give them.
func usual() Settings {
	secret := []auth.Secret{auth.Secret(sha256Line(appSecret))}
	all := []string{clientCredentials, authorizationCode, refreshToken}
	return Settings{
		Scopes: []string{"read", "write", "admin"}, ProvisionKey: provision, TokenPrefix: "sp_",
		TokenExpiration: 2 * time.Hour, RefreshTokenTTL: 14 * 24 * time.Hour, PKCE: "strict", Storage: "memory", Secret: sealing,
		Clients: []Client{
			{ClientID: "app", ClientSecretHash: secret, Name: "The App", RedirectURIs: []string{appURI, appURI + "?x=1"},
				Grants: all, Scopes: []string{"read", "write"}, Consent: true},
			{ClientID: "spa", Public: true, RedirectURIs: []string{spaURI, "http://127.0.0.1/callback", "com.example.spa:/callback"},
				Grants: []string{authorizationCode, refreshToken}, Scopes: []string{"read"}, Consent: true},
			{ClientID: "first party", ClientSecretHash: secret, RedirectURIs: []string{"https://first.example.com/"},
				Grants: []string{authorizationCode}, Scopes: []string{"read"}, Audience: []string{"orders", "stock"}},
			{ClientID: "api", ClientSecretHash: secret},
			{ClientID: "other", ClientSecretHash: secret, RedirectURIs: []string{"https://other.example.com/"},
				Grants: all, Scopes: []string{"read"}, AccessTokenLifetime: time.Minute},
		},
	}
}

// A clock is one that the test advances.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// A rig is one store for any number of gates, which stand for replicas.
type rig struct {
	*testing.T
	clock  *clock
	server *redistest.Server // nil for memory

	client   *redis.Client // of a Redis that isn't one server, with its settings; nil otherwise
	settings redis.Settings

	before *Server // the next gate shares its memory
	route  mcp.Route
	ask    func(context.Context, *auth.Identity) (*auth.Identity, error)
	fetch  Fetching
	log    *syncBuffer
}

func memoryRig(t *testing.T) *rig { return &rig{T: t, clock: &clock{}, log: &syncBuffer{}} }

func redisRig(t *testing.T, arguments ...string) *rig {
	return &rig{T: t, clock: &clock{}, server: redistest.Start(t, arguments...), log: &syncBuffer{}}
}

// onBoth runs a test over both stores.
func onBoth(t *testing.T, test func(*rig)) {
	t.Run("memory", func(t *testing.T) { test(memoryRig(t)) })
	t.Run("redis", func(t *testing.T) { test(redisRig(t)) })
}

// A gate is one process with the authorization server.
type gate struct {
	*Site
	r         *rig
	endpoints map[string]auth.Endpoint
	user      *auth.Identity             // the user who is logged in; nil: none
	judge     func(*auth.Identity) error // the route's policy; nil: it allows every user
}

// gate opens the rig's store as another replica.
func (r *rig) gate(changes ...func(*Settings)) *gate {
	r.Helper()
	s := usual()
	for _, change := range changes {
		change(&s)
	}
	c := Config{Settings: s, Before: r.before, Fetching: r.fetch,
		Now: r.clock.now, Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if r.server != nil {
		c.Storage, c.Redis, c.Before = "redis", r.server.Settings(), nil
		client, err := c.Redis.New(c.Log)
		if err != nil {
			r.Fatal(err)
		}
		r.Cleanup(func() { client.Close() })
		c.Client = client
	}
	if r.client != nil {
		c.Storage, c.Redis, c.Client, c.Before = "redis", r.settings, r.client, nil
	}
	i, err := New(c)
	if err != nil {
		r.Fatal(err)
	}
	r.before = i
	g := &gate{r: r, user: &auth.Identity{Flow: "session", Issuer: "https://idp.example.com", Subject: "john"}}
	g.Site = i.at(base, g.users())
	if r.route.On {
		c := g.SiteConfig
		c.Route, c.Ask = r.route, r.ask
		c.Route.Base = base
		g.Site = i.At(c)
	}
	g.use(g.Site)
	return g
}

// at returns the server on a route with this first path.
func (a *Server) at(base string, users auth.Chain) *Site {
	return a.At(SiteConfig{Route: mcp.Route{Resource: auth.Resource{Base: base}}, Users: users})
}

// use serves the endpoints of a site.
func (g *gate) use(s *Site) {
	g.Site, g.endpoints = s, map[string]auth.Endpoint{}
	for _, e := range s.Endpoints() {
		g.endpoints[e.Name] = e
	}
}

// users returns a chain that finds the user of the gate.
func (g *gate) users() auth.Chain { return auth.Chain{{Flow: g}} }

// Authenticate implements auth.Flow.
func (g *gate) Authenticate(*auth.Request) (*auth.Result, error) {
	if g.user == nil {
		return nil, auth.ErrNoCredential
	}
	return &auth.Result{Identity: g.user}, nil
}

// A visit is the auth.Visitor of one request.
type visit struct {
	*gate
	r *auth.Request
}

// Identify implements auth.Visitor.
func (v visit) Identify() (*auth.Result, error) {
	res, err := v.Users.Authenticate(v.r)
	if err != nil {
		return nil, err
	}
	return res, v.Authorize(res.Identity)
}

// Authorize implements auth.Visitor.
func (g *gate) Authorize(i *auth.Identity) error {
	if g.judge == nil {
		return nil
	}
	return g.judge(i)
}

// pass advances the clock, and shortens the TTL of every key in Redis by as much.
func (r *rig) pass(d time.Duration) {
	r.Helper()
	r.clock.offset.Add(int64(d))
	if r.server != nil {
		r.server.Pass(r, d)
	}
}

// A change changes a request before it is sent.
type change func(*auth.Request)

func (g *gate) serve(endpoint, method, query, body string, changes ...change) (*auth.Result, error) {
	e := g.endpoints[endpoint]
	target := e.Path
	if query != "" {
		target += "?" + query
	}
	r := &auth.Request{Request: httptest.NewRequest(method, target, strings.NewReader(body)),
		Origin: origin, Path: e.Path, ID: "request-id",
		ClientAddr: netip.MustParseAddr("192.0.2.7")}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, change := range changes {
		change(r)
	}
	return e.ServeUser(r, visit{g, r})
}

// post sends a form and returns the JSON response.
func (g *gate) post(endpoint string, form url.Values, changes ...change) (status int, answer auth.Claims) {
	g.r.Helper()
	res, err := g.serve(endpoint, http.MethodPost, "", form.Encode(), changes...)
	if err != nil {
		g.r.Fatalf("%s: %v", endpoint, err)
	}
	if res.Answer.Body != nil {
		if err := json.Unmarshal(res.Answer.Body, &answer); err != nil {
			g.r.Fatalf("%s: %v: %s", endpoint, err, res.Answer.Body)
		}
	}
	return res.Answer.Status, answer
}

func basic(id, secret string) change {
	return func(r *auth.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

func header(name, value string) change { return func(r *auth.Request) { r.Header.Set(name, value) } }

// from sets the client's address; empty: it is unknown.
func from(address string) change {
	if address == "" {
		return func(r *auth.Request) { r.ClientAddr = netip.Addr{} }
	}
	return func(r *auth.Request) { r.ClientAddr = netip.MustParseAddr(address) }
}

// form makes a form of name, value, name, value...
func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// with returns a copy of a form with other values; an empty value removes a parameter.
func with(v url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for name, values := range v {
		out[name] = values
	}
	for name, values := range form(pairs...) {
		if out[name] = values; values[0] == "" {
			delete(out, name)
		}
	}
	return out
}

// asking returns a valid authorization request of the client app.
func asking() url.Values {
	return form("response_type", "code", "client_id", "app", "redirect_uri", appURI, "scope", "read write", "state", "the state",
		"code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
}

// redeeming returns a valid token request for a code of asking.
func redeeming(code string) url.Values {
	return form("grant_type", "authorization_code", "code", code, "redirect_uri",
		appURI, "code_verifier", verifier, "client_id", "app", "client_secret", appSecret)
}

func refreshing(token string) url.Values {
	return form("grant_type", "refresh_token", "refresh_token", token, "client_id", "app", "client_secret", appSecret)
}

// spa returns a request as one of the public client.
func spa(v url.Values) url.Values {
	return with(v, "client_id", "spa", "client_secret", "", "redirect_uri", spaURI)
}

// code gets a code through the external consent page.
func (g *gate) code(asked url.Values) string {
	g.r.Helper()
	status, answer := g.post("authorize", with(asked, "provision_key", provision, "authenticated_userid", "john"))
	target, err := url.Parse(answer.String("redirect_uri"))
	if status != http.StatusOK || err != nil || target.Query().Get("code") == "" {
		g.r.Fatalf("got %d %v, expected a code", status, answer)
	}
	return target.Query().Get("code")
}

// tokens gets tokens for a code.
func (g *gate) tokens() (access, refresh string) {
	g.r.Helper()
	return g.granted(redeeming(g.code(with(asking(), "scope", "read write"))))
}

// granted expects tokens.
func (g *gate) granted(form url.Values, changes ...change) (access, refresh string) {
	g.r.Helper()
	status, answer := g.post("token", form, changes...)
	if status != http.StatusOK || answer.String("access_token") == "" {
		g.r.Fatalf("got %d %v, expected tokens", status, answer)
	}
	return answer.String("access_token"), answer.String("refresh_token")
}

// refused expects an error of the token endpoint.
func (g *gate) refused(form url.Values, status int, code string, changes ...change) {
	g.r.Helper()
	if got, answer := g.post("token", form, changes...); got != status || answer.String("error") != code ||
		answer.String("error_description") == "" {
		g.r.Errorf("got %d %v, expected %d %s", got, answer, status, code)
	}
}

// alive expects an access token to be valid.
func (g *gate) alive(token string) *auth.Identity {
	g.r.Helper()
	i, err := g.Verify(g.r.Context(), token)
	if err != nil {
		g.r.Fatalf("the token isn't valid: %v", err)
	}
	return i
}

// dead expects that an access token is not valid.
func (g *gate) dead(token string) {
	g.r.Helper()
	if _, err := g.Verify(g.r.Context(), token); !errors.Is(err, ErrUnknown) {
		g.r.Fatalf("got %v, expected %v", err, ErrUnknown)
	}
}

type syncBuffer = testlog.Buffer
