package mcp

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A Script is a page of a browser whose scripts may read an answer (Fetch §3.3, CORS protocol).
type Script string

// AnyOrigin is any page. Its requests carry no cookie that would authenticate them.
const AnyOrigin Script = "*"

// requestHeaders are what the clients of MCP servers send besides what every script may send.
const requestHeaders = "Authorization, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name"

// exposedHeaders are the headers of answers that scripts need.
const exposedHeaders = "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After, X-Request-Id"

// header returns the headers that let the page read an answer.
func (s Script) header() http.Header {
	h := http.Header{"Access-Control-Allow-Origin": {string(s)}, "Access-Control-Expose-Headers": {exposedHeaders}}
	if s != AnyOrigin {
		h.Set("Vary", "Origin")
	}
	return h
}

// Set lets the page, if there is one, read an answer with these headers.
func (s Script) Set(h http.Header) {
	if s == "" {
		return
	}
	for name, values := range s.header() {
		if name == "Vary" {
			values = append(h[name], values...)
		}
		h[name] = values
	}
}

// Preflight returns the answer to a CORS preflight for a path that takes the methods.
func (s Script) Preflight(methods []string) *auth.Result {
	h := s.header()
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	h.Set("Access-Control-Allow-Headers", requestHeaders)
	h.Set("Access-Control-Max-Age", "3600")
	return &auth.Result{Answer: &auth.Answer{Status: http.StatusNoContent, Header: h}}
}

// Allow lets the page read a result or an error.
func (s Script) Allow(res *auth.Result, err error) (*auth.Result, error) {
	if err != nil {
		return res, auth.WithHeader(err, s.header())
	}
	out := *res
	if out.Answer == nil {
		out.Header = auth.MergeHeader(s.header(), res.Header)
		return &out, nil
	}
	answer := *res.Answer
	answer.Header = auth.MergeHeader(s.header(), answer.Header)
	out.Answer = &answer
	return &out, nil
}

// Script returns the page that calls the MCP server, which is empty if no page does. It returns an error for a page that may not: on the
// person's own machine any page could otherwise call a server that only this machine reaches (DNS rebinding, MCP Transports, "Security
// Warning"). Most MCP servers check this themselves, by the Host header, which the gate replaces.
func (r *Route) Script(req *auth.Request) (Script, error) {
	if !r.Hosts && !auth.Loopback("http://"+net.JoinHostPort(req.Hostname, "80")) {
		return "", forbidden(fmt.Errorf("the Host is %q: write hosts or public_url of the route, or call it as localhost", req.Hostname))
	}
	switch origins := req.Header["Origin"]; {
	case len(origins) == 0:
		return "", nil
	case len(origins) == 1 && (origins[0] == req.Origin || slices.Contains(r.Origins, origins[0])):
		return Script(origins[0]), nil
	default:
		return "", forbidden(fmt.Errorf("the Origin is %q: write mcp.origins if its pages may call this server", origins))
	}
}

func forbidden(err error) error {
	e := auth.Forbidden("mcp_origin", err)
	e.Description = "Pages of that origin may not call this server."
	return e
}

// Methods are what an MCP server takes at its path (MCP, Transports).
var Methods = []string{http.MethodGet, http.MethodPost, http.MethodDelete}
