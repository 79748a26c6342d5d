package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

const (
	outageTimeout = 3 * time.Second // of the gate's requests to the issuer
	outageSlack   = 3 * time.Second // additional delay on a busy machine
	outageReturn  = 5 * time.Second // until the gate works again
	outageMemory  = 60 << 20        // the gate's additional memory, much less than a huge response
)

// An outage is a gate with three issuers: one whose discovery fails from the start, one whose key set fails from the start, and one
// whose endpoints fail one by one later.
type outage struct {
	*testing.T
	kind                    string // of the fault
	noMetadata, noKeys, all *faultyIssuer
	up                      *upstream
	gate                    *gate
	program                 *visitor
	ways                    []way
}

// A way is a request that needs one endpoint of the issuer, without a cached result.
type way struct {
	door   string
	path   string
	header []string
}

// TestOutage makes one endpoint of the issuer at a time refuse connections, respond slowly, or respond with garbage or 100 MB.
// Requests that need the endpoint get 503 within the timeout, other requests pass, and all requests pass within 5 s after the
// fault has ended.
func TestOutage(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup // instead of t.Parallel, because the tests mostly wait
	for kind := range faults {
		all.Go(func() { t.Run(kind, func(t *testing.T) { startOutage(t, kind).run() }) })
	}
	all.Wait()
}

func (o *outage) run() {
	before := peakMemory(o.T, o.gate.proc)
	session := o.expiring()
	o.firstContact(o.noMetadata, "discovery", way{path: "/discovery", header: o.bearer(o.noMetadata)})
	o.firstContact(o.noKeys, "jwks", way{path: "/keys", header: o.bearer(o.noKeys)})
	for _, name := range []string{"token", "introspection", "userinfo"} {
		o.endpoint(name)
	}
	o.session(session)
	if grown := peakMemory(o.T, o.gate.proc) - before; grown > outageMemory {
		o.Errorf("the gate's memory has grown by %d MiB", grown>>20)
	}
}

func startOutage(t *testing.T, kind string) *outage {
	t.Helper()
	o := &outage{T: t, kind: kind, up: startUpstream(t),
		noMetadata: startFaultyIssuer(t), noKeys: startFaultyIssuer(t), all: startFaultyIssuer(t)}
	o.noMetadata.front.fail(kind)
	o.noKeys.doors["jwks"].fail(kind)
	at := func(path string, f *faultyIssuer, oidc ...string) route {
		return route{path: path, upstream: o.up, issuer: f.issuer, oidc: f.oidc(oidc...)}
	}
	introspection := at("/introspection", o.all, "auth_methods: [introspection]", "cache_introspection: false")
	introspection.client, introspection.secret = "lightweight", lightweightSecret
	short := at("/session", o.all)
	short.client, short.secret = "app-short", appShortSecret
	o.gate = startGate(t, config{routes: []route{
		at("/discovery", o.noMetadata),
		at("/keys", o.noKeys),
		at("/bearer", o.all),
		at("/client", o.all, "auth_methods: [client_credentials]", "cache_tokens: false"),
		at("/password", o.all, "auth_methods: [password]"),
		at("/refresh", o.all, "auth_methods: [refresh_token]", "refresh_token_param_name: refresh_token"),
		at("/exchange", o.all, "audience_required: exchange-target", fmt.Sprintf("token_exchange: {subject_token_issuers: [{issuer: %q, "+
			"conditions: {missing_audience: [exchange-target]}}], "+
			"request: {audience: [exchange-target], scopes: [audience-exchange-target]}}", o.all.issuer)),
		introspection,
		at("/userinfo", o.all, "auth_methods: [userinfo]", "audience_required: any", "cache_user_info: false"),
		at("/login", o.all),
		short,
	}})
	o.program = newVisitor(t, o.gate)
	o.prepare()
	return o
}

// prepare obtains the credentials of all ways before the fault.
func (o *outage) prepare() {
	o.Helper()
	v, app := newVisitor(o.T), clientSecretBasic("app", appSecret)
	token := func(as clientAuth, kind string) string {
		return o.all.ask(v, as, passwordGrant("john")).mustMember(o.T, kind)
	}
	opaque, refresh := token(clientSecretBasic("lightweight", lightweightSecret), "access_token"), token(app, "refresh_token")
	userinfo, subject := token(app, "access_token"), token(app, "access_token")
	o.gate.registerSecrets(opaque, refresh, userinfo, subject)
	o.ways = []way{
		{"token", "/client", []string{"Authorization", basic("service", serviceSecret)}},
		{"token", "/password", []string{"Authorization", basic("john", "doe")}},
		{"token", "/refresh", []string{"Refresh-Token", refresh}},
		{"token", "/exchange", []string{"Authorization", "Bearer " + subject}},
		{"introspection", "/introspection", []string{"Authorization", "Bearer " + opaque}},
		{"userinfo", "/userinfo", []string{"Authorization", "Bearer " + userinfo}},
		{"", "/bearer", []string{"Authorization", "Bearer " + token(app, "access_token")}},
		{"", "/keys/public", nil},
	}
}

// bearer returns the headers of a request with an access token of john.
func (o *outage) bearer(f *faultyIssuer) []string {
	o.Helper()
	token := f.ask(newVisitor(o.T), clientSecretBasic("app", appSecret), passwordGrant("john")).mustMember(o.T, "access_token")
	o.gate.registerSecrets(token)
	return []string{"Authorization", "Bearer " + token}
}

