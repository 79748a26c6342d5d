package flow_test

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"sallyport/internal/auth"
	"sallyport/internal/flow"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/provider"
	"sallyport/internal/session"
)

const (
	origin = "https://app.example"
	secret = auth.Secret("a secret of the test, long enough to be one")
)

// A world is a provider over HTTP, and a clock for it and all gates before it. The rows of a table share one, because its
// keys take a while to generate.
type world struct {
	issuer *provider.Provider
	clock  *clock
	isCut  bool
}

// endpoints are the endpoints of the provider that a gate calls.
var endpoints = []provider.Endpoint{provider.Discovery, provider.JWKS, provider.Token, provider.Userinfo, provider.Introspection}

func newWorld(t *testing.T) *world {
	c := &clock{at: time.Now().Truncate(time.Second)}
	redirects := []string{origin + "/oauth2/callback"}
	return &world{clock: c, issuer: provider.Start(t, provider.Config{
		Clients: []provider.Client{
			{ID: "app", Secret: "app-secret", RedirectURIs: redirects},
			{ID: "second", Secret: "second-secret", RedirectURIs: redirects},
			{ID: "opaque", Secret: "opaque-secret", OpaqueAccessTokens: true, AccessTokenAudience: []string{"app"}},
			{ID: "signed", Secret: "signed-secret", OpaqueAccessTokens: true, UserinfoSignedResponseAlg: "RS256"},
		},
		Users: []provider.User{{Username: "john", Password: "doe"}, {Username: "jane", Password: "doe"}},
		Now:   c.now,
	})}
}

// cut makes the provider abort every request until mend.
func (w *world) cut() {
	w.isCut = true
	for _, e := range endpoints {
		w.issuer.Break(e, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}
}

// mend undoes the changes of a row to the provider.
func (w *world) mend() {
	w.isCut = false
	w.issuer.AdjustAccessToken(nil)
	w.issuer.AdjustIDToken(nil)
	for _, e := range endpoints {
		w.issuer.Break(e, nil)
		w.issuer.AdjustAnswer(e, nil)
		w.issuer.AdjustSignedAnswer(e, nil)
	}
}

// A clock stands still until the test moves it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// A gate is the chain of one route, built as the product builds it, with a flow at its end that counts its calls.
type gate struct {
	*testing.T
	*world
	settings flow.Settings
	deps     flow.Deps
	chain    auth.Chain
	end      *end
	log      *lines
}

// newGate builds the chain of a route with these auth_methods. The changes adapt its settings and dependencies.
func (w *world) newGate(t *testing.T, methods string, changes ...func(*gate)) *gate {
	t.Helper()
	g := &gate{T: t, world: w, end: &end{}, log: &lines{}}
	t.Cleanup(w.mend)
	defaults(reflect.ValueOf(&g.settings).Elem())
	s := &g.settings
	s.AuthMethods, s.Client.Issuer = methodsOf(methods), w.issuer.URL
	s.Client.ClientID, s.Client.ClientSecret = []string{"app"}, []auth.Secret{"app-secret"}
	s.Client.CallsPerClient = 32
	g.deps = flow.Deps{Base: "/", HashKey: []byte("of the test"), Now: w.clock.now, Log: slog.New(slog.NewTextHandler(g.log, nil))}
	for _, change := range changes {
		change(g)
	}
	g.build()
	return g
}

// methodsOf splits names of flows.
func methodsOf(text string) (all []flow.Method) {
	for name := range strings.FieldsSeq(text) {
		all = append(all, flow.Method(name))
	}
	return all
}

func (g *gate) build() {
	g.Helper()
	d, s := &g.deps, &g.settings
	i, err := oidc.NewIssuer(oidc.Config{IssuerSettings: s.Client.IssuerSettings, Now: d.Now, Log: d.Log})
	if err != nil {
		g.Fatal(err)
	}
	var errs [4]error
	d.Clients, errs[0] = oidc.NewClients(oidc.ClientConfig{Settings: s.Client, Issuer: i, HashKey: d.HashKey})
	d.Keyring, errs[1] = keyring.New([]auth.Secret{secret})
	if d.Sessions == nil {
		d.Sessions, errs[2] = session.New(session.Config{Settings: s.Session, Keyring: d.Keyring, Now: d.Now, Log: d.Log})
		g.Cleanup(func() { d.Sessions.Close() })
	}
	route, err := flow.NewRoute([]flow.Part{{Settings: s, Deps: *d}})
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		g.Fatal(err)
	}
	g.chain = append(route.Chain, auth.Entry{Flow: g.end})
}

