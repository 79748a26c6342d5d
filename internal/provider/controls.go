package provider

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// controls are how a test makes the provider misbehave and learns what it was asked.
type controls struct {
	mu       sync.Mutex
	lifetime time.Duration
	requests map[Endpoint]int
	grants   map[string]int // token requests by grant_type
	last     map[Endpoint]lastRequest
	broken   map[Endpoint]http.HandlerFunc
	wants    []*want
	answers  map[Endpoint]func(map[string]any)
	signed   map[Endpoint]func(map[string]any)
	access   func(map[string]any)
	id       func(map[string]any)
	head     func(map[string]any)
	marked   map[Endpoint]bool // whose JSON begins with a byte order mark
}

// A want is an assertion on every request to an endpoint.
type want struct {
	endpoint Endpoint
	check    func(*http.Request) error
	asked    int
	failures []error
}

func (c *controls) init(lifetime time.Duration) {
	c.lifetime = lifetime
	c.requests, c.grants, c.last = map[Endpoint]int{}, map[string]int{}, map[Endpoint]lastRequest{}
	c.broken, c.marked = map[Endpoint]http.HandlerFunc{}, map[Endpoint]bool{}
	c.answers, c.signed = map[Endpoint]func(map[string]any){}, map[Endpoint]func(map[string]any){}
}

// arrived counts and checks a request and returns what shall serve it instead, or nil.
func (c *controls) arrived(e Endpoint, r *http.Request) http.HandlerFunc {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[e]++
	c.last[e] = lastRequest{form: cloneValues(r.Form), header: r.Header.Clone()}
	if e == Token {
		c.grants[r.PostForm.Get("grant_type")]++
	}
	for _, w := range c.wants {
		if w.endpoint != e {
			continue
		}
		w.asked++
		if err := w.check(r); err != nil {
			w.failures = append(w.failures, fmt.Errorf("%s %s: %w", r.Method, e, err))
		}
	}
	return c.broken[e]
}

// Want checks every request to an endpoint from now on, with its form parsed: in r.Form all of it, in r.PostForm the body's.
// check must not call the provider. Its errors, and that nobody asked at all, are failures.
func (p *Provider) Want(e Endpoint, check func(*http.Request) error) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.wants = append(p.controls.wants, &want{endpoint: e, check: check})
}

// Failures are what Want has found so far. Start's cleanup reports them, too.
func (p *Provider) Failures() []error {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	var all []error
	for _, w := range p.controls.wants {
		all = append(all, w.failures...)
		if w.asked == 0 {
			all = append(all, fmt.Errorf("%s: expected a request, got none", w.endpoint))
		}
	}
	return all
}

// Requests is how often an endpoint was asked, served or broken.
func (p *Provider) Requests(e Endpoint) int {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	return p.controls.requests[e]
}

// Grants is how often tokens were asked for with a grant_type, in vain or not.
func (p *Provider) Grants(grantType string) int {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	return p.controls.grants[grantType]
}

// RefreshCount is how often a refresh was asked for.
func (p *Provider) RefreshCount() int { return p.Grants("refresh_token") }

// Break lets h serve an endpoint; nil mends it.
func (p *Provider) Break(e Endpoint, h http.HandlerFunc) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.broken[e] = h
}

// Hold makes requests to an endpoint wait until release is called or the client goes away; after that they are served as
// always. Each one that begins to wait sends on waiting, which has room for 1000.
func (p *Provider) Hold(e Endpoint) (waiting <-chan struct{}, release func()) {
	arrived, released := make(chan struct{}, 1000), make(chan struct{})
	p.Break(e, func(w http.ResponseWriter, r *http.Request) {
		select {
		case arrived <- struct{}{}:
		default:
		}
		select {
		case <-released:
			p.serve[e].ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	return arrived, sync.OnceFunc(func() {
		p.Break(e, nil)
		close(released)
	})
}

// AdjustAnswer lets f change an endpoint's good answers before they are sent: the JSON object, or for Authorization the
// parameters of the redirect or the form. nil ends it.
func (p *Provider) AdjustAnswer(e Endpoint, f func(answer map[string]any)) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.answers[e] = f
}

// AdjustSignedAnswer lets f change the claims of the JWT that an endpoint answers with, after AdjustAnswer: for Introspection
// iss, aud, iat and token_introspection, for Userinfo and Claims all of it. nil ends it.
func (p *Provider) AdjustSignedAnswer(e Endpoint, f func(claims map[string]any)) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.signed[e] = f
}

// AdjustIDToken lets f change the claims of ID tokens before they are signed; nil ends it.
func (p *Provider) AdjustIDToken(f func(claims map[string]any)) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.id = f
}

// AdjustAccessToken lets f change the claims of access tokens before they are signed; nil ends it.
func (p *Provider) AdjustAccessToken(f func(claims map[string]any)) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.access = f
}

// AdjustHeader lets f change the header of all JWTs before they are signed; a nil value removes a parameter. nil ends it.
func (p *Provider) AdjustHeader(f func(header map[string]any)) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.head = f
}

func (c *controls) adjust(e Endpoint, answer map[string]any) {
	c.mu.Lock()
	f := c.answers[e]
	c.mu.Unlock()
	if f != nil {
		f(answer)
	}
}

func (c *controls) adjustSigned(e Endpoint, claims map[string]any) {
	c.mu.Lock()
	f := c.signed[e]
	c.mu.Unlock()
	if f != nil {
		f(claims)
	}
}

// MarkBytes begins an endpoint's good JSON answers with a byte order mark from now on, as some servers do.
func (p *Provider) MarkBytes(e Endpoint) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.marked[e] = true
}

func (c *controls) marks(e Endpoint) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.marked[e]
}

func (c *controls) adjustIDToken(claims map[string]any) {
	c.mu.Lock()
	f := c.id
	c.mu.Unlock()
	if f != nil {
		f(claims)
	}
}

func (c *controls) adjustHeader(header map[string]any) {
	c.mu.Lock()
	f := c.head
	c.mu.Unlock()
	if f != nil {
		f(header)
	}
}

func (c *controls) adjustAccessToken(claims map[string]any) {
	c.mu.Lock()
	f := c.access
	c.mu.Unlock()
	if f != nil {
		f(claims)
	}
}

func (c *controls) accessTokenLifetime() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lifetime
}

// SetAccessTokenLifetime is for tokens issued from now on, of clients that have no lifetime of their own.
func (p *Provider) SetAccessTokenLifetime(d time.Duration) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.lifetime = d
}
