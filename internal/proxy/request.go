package proxy

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"sallyport/internal/auth"
)

// An entrance makes the auth.Request of an HTTP request.
type entrance struct {
	trusted []netip.Prefix
	log     *slog.Logger
	unknown sync.Once // logs the first unknown client address
}

// enter sets the Request of d, its target, host and prefix. It uses the connection, and behind a trusted proxy the forwarding headers. It
// returns an error for a request that servers may parse in different ways, unless a route can allow it.
func (e *entrance) enter(r *http.Request, d *Decision) (err error) {
	peer := peerAddr(r)
	trusted := e.trusts(peer)
	d.Request = auth.Request{Request: r, ClientAddr: peer, ID: requestID(r, trusted), FromProxy: trusted}
	if trusted {
		d.ClientAddr = e.clientAddr(r, peer)
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		d.ClientCert = r.TLS.PeerCertificates[0]
	}
	if d.Origin, err = origin(r, trusted); err != nil {
		return auth.InvalidRequest("bad_host", err)
	}
	if trusted {
		d.prefix = forwardedPrefix(r.Header)
	}
	d.host, d.Hostname = authority(d.Origin)
	if err := d.CheckCookies(); err != nil {
		return err
	}
	if err := checkMethod(r.Method); err != nil {
		return auth.InvalidRequest("bad_method", err)
	}
	path, err := requestPath(r)
	if err != nil {
		return badPath(err)
	}
	if d.target, err = parsePath(path); err != nil {
		return badPath(err)
	}
	d.Path, d.RawPath, d.SentPath = d.target.path, d.target.raw, d.prefix+path
	if strings.Contains(r.URL.RawQuery, " ") { // possible over HTTP/2 only: in a request line of HTTP/1 it would end the target
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, " ", "%20")
	}
	return nil
}

func peerAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func (e *entrance) trusts(a netip.Addr) bool {
	for _, p := range e.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// origin returns scheme://host as the client sees it. Behind a trusted proxy, X-Forwarded-Proto and X-Forwarded-Host replace those of the
// connection. It returns an error if one of these has different values: one could be the client's.
func origin(r *http.Request, trusted bool) (string, error) {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if trusted {
		var errProto, errHost error
		scheme, errProto = forwarded(r.Header, "X-Forwarded-Proto", scheme, httpScheme)
		host, errHost = forwarded(r.Header, "X-Forwarded-Host", host, strings.ToLower)
		if err := errors.Join(errProto, errHost); err != nil {
			return "", err
		}
	}
	if scheme != "http" && scheme != "https" {
		return "", fmt.Errorf("X-Forwarded-Proto: expected http or https, got %q", scheme)
	}
	host = strings.ToLower(host)
	if !validHost(host) {
		return "", fmt.Errorf("%q isn't a valid host", host)
	}
	return scheme + "://" + trimDefaultPort(scheme, host), nil
}

// httpScheme returns the scheme in lower case, with https for wss and http for ws: some proxies send the scheme of a WebSocket, which
// begins as an HTTP request (RFC 6455 §4.1).
func httpScheme(scheme string) string {
	switch scheme = strings.ToLower(scheme); scheme {
	case "wss":
		return "https"
	case "ws":
		return "http"
	}
	return scheme
}

// forwarded returns the value of a forwarding header, normalized, or the default without the header. It returns an error if the values of a
// list, which a chain of proxies makes, are different after that.
func forwarded(h http.Header, name, byDefault string, normalize func(string) string) (string, error) {
	value := byDefault
	for n, v := range strings.Split(strings.Join(h[name], ","), ",") {
		v = normalize(strings.TrimSpace(v))
		switch {
		case len(h[name]) == 0:
		case n == 0:
			value = v
		case v != value:
			return "", fmt.Errorf("%s has several values, %q and %q: the proxy must replace it, not add to it", name, value, v)
		}
	}
	return value, nil
}

// forwardedPrefix returns a trusted proxy's X-Forwarded-Prefix, or "" if it is missing or isn't a plain path.
func forwardedPrefix(h http.Header) string {
	values := h["X-Forwarded-Prefix"]
	if len(values) != 1 {
		return ""
	}
	t, err := parsePath(values[0])
	if err != nil || t.ambiguities != 0 {
		return ""
	}
	return strings.TrimSuffix(t.raw, "/")
}

// validHost reports whether host is a name of lower-case letters, digits and -._ or an IPv6 address in brackets, and optionally a port. Any
// other host could be parsed differently by the upstream, also one with a colon and no port (RFC 3986 §6.2.3), which no client sends.
func validHost(host string) bool {
	if strings.HasSuffix(host, ":") {
		return false
	}
	name, port, _ := strings.Cut(host, ":")
	if bracketed, ok := strings.CutPrefix(host, "["); ok {
		address, rest, closed := strings.Cut(bracketed, "]")
		ip, err := netip.ParseAddr(address)
		if !closed || err != nil || !ip.Is6() || ip.Zone() != "" || rest != "" && rest[0] != ':' {
			return false
		}
		name, port = "ip", strings.TrimPrefix(rest, ":")
	}
	if strings.Trim(port, "0123456789") != "" {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._", c) >= 0:
		default:
			return false
		}
	}
	return name != "" && len(name) <= 255 && len(port) <= 5
}

