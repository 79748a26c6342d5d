package forwardauth

import (
	"net/http"

	"sallyport/internal/proxy"
)

// A dialect is how a kind of proxy asks, and what it can do with the answer.
type dialect struct {
	// question returns the client's request that r describes. isQuestion is false if r is itself a request for the gate.
	question func(s *Settings, r *http.Request) (q *question, isQuestion bool, err error)
	// permit writes the answer to a question about a request that may pass.
	permit func(w http.ResponseWriter, a *answer) error

	answersAll bool // the proxy sends requests that may not pass once more, to be answered
	fixedNames bool // the proxy copies a fixed list of headers from the answer to the request

	// What the proxy can't pass on to the client when a request may pass.
	OneCookie bool // more than one Set-Cookie
	NoHeaders bool // headers besides Set-Cookie
	OneHeader bool // a header that the upstream and the client receive with different values
}

// dialects has the dialects by the values of Settings.Proxy.
var dialects = map[string]*dialect{
	"nginx":      {question: originalURL, permit: copied, answersAll: true, fixedNames: true, OneCookie: true, OneHeader: true},
	"traefik":    {question: forwarded, permit: copied, fixedNames: true, OneCookie: true, NoHeaders: true, OneHeader: true},
	"caddy":      {question: forwarded, permit: copied, fixedNames: true, OneHeader: true},
	"haproxy":    {question: forwarded, permit: prefixed},
	"envoy":      {question: requestLine, permit: mutated, OneHeader: true},
	"envoy_grpc": {}, // see grpc.go
}

// Dialect returns what a kind of proxy can do. proxy is a value of Settings.Proxy.
func Dialect(proxy string) *dialect { return dialects[proxy] }

// An answer is the answer to a question about a request that may pass.
type answer struct {
	*proxy.Permit
	names  []string    // Gate.PermitNames
	client http.Header // the headers of the client's request
}
