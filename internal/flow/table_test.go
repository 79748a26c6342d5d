package flow_test

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// A row is one request and the expected result.
type row struct {
	name   string
	change func(*gate)               // of the settings; nil: the defaults
	cold   bool                      // the metadata and keys were not fetched yet
	before func(*gate)               // done before the request, and before calls are counted
	ask    func(*gate) *auth.Request // the request
	want   verdict
	calls  calls                     // the expected calls of the provider
	more   func(*gate, *auth.Result) // further assertions on the result
}

// try runs the rows, each before a gate of its own.
func (w *world) try(t *testing.T, methods string, rows []row) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			var changes []func(*gate)
			if r.change != nil {
				changes = append(changes, r.change)
			}
			g := w.newGate(t, methods, changes...)
			if !r.cold {
				g.warm()
			}
			if r.before != nil {
				r.before(g)
			}
			g.expect(r)
		})
	}
}

// expect runs a row and compares the result.
func (g *gate) expect(r row) {
	g.Helper()
	request, before := r.ask(g), g.counted()
	got, res := g.judge(request)
	if got != r.want {
		g.Errorf("got %+v, expected %+v", got, r.want)
	}
	if made := g.asked(before); !maps.Equal(made, r.calls) {
		g.Errorf("the provider was asked %v, expected %v", made, r.calls)
	}
	if r.more != nil && !g.Failed() {
		r.more(g, res)
	}
}

// with returns a request with an access token.
func with(token func(*gate) string) func(*gate) *auth.Request {
	return func(g *gate) *auth.Request { return g.bearer(token(g)) }
}

// sends returns a request with these headers, in which TOKEN stands for the token.
func sends(token func(*gate) string, line string, header ...string) func(*gate) *auth.Request {
	return func(g *gate) *auth.Request {
		value := token(g)
		filled := make([]string, len(header))
		for n := range header {
			filled[n] = strings.ReplaceAll(header[n], "TOKEN", value)
		}
		return g.request(strings.ReplaceAll(line, "TOKEN", value), filled...)
	}
}

// answers makes an endpoint of the provider return this status, content type and body.
func (g *gate) answers(e provider.Endpoint, status int, kind, body string, header ...string) {
	g.issuer.Break(e, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for n := 0; n < len(header); n += 2 {
			w.Header().Set(header[n], header[n+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// hangs makes an endpoint of the provider not answer while the test runs.
func (g *gate) hangs(e provider.Endpoint) {
	_, release := g.issuer.Hold(e)
	g.Cleanup(release)
}

// impatient gives a gate a short timeout for requests to the issuer.
func impatient(g *gate) { g.settings.Client.Timeout = 100 * time.Millisecond }

// An outage is a way in which an endpoint is unavailable.
type outage struct {
	name  string
	begin func(*gate, provider.Endpoint)
}

// want returns the expected verdict: 500 if the URL of the endpoint seems to be wrong.
func (o outage) want(e provider.Endpoint) verdict {
	document := e == provider.Discovery || e == provider.JWKS
	if !document && (o.name == "answers 404" || o.name == "sends elsewhere") || e == provider.Discovery && o.name == "says a thing twice" {
		return misset
	}
	return away
}

// outages are the failures that are no verdict on a credential.
var outages = []outage{
	{"is cut off", func(g *gate, _ provider.Endpoint) { g.cut() }},
	{"answers 500", func(g *gate, e provider.Endpoint) { g.answers(e, 500, "text/html", "<h1>Oops</h1>") }},
	{"answers 429", func(g *gate, e provider.Endpoint) { g.answers(e, 429, "application/json", `{"error":"slow_down"}`) }},
	{"answers 404", func(g *gate, e provider.Endpoint) { g.answers(e, 404, "text/plain", "not found") }},
	{"sends elsewhere", func(g *gate, e provider.Endpoint) { g.answers(e, 307, "text/plain", "", "Location", "/nowhere") }},
	{"answers with a page", func(g *gate, e provider.Endpoint) { g.answers(e, 200, "text/html", "<h1>Please log in</h1>") }},
	{"answers with a list", func(g *gate, e provider.Endpoint) { g.answers(e, 200, "application/json", `[{"active":true}]`) }},
	{"answers with null", func(g *gate, e provider.Endpoint) { g.answers(e, 200, "application/json", `null`) }},
	{"answers with nothing", func(g *gate, e provider.Endpoint) { g.answers(e, 200, "application/json", ``) }},
	{"answers with half", func(g *gate, e provider.Endpoint) { g.answers(e, 200, "application/json", `{"active":true,"sub":"jo`) }},
	{"answers with more", func(g *gate, e provider.Endpoint) {
		g.answers(e, 200, "application/json", `{"active":true,"sub":"john"}{}`)
	}},
	{"says a thing twice", func(g *gate, e provider.Endpoint) {
		g.answers(e, 200, "application/json", `{"active":false,"active":true,"sub":"jane","sub":"john"}`)
	}},
	{"answers without end", func(g *gate, e provider.Endpoint) {
		g.answers(e, 200, "application/json", `{"active":true,"sub":"john","x":"`+strings.Repeat("x", 1<<20)+`"}`)
	}},
	{"hangs", (*gate).hangs},
}

// tryOutages runs a request during each outage of an endpoint: the verdict is 503, and the chain ends. After the outage the
// request passes.
func (w *world) tryOutages(t *testing.T, methods string, e provider.Endpoint, r row) {
	for _, o := range outages {
		t.Run(string(e)+" "+o.name, func(t *testing.T) {
			changes := []func(*gate){func(g *gate) {
				if o.name == "hangs" {
					impatient(g)
				}
			}}
			if r.change != nil {
				changes = append(changes, r.change)
			}
			g := w.newGate(t, methods, changes...)
			if !r.cold {
				g.warm()
			}
			request, before := r.ask(g), g.counted()
			o.begin(g, e)
			for range 2 { // a cached refusal would be one
				if got, _ := g.judge(request); got != o.want(e) {
					t.Errorf("got %+v, expected %+v", got, o.want(e))
				}
			}
			if n := g.asked(before)[e]; n > 2 {
				t.Errorf("%s was asked %d times", e, n)
			}
			g.mend()
			got := away
			for n := 0; n < 50 && got == away; n++ { // a busy machine may exceed the short timeout
				w.clock.advance(5 * time.Second) // past the pause between two attempts
				got, _ = g.judge(request)
			}
			if got != passes {
				t.Errorf("after the outage: got %+v, expected %+v", got, passes)
			}
		})
	}
}
