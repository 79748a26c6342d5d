package proxy

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/auth"
)

// Refusals holds the last requests that the gate itself refused, for people who ask why. It has no token, cookie, query or body. A nil
// *Refusals holds nothing. It is safe for concurrent use.
type Refusals struct {
	mu      sync.Mutex
	routed  refusalRing
	strange refusalRing // without a route: a scanner causes thousands, which must not push out the others
	seen    uint64      // how many there were
}

// strangeShare is the part of the refusals that may be without a route: one in so many.
const strangeShare = 4

// A refusalRing holds the last refusals of one kind.
type refusalRing struct {
	all  []Refusal
	next int // where the next one goes
}

// A Refusal is a request that the gate refused.
type Refusal struct {
	Number    uint64 // in the order of refusals, from 1
	Time      time.Time
	RequestID string
	Method    string
	Origin    string       // scheme://host as the client sees it
	Path      string       // without the query; what may be a secret in it is left out
	Client    netip.Prefix // the network of the client; the zero Prefix if it is unknown
	Route     string       // empty: no route has the request's host and path
	Endpoint  string       // the gate's own path; empty: the request is for the upstream
	Flow      string       // that read the credential; empty: none did
	Subject   string
	Reason    string // as in the log
	Status    int

	matched       matched
	authenticated authenticated
	reached       *step
	checks        []TraceStep
	refusal       string
}

// Keep sets how many refusals are held. It keeps the last ones.
func (l *Refusals) Keep(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.routed.resize(n - n/strangeShare)
	l.strange.resize(n / strangeShare)
}

// resize sets how many refusals a ring holds. It keeps the last ones.
func (r *refusalRing) resize(n int) {
	if n == len(r.all) {
		return
	}
	held := r.newestFirst()
	held = held[:min(n, len(held))]
	slices.Reverse(held)
	r.all, r.next = make([]Refusal, n), 0
	for _, one := range held {
		r.put(one)
	}
}

// newestFirst returns the refusals of a ring.
func (r *refusalRing) newestFirst() (all []Refusal) {
	for n := range r.all {
		one := r.all[(r.next-1-n+2*len(r.all))%len(r.all)]
		if one.Number == 0 {
			break
		}
		all = append(all, one)
	}
	return all
}

// put writes a refusal over the oldest one.
func (r *refusalRing) put(one Refusal) {
	if len(r.all) > 0 {
		r.all[r.next] = one
		r.next = (r.next + 1) % len(r.all)
	}
}

// All returns the refusals, the newest first.
func (l *Refusals) All() []Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Concat(l.routed.newestFirst(), l.strange.newestFirst())
	slices.SortFunc(all, func(a, b Refusal) int { return cmp.Compare(b.Number, a.Number) })
	return all
}

// add adds a refusal. If few are held, those without a route have no ring of their own.
func (l *Refusals) add(r Refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen++
	r.Number = l.seen
	if r.Route == "" && len(l.strange.all) > 0 {
		l.strange.put(r)
		return
	}
	l.routed.put(r)
}

// on reports whether refusals are held.
func (l *Refusals) on() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.routed.all) > 0
}

// keepRefusal keeps a refusal of the gate, with e as its error, or nil if the gate answers instead. Failures of an upstream are none.
func (g *Gate) keepRefusal(rec *recorder, d *Decision, e *auth.Error) {
	why, status := d.reason(e), statusOf(rec, e)
	if why == "" || d.forwarded || status == statusClientClosed || !g.refusals.on() {
		return
	}
	r := Refusal{
		Time: d.start, RequestID: clipTo(d.ID, maxKept), Method: keptMethod(d.Method), Origin: clipTo(d.Origin, maxKept),
		Path: maskPath(d.Request.URL.EscapedPath()), Client: network(d.ClientAddr), Endpoint: d.Endpoint, Flow: d.flow(e), Status: status,
		matched: matchedBy(d), reached: d.reached,
	}
	if e != nil {
		r.Status = e.Status
		r.refusal = clipTo(e.Error(), maxKeptText)
	}
	r.Reason, r.Route = why, r.matched.route
	if i := cmp.Or(d.Identity, d.User); i != nil {
		r.Subject = clipTo(i.Subject, maxKept)
	}
	r.authenticated = d.authenticatedBy(d.authenticated, asError(e))
	r.authenticated.clip()
	r.checks = d.failedChecks()
	g.refusals.add(r)
}

// asError returns e as an error: a nil *auth.Error is nil.
func asError(e *auth.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// failedChecks judges what the policy refused once more, and returns the checks up to the one that failed.
func (d *Decision) failedChecks() []TraceStep {
	early := d.reached != nil && d.reached.name == precheckStep.name
	if d.judged == nil && !early {
		return nil
	}
	t := &Trace{}
	if early {
		d.Route.Policy.Precheck(&d.Request, d.Rule.requirements(), t.observer())
	} else {
		d.judge(d.judged.identity, d.judged.rule, t, func(error) {})
	}
	t.Steps = t.Steps[:min(len(t.Steps), maxChecks)]
	for n := range t.Steps {
		t.Steps[n].Detail = clipTo(t.Steps[n].Detail, maxKeptText)
	}
	return t.Steps
}

// Trace returns the record of the decision, as Gate.Trace made it then.
func (r *Refusal) Trace() *Trace {
	t := &Trace{}
	t.Status, t.Reason, t.Detail = r.Status, r.Reason, r.refusal
	if r.reached == nil {
		return t
	}
	t.addMatch(r.matched)
	switch r.reached.name {
	case serveEndpointStep.name:
		t.Steps = append(t.Steps, r.checks...)
		t.addAuthentication(r.authenticated)
	case authenticateStep.name:
		t.addAuthentication(r.authenticated)
	case exchangeStep.name:
		t.addAuthentication(r.authenticated)
		t.addFailed(exchangeStep.name, r.refusal)
	case authorizeStep.name:
		t.addAuthentication(r.authenticated)
		t.Steps = append(t.Steps, r.checks...)
	case precheckStep.name:
		t.Steps = append(t.Steps, r.checks...)
	}
	return t
}

const (
	maxKept     = 256 // bytes of a text that a client or an issuer chose
	maxKeptText = 512 // bytes of an explanation
	maxChecks   = 40
	maxKeptPath = 200
	maxSegment  = 40 // a longer segment of a path may be a token
)

// clip shortens what an issuer chose.
func (a *authenticated) clip() {
	for _, text := range []*string{&a.subject, &a.clientID, &a.issuer} {
		*text = clipTo(*text, maxKept)
	}
	a.refusal = clipTo(a.refusal, maxKeptText)
}

// clipTo returns at most n bytes of a text.
func clipTo(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// keptMethod returns a method as a constant: that of a request is a part of its first line, which has the query.
func keptMethod(method string) string {
	known := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
	if n := slices.Index(known, method); n >= 0 {
		return known[n]
	}
	return strings.Clone(clipTo(method, 20))
}

// maskPath returns a copy of a path in which long segments are cut: links to reset a password, say, have a secret there.
func maskPath(path string) string {
	if len(path) > maxSegment {
		segments := strings.Split(path, "/")
		for n, s := range segments {
			if len(s) > maxSegment {
				segments[n] = clipTo(s, 8)
			}
		}
		path = strings.Join(segments, "/")
	}
	return strings.Clone(clipTo(path, maxKeptPath))
}

// network returns the network of a client's address: /24 for IPv4, and /48 for IPv6.
func network(a netip.Addr) netip.Prefix {
	bits := 48
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // the zero Prefix for an unknown address
	return p
}
