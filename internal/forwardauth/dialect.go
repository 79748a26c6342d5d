package forwardauth

import (
	"maps"
	"net/http"
	"slices"

	"sallyport/internal/proxy"
)

// A Dialect is how a kind of proxy asks, and what it can do with the answer.
type Dialect struct {
	// question returns the client's request that r describes. isQuestion is false if r is itself a request for the gate.
	question func(s *Settings, r *http.Request) (q *question, isQuestion bool, err error)
	// permit writes the answer to a question about a request that may pass.
	permit func(w http.ResponseWriter, a *answer) error

	answersAll bool // the proxy sends requests that may not pass once more, to be answered

	own []string // headers that the proxy itself sets for the upstream, in place of the client's: the gate leaves them to it
	ids bool     // the proxy sets X-Request-Id in place of the client's

	WithoutPath bool // questions don't have the path of the client's request

	// What the proxy can't pass on to the client when a request may pass.
	OneCookie bool // more than one Set-Cookie
	NoHeaders bool // headers besides Set-Cookie
	OneHeader bool // a header that the upstream and the client receive with different values
}

// dialects has the dialects by the values of Settings.Proxy.
var dialects = map[string]*Dialect{
	"nginx": {question: originalURL, permit: copied, answersAll: true, OneCookie: true, OneHeader: true},
	"traefik": {
		question: forwarded, permit: copied, OneCookie: true, NoHeaders: true, OneHeader: true,
		own: []string{
			"X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info", "X-Real-Ip",
		},
	},
	"caddy":      {question: forwarded, permit: copied, OneHeader: true},
	"haproxy":    {question: forwarded, permit: prefixed},
	"envoy":      {question: requestLine, permit: mutated, OneHeader: true, own: envoysOwn, ids: true},
	"envoy_grpc": {own: envoysOwn, ids: true}, // see envoy_grpc.go

	"oauth2_proxy": {OneCookie: true, OneHeader: true, WithoutPath: true}, // see oauth2_proxy.go
}

var envoysOwn = []string{"X-Forwarded-Client-Cert"}

// isOwn reports whether the proxy itself sets a header for the upstream.
func (d *Dialect) isOwn(name string) bool { return slices.Contains(d.own, name) }

// Proxies returns the values of Settings.Proxy, in order.
func Proxies() []string { return slices.Sorted(maps.Keys(dialects)) }

// DialectOf returns the dialect of a kind of proxy, a value of Settings.Proxy, or nil.
func DialectOf(proxy string) *Dialect { return dialects[proxy] }

// An answer is the answer to a question about a request that may pass.
type answer struct {
	*proxy.Permit
	*Dialect
	names  []string    // Gate.PermitNames, which are shared: see isOwn
	client http.Header // the headers of the client's request
}
