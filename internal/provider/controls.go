package provider

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// controls let a test change responses and inspect requests.
type controls struct {
	mu       sync.Mutex
	lifetime time.Duration
	requests map[Endpoint]int
	grants   map[string]int // token requests by grant_type
	last     map[Endpoint]lastRequest
	broken   map[Endpoint]http.HandlerFunc
	wants    []*want
	bom      map[Endpoint]bool // whether JSON responses begin with a byte order mark
	adjust   map[subject]func(map[string]any)
	nonces   map[Endpoint]string // that proofs must have
}

// A subject is what an Adjust method changes. The name of an endpoint is the subject of its responses.
type subject string

const (
	accessTokens subject = "access tokens"
	idTokens     subject = "ID tokens"
	jwtHeaders   subject = "headers of JWTs"

	frontIDTokens subject = "ID tokens of authorization responses"
)

// signedAnswers is the subject of the JWT responses of an endpoint.
func signedAnswers(e Endpoint) subject { return subject(e + " JWT") }

// A want is a check of every request to an endpoint.
type want struct {
	endpoint Endpoint
	check    func(*http.Request) error
	requests int
	failures []error
}

func (c *controls) init(lifetime time.Duration) {
	c.lifetime = lifetime
	c.requests, c.grants, c.last = map[Endpoint]int{}, map[string]int{}, map[Endpoint]lastRequest{}
	c.nonces = map[Endpoint]string{}
	c.broken, c.bom, c.adjust = map[Endpoint]http.HandlerFunc{}, map[Endpoint]bool{}, map[subject]func(map[string]any){}
}

// recordRequest counts and checks a request and returns the handler that Break has set for the endpoint, or nil.
func (c *controls) recordRequest(e Endpoint, r *http.Request) http.HandlerFunc {
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
		w.requests++
		if err := w.check(r); err != nil {
			w.failures = append(w.failures, fmt.Errorf("%s %s: %w", r.Method, e, err))
		}
	}
	return c.broken[e]
}

// Want calls check for every further request to an endpoint, after ParseForm. check must not call methods of p. Failures
// reports its errors, and an endpoint that received no request.
func (p *Provider) Want(e Endpoint, check func(*http.Request) error) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.wants = append(p.controls.wants, &want{endpoint: e, check: check})
}

// Failures returns the errors of all checks of Want so far. The cleanup of Start reports them with TB.Errorf.
func (p *Provider) Failures() []error {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	var all []error
	for _, w := range p.controls.wants {
		all = append(all, w.failures...)
		if w.requests == 0 {
			all = append(all, fmt.Errorf("%s: expected a request, got none", w.endpoint))
		}
	}
	return all
}

// Requests returns the number of requests to an endpoint, including those of a handler of Break.
func (p *Provider) Requests(e Endpoint) int {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	return p.controls.requests[e]
}

// Grants returns the number of token requests with a grant_type, including rejected ones.
func (p *Provider) Grants(grantType string) int {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	return p.controls.grants[grantType]
}

// RefreshCount returns the number of token requests with the grant_type refresh_token.
func (p *Provider) RefreshCount() int { return p.Grants("refresh_token") }

// Break makes h serve an endpoint; nil restores the endpoint.
func (p *Provider) Break(e Endpoint, h http.HandlerFunc) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.broken[e] = h
}

// Hold blocks requests to an endpoint until release is called or the client disconnects; then the endpoint serves them. Each
// blocked request sends a value on waiting, which has a buffer of 1000.
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

// AdjustAnswer makes f change the successful responses of an endpoint before they are sent: the JSON object, or for
// Authorization the parameters of the authorization response. nil removes f.
func (p *Provider) AdjustAnswer(e Endpoint, f func(answer map[string]any)) {
	p.controls.setAdjust(subject(e), f)
}

// AdjustSignedAnswer makes f change the claims of JWT responses of an endpoint, after AdjustAnswer. For Introspection these
// are iss, aud, iat and token_introspection, for Authorization iss, aud, exp and the parameters. nil removes f.
func (p *Provider) AdjustSignedAnswer(e Endpoint, f func(claims map[string]any)) {
	p.controls.setAdjust(signedAnswers(e), f)
}

// AdjustFrontIDToken makes f change the claims of the ID tokens of authorization responses before they are signed; nil removes f.
func (p *Provider) AdjustFrontIDToken(f func(claims map[string]any)) {
	p.controls.setAdjust(frontIDTokens, f)
}

// AdjustIDToken makes f change the claims of the ID tokens of token responses before they are signed; nil removes f.
func (p *Provider) AdjustIDToken(f func(claims map[string]any)) { p.controls.setAdjust(idTokens, f) }

// AdjustAccessToken makes f change the claims of access tokens before they are signed; nil removes f.
func (p *Provider) AdjustAccessToken(f func(claims map[string]any)) {
	p.controls.setAdjust(accessTokens, f)
}

// AdjustHeader makes f change the header of all JWTs before they are signed. A parameter that f sets to nil is removed. A nil
// f removes the adjustment.
func (p *Provider) AdjustHeader(f func(header map[string]any)) { p.controls.setAdjust(jwtHeaders, f) }

func (c *controls) setAdjust(s subject, f func(map[string]any)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.adjust[s] = f
}

// adjusted changes an object by the function of the subject's Adjust method, if there is one.
func (c *controls) adjusted(s subject, object map[string]any) {
	c.mu.Lock()
	f := c.adjust[s]
	c.mu.Unlock()
	if f != nil {
		f(object)
	}
}

// AddByteOrderMark makes all further successful JSON responses of an endpoint begin with a byte order mark.
func (p *Provider) AddByteOrderMark(e Endpoint) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.bom[e] = true
}

func (c *controls) hasBOM(e Endpoint) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bom[e]
}

func (c *controls) accessTokenLifetime() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lifetime
}

// SetAccessTokenLifetime sets the lifetime of all further tokens of clients that don't set AccessTokenLifetime.
func (p *Provider) SetAccessTokenLifetime(d time.Duration) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.lifetime = d
}
