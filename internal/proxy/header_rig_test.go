package proxy

import (
	"net/http"
	"testing"

	"sallyport/internal/auth"
)

// routeFor returns the first of routes, computed as New does.
func routeFor(t testing.TB, routes ...*Route) *route {
	t.Helper()
	r, err := newRoute(routes[0], newShared(routes))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// planFor returns the header plan of the first of routes for requests without an identity.
func planFor(t testing.TB, routes ...*Route) *headerPlan {
	t.Helper()
	return routeFor(t, routes...).view.plan
}

// strip removes from h what a client may not send.
func (p *headerPlan) strip(h http.Header) { (&upstreamHeader{plan: p}).apply(h) }

// set sets what the identity proves.
func (r *route) set(i *auth.Identity) (h http.Header, refused []string) {
	d := &Decision{Request: auth.Request{Request: &http.Request{}, Origin: "https://app.example.com"}, Route: r, Rule: defaultRule, Identity: i}
	u := d.upstreamHeader(http.Header{})
	h = u.set
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id"} {
		delete(h, name)
	}
	return h, u.refused
}
