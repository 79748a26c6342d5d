package forwardauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A question is a client's request as a proxy describes it.
type question struct {
	method, scheme, host string
	uri                  string // the request target, in origin form (RFC 9112 §3.2.1)
	client               []string
	header               http.Header // as the proxy sent it
}

// originalURL reads the headers that nginx is configured to send. Its request_uri is what the client sent.
func originalURL(s *Settings, r *http.Request) (*question, bool, error) {
	if !isAt(r, s.Path) {
		return nil, false, nil
	}
	original, err := only(r.Header, "X-Original-Url")
	if err != nil {
		return nil, true, err
	}
	q := &question{header: r.Header, client: r.Header["X-Forwarded-For"]}
	scheme, rest, found := strings.Cut(original, "://")
	host, path, hasPath := strings.Cut(rest, "/")
	if !found || !hasPath {
		return nil, true, fmt.Errorf("X-Original-URL: expected scheme://host/path, got %q", original)
	}
	q.scheme, q.host, q.uri = scheme, host, "/"+path
	q.method, err = only(r.Header, "X-Original-Method")
	return q, true, err
}

// forwarded reads the headers that Traefik and Caddy send, and deploy/haproxy/sallyport.lua.
func forwarded(s *Settings, r *http.Request) (*question, bool, error) {
	if !isAt(r, s.Path) {
		return nil, false, nil
	}
	q := &question{header: r.Header, client: r.Header["X-Forwarded-For"]}
	var errs [4]error
	q.method, errs[0] = only(r.Header, "X-Forwarded-Method")
	q.scheme, errs[1] = only(r.Header, "X-Forwarded-Proto")
	q.host, errs[2] = only(r.Header, "X-Forwarded-Host")
	q.uri, errs[3] = only(r.Header, "X-Forwarded-Uri")
	return q, true, errors.Join(errs[:]...)
}

// isAt reports whether a request is for a path, with or without a query: Caddy keeps that of the client's request.
func isAt(r *http.Request, path string) bool {
	sent, _, _ := strings.Cut(r.RequestURI, "?")
	return sent == path
}

// requestLine reads the request line of Envoy, which is the client's with a prefix, and the client's address, which Envoy is configured to
// send: it adds its own to X-Forwarded-For.
func requestLine(s *Settings, r *http.Request) (*question, bool, error) {
	uri, found := strings.CutPrefix(r.RequestURI, s.Path)
	if !found || !strings.HasPrefix(uri, "/") {
		return nil, false, nil
	}
	q := &question{header: r.Header, method: r.Method, host: r.Host, uri: uri}
	client, err := only(r.Header, "X-Original-Client")
	if err != nil {
		return nil, true, err
	}
	q.client = []string{client}
	q.scheme, err = only(r.Header, "X-Forwarded-Proto")
	return q, true, err
}

// only returns the value of a header that must be there once, because the proxy sets it.
func only(h http.Header, name string) (string, error) {
	if lines := h[name]; len(lines) != 1 || lines[0] == "" {
		return "", fmt.Errorf("expected %s once, with a value, got %d: the proxy must set it, in place of the client's", name, len(lines))
	}
	return h[name][0], nil
}

// request returns the client's request for the gate, which trusts r's peer: it has the headers of the question, and X-Forwarded-* of the
// question alone.
func (q *question) request(r *http.Request) (c *http.Request, err error) {
	if !strings.HasPrefix(q.uri, "/") {
		return nil, fmt.Errorf("expected a request target that begins with /, got %q", q.uri)
	}
	u, err := url.ParseRequestURI(q.uri)
	if err != nil {
		u = &url.URL{Path: "/"} // the gate refuses RequestURI: 400, not 403
		if _, query, found := strings.Cut(q.uri, "?"); found {
			u.RawQuery = query
		}
	}
	c = &http.Request{
		ContentLength: -1, // the proxy keeps the body
		Method:        q.method, URL: u, RequestURI: q.uri, Host: q.host, RemoteAddr: r.RemoteAddr,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, Body: http.NoBody, Header: http.Header{},
	}
	for name, lines := range q.header {
		if !ofConnection[name] && !isForwarding(name) {
			c.Header[name] = lines
		}
	}
	c.Header["X-Forwarded-Proto"], c.Header["X-Forwarded-Host"] = []string{q.scheme}, []string{q.host}
	c.Header["X-Forwarded-For"] = q.client
	setUpgrade(c.Header)
	return c.WithContext(r.Context()), nil
}

// ofConnection are headers of the proxy's connection to the gate, or of the body that it doesn't send.
var ofConnection = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Te": true, "Transfer-Encoding": true, "Content-Length": true, "Expect": true, "Trailer": true,
}

// isForwarding reports whether a header describes a request to those behind a proxy. The dialect reads those that its proxy sets; the
// others may be the client's.
func isForwarding(name string) bool {
	return name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Original-")
}

// setUpgrade sets Upgrade for a WebSocket: some proxies remove it from the question. Browsers let no script set or remove Sec-*.
func setUpgrade(h http.Header) {
	if len(h["Sec-Websocket-Key"])+len(h["Sec-Websocket-Version"]) > 0 {
		h["Upgrade"] = []string{"websocket"}
	}
}