func trimDefaultPort(scheme, host string) string {
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// authority returns an origin's host[:port], for preserve_host, and its host without port and brackets, for routes, rules and expressions.
// Neither has the final dot of a name: the upstream must not take it for another host than the gate does.
func authority(origin string) (hostPort, host string) {
	_, hostPort, _ = strings.Cut(origin, "://")
	if end := strings.LastIndexByte(hostPort, ']'); end > 0 {
		return hostPort, hostPort[1:end]
	}
	name, _, _ := strings.Cut(hostPort, ":")
	if host = strings.TrimSuffix(name, "."); host != name {
		hostPort = host + hostPort[len(name):]
	}
	return hostPort, host
}

// checkMethod returns an error for CONNECT, TRACE and methods that aren't upper-case tokens (RFC 9110 §9.1).
func checkMethod(method string) error {
	if method == http.MethodConnect || method == http.MethodTrace {
		return fmt.Errorf("the method %s isn't supported", method)
	}
	for i := range len(method) {
		if c := method[i]; (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return errors.New("the method isn't an upper-case token")
		}
	}
	return nil
}

// requestPath returns the path of the request target, undecoded. The target may have the absolute form (RFC 9112 §3.2.2), whose host is in
// r.Host.
func requestPath(r *http.Request) (string, error) {
	uri := r.RequestURI
	if strings.Contains(uri, "#") {
		return "", errors.New("the request target has a fragment")
	}
	path, _, _ := strings.Cut(uri, "?")
	if strings.HasPrefix(path, "/") {
		return path, nil
	}
	scheme, rest, found := strings.Cut(path, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", errors.New("the request target is neither a path nor a URL")
	}
	authority, after, hasPath := strings.Cut(rest, "/")
	if strings.Contains(authority, "@") {
		return "", errors.New("the request target has user information")
	}
	if !hasPath {
		return "/", nil
	}
	return "/" + after, nil
}

// requestID returns a trusted proxy's X-Request-Id, if it is a plain token, or a new random ID. The ID isn't a secret.
func requestID(r *http.Request, trusted bool) string {
	if id := r.Header.Get("X-Request-Id"); trusted && plainID(id) {
		return id
	}
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	return base64.RawURLEncoding.EncodeToString(b[:12])
}

func plainID(id string) bool {
	for i := range len(id) {
		if c := id[i]; !unreserved(c) || c == '~' {
			return false
		}
	}
	return len(id) >= 8 && len(id) <= 64
}