// warm fetches the issuer's metadata and keys, as the gate does at its start.
func (g *gate) warm() { g.deps.Clients[0].Issuer().Warm(g.Context()) }

// request makes a client's request: a method and a target, then names and values of headers, and a body after a last name.
func (g *gate) request(line string, header ...string) *auth.Request {
	method, target, _ := strings.Cut(line, " ")
	body := ""
	if len(header)%2 == 1 {
		body, header = header[len(header)-1], header[:len(header)-1]
	}
	q := httptest.NewRequest(method, target, strings.NewReader(body)).WithContext(g.Context())
	for n := 0; n < len(header); n += 2 {
		q.Header.Add(header[n], header[n+1])
	}
	return &auth.Request{
		Request: q, Origin: origin, AskedAt: origin, Hostname: "app.example", Path: q.URL.Path,
		ClientAddr: netip.MustParseAddr("192.0.2.1"), ID: "1",
	}
}

// bearer returns a request with an access token.
func (g *gate) bearer(token string) *auth.Request {
	return g.request("GET /page", "Authorization", "Bearer "+token)
}

// A verdict is the result of a chain, as far as tables compare it.
type verdict struct {
	status int    // 200: it passes; 0: no credential was found, and the chain's end was asked
	code   string // of RFC 6750 §3.1
	reason string // for the log
	retry  bool   // Retry-After
}

var (
	passes = verdict{status: 200}
	goesOn = verdict{}
	away   = verdict{503, "temporarily_unavailable", "issuer_unavailable", true}
	misset = verdict{500, "server_error", "not_set_up", false} // only the operator can fix it
)

func invalid(reason string) verdict {
	return verdict{status: 401, code: "invalid_token", reason: reason}
}
func malformed(reason string) verdict {
	return verdict{status: 400, code: "invalid_request", reason: reason}
}

// judge runs the chain on a request.
func (g *gate) judge(r *auth.Request) (verdict, *auth.Result) {
	g.Helper()
	before := g.end.asked
	res, err := g.chain.Authenticate(r)
	if err != nil {
		res = &auth.Result{Header: auth.HeaderOf(err)}
	}
	asked := g.end.asked - before
	if none := errors.Is(err, auth.ErrNoCredential); none != (asked == 1) {
		g.Errorf("the end of the chain was asked %d times, after: %v", asked, err)
	} else if none {
		return goesOn, res
	}
	if err == nil {
		return passes, res
	}
	e := auth.AsError(err)
	return verdict{e.Status, e.Code, e.Reason, e.RetryAfter > 0}, res
}

// An end is the end of a chain.
type end struct{ asked int }

func (e *end) Authenticate(*auth.Request) (*auth.Result, error) {
	e.asked++
	return nil, auth.ErrNoCredential
}

// calls counts requests at the provider by their endpoint.
type calls map[provider.Endpoint]int

func (w *world) counted() calls {
	all := calls{}
	for _, e := range endpoints {
		all[e] = w.issuer.Requests(e)
	}
	return all
}

// asked returns the calls of the provider since before. A provider that is cut off counts none.
func (w *world) asked(before calls) calls {
	if w.isCut {
		return nil
	}
	now := w.counted()
	for e := range now {
		now[e] -= before[e]
	}
	maps.DeleteFunc(now, func(_ provider.Endpoint, n int) bool { return n == 0 })
	return now
}

// lines is the log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// defaults gives settings the values of their default tags, as reading a configuration does.
func defaults(settings reflect.Value) {
	for n := range settings.NumField() {
		f, tag := settings.Field(n), settings.Type().Field(n).Tag
		text, has := tag.Lookup("default")
		switch {
		case f.Type() == reflect.TypeFor[[]flow.Method]():
			_, names := flow.Method("").Choices(tag.Get("yaml"))
			f.Set(reflect.ValueOf(methodsOf(strings.Join(names, " "))))
		case !has && f.Kind() == reflect.Struct:
			defaults(f)
		case !has:
		case f.Kind() == reflect.String:
			f.SetString(text)
		case f.Type() == reflect.TypeFor[time.Duration]():
			f.SetInt(duration(text, tag.Get("unit")))
		default:
			if err := yaml.Unmarshal([]byte(text), f.Addr().Interface()); err != nil {
				panic(err)
			}
		}
	}
}

// duration reads a number of seconds or milliseconds, or one with a unit.
func duration(text, unit string) int64 {
	if d, err := time.ParseDuration(text); err == nil {
		return int64(d)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	if unit == "ms" {
		return n * int64(time.Millisecond)
	}
	return n * int64(time.Second)
}