// firstContact tests a fault that exists when the gate starts.
func (o *outage) firstContact(f *faultyIssuer, name string, w way) {
	o.Helper()
	o.expect503(name, w.request(o))
	garbage := way{path: w.path, header: []string{"Authorization", "Bearer garbage"}}
	if a, _, err := attempt(o.program, garbage.request(o)); err != nil || a.status == http.StatusOK {
		o.Errorf("%s: garbage is answered %d %v", name, a.status, err)
	}
	if name == "discovery" { // the authorization endpoint is unknown
		v := newVisitor(o.T, o.gate)
		a, took, err := attempt(v, v.request(http.MethodGet, o.gate.url+w.path, "", navigation...))
		o.check503("a page without "+name, a, took, err, "text/html; charset=utf-8")
	}
	lifted := time.Now()
	f.doors[name].lift(o.T)
	o.awaitWay(name, lifted, w)
}

// endpoint tests a fault of an endpoint that has worked before.
func (o *outage) endpoint(name string) {
	o.Helper()
	browser := newVisitor(o.T, o.gate)
	callback := ""
	if name == "token" {
		callback = browser.authorize(o.gate.url+"/login", "john")
	}
	o.all.doors[name].fail(o.kind)
	var all sync.WaitGroup
	for _, w := range o.ways {
		all.Go(func() {
			if w.door == name {
				o.expect503(name, w.request(o))
			} else {
				o.expect200(name, w)
			}
		})
	}
	if callback != "" {
		all.Go(func() {
			a, took, err := attempt(browser, browser.request(http.MethodGet, callback, "", navigation...))
			o.check503("the end of a login", a, took, err, "text/html; charset=utf-8")
		})
	}
	all.Wait()
	lifted := time.Now()
	o.all.doors[name].lift(o.T)
	for _, w := range o.ways {
		if w.door == name {
			o.awaitWay(name, lifted, w)
		}
	}
	if callback != "" {
		again := browser.browse(browser.browse(o.gate.url + "/login").location()) // john has a session at Keycloak
		if a := browser.browse(again.location()); a.status != http.StatusSeeOther || time.Since(lifted) > outageReturn+outageSlack {
			o.Errorf("a login after the outage ends with %d, %v after it: %s", a.status, time.Since(lifted), a.body)
		}
	}
}

func (w way) request(o *outage) *http.Request {
	return o.program.request(http.MethodGet, o.gate.url+w.path, "", w.header...)
}

// expect503 sends a request that needs a failing endpoint.
func (o *outage) expect503(name string, r *http.Request) {
	o.Helper()
	path := r.URL.Path
	arrived := o.count(path)
	a, took, err := attempt(o.program, r)
	o.check503(name+" for "+path, a, took, err, "application/problem+json")
	if o.count(path) != arrived {
		o.Errorf("%s: a request for %s reached the upstream", name, path)
	}
	var problem struct {
		Title  string
		Status int
	}
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil || problem.Status != a.status || problem.Title == "" {
		o.Errorf("%s: %s is answered with %q: %v", name, path, a.body, err)
	}
}

func (o *outage) check503(what string, a answer, took time.Duration, err error, contentType string) {
	o.Helper()
	if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" ||
		a.header.Get("Content-Type") != contentType {
		o.Errorf("%s is answered %d, Retry-After %q, %s, %v: %s", what, a.status, a.header.Get("Retry-After"), a.header.Get("Content-Type"),
			err, a.body)
	}
	if took > outageTimeout+outageSlack {
		o.Errorf("%s is answered after %v", what, took)
	}
}

// expect200 sends a request that doesn't need a failing endpoint.
func (o *outage) expect200(name string, w way) {
	o.Helper()
	a, took, err := attempt(o.program, w.request(o))
	if err != nil || a.status != http.StatusOK {
		o.Errorf("while %s fails, %s is answered %d after %v: %v %s", name, w.path, a.status, took, err, a.body)
	}
}

// awaitWay repeats a request until it passes, at most outageReturn after the end of the fault.
func (o *outage) awaitWay(name string, lifted time.Time, w way) {
	o.Helper()
	var last answer
	ok := await(outageReturn-time.Since(lifted), func() bool {
		last, _, _ = attempt(o.program, w.request(o))
		return last.status == http.StatusOK
	})
	if !ok {
		o.Errorf("%s: %v after the fault %s is answered %d: %s", name, time.Since(lifted), w.path, last.status, last.body)
	}
}

// count returns the number of requests for a path that the upstream received.
func (o *outage) count(path string) (n int) {
	for _, a := range o.up.all() {
		if a.uri == path {
			n++
		}
	}
	return n
}

// expiring returns a browser with a session whose access token expires after ten seconds.
func (o *outage) expiring() *visitor {
	o.Helper()
	v := newVisitor(o.T, o.gate)
	v.logIn(o.gate.url+"/session", "jane")
	return v
}

// session checks that a session whose refresh fails gets 503 and isn't lost.
func (o *outage) session(v *visitor) {
	o.Helper()
	until(o.T, mustBearer(o.T, o.up.mustArrival(o.T, "/session")).expiry().Add(time.Second))
	door := o.all.doors["token"]
	door.fail(o.kind)
	arrived := o.count("/session")
	a, took, err := attempt(v, v.request(http.MethodGet, o.gate.url+"/session", ""))
	o.check503("a session that is to be refreshed", a, took, err, "application/problem+json")
	if o.count("/session") != arrived {
		o.Error("a session without a fresh token reached the upstream")
	}
	lifted := time.Now()
	door.lift(o.T)
	if !await(outageReturn, func() bool { a = v.call(o.gate.url + "/session"); return a.status == http.StatusOK }) || a.user() != "jane" {
		o.Errorf("%v after the fault the session is answered %d for %q", time.Since(lifted), a.status, a.user())
	}
}
