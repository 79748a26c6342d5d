package proxy

import (
	"net/http"
	"testing"

	"sallyport/internal/auth"
)

// routeFor returns the route that New makes of the first of routes.
func routeFor(t testing.TB, routes ...*Route) *route {
	t.Helper()
	r, err := newRoute(routes[0], newCommon(routes))
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

// strip removes the headers and cookies that aren't forwarded from clients.
func (p *headerPlan) strip(h http.Header) { (&upstreamHeader{plan: p}).apply(h) }

// set returns the headers that the route sets for an identity.
func (r *route) set(i *auth.Identity) (h http.Header, refused []string) {
	d := &Decision{
		Request: auth.Request{Request: &http.Request{}, Origin: "https://app.example.com"},
		Route:   r, Rule: defaultRule, Identity: i,
	}
	u := d.upstreamHeader(http.Header{})
	h = u.set
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id"} {
		delete(h, name)
	}
	return h, u.refused
}
