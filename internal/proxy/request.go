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

// An entrance turns an HTTP request into the Request that is judged: who sent it, under which name, with which path.
type entrance struct {
	trusted []netip.Prefix
	log     *slog.Logger
	unknown sync.Once // a client's address was unknown, and the log has said so
}

// enter reads what the connection and, behind a trusted proxy, the forwarding headers say. It refuses what can be read in
// several ways.
func (e *entrance) enter(r *http.Request, d *Decision) (err error) {
	peer := peerAddr(r)
	trusted := e.trusts(peer)
	d.Request = auth.Request{Request: r, ClientAddr: peer, ID: requestID(r, trusted)}
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
	d.Path, d.RawPath = d.target.path, d.target.raw
	if strings.Contains(r.URL.RawQuery, " ") { // as only HTTP/2 can carry it: in a request line the version would follow it
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

// origin is scheme://host as the client sees it. A trusted proxy's X-Forwarded-Proto and -Host count, if there is one value of each:
// two that differ could be the client's and the proxy's.
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
		return "", fmt.Errorf("%q is no host", host)
	}
	return scheme + "://" + trimDefaultPort(scheme, host), nil
}

// httpScheme is the scheme of HTTP that a proxy means: some name that of WebSockets, which begin as requests of HTTP (RFC 6455 §4.1).
func httpScheme(scheme string) string {
	switch scheme = strings.ToLower(scheme); scheme {
	case "wss":
		return "https"
	case "ws":
		return "http"
	}
	return scheme
}

// forwarded is the one value of a forwarding header as read makes it, or what it is without. A chain of proxies makes a list: if all its
// values are read as the same, that is the one.
func forwarded(h http.Header, name, without string, read func(string) string) (string, error) {
	value := without
	for n, v := range strings.Split(strings.Join(h[name], ","), ",") {
		v = read(strings.TrimSpace(v))
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

// forwardedPrefix is a trusted proxy's X-Forwarded-Prefix; empty if there is none, or it is no path.
func forwardedPrefix(h http.Header) string {
	values := h["X-Forwarded-Prefix"]
	if len(values) != 1 {
		return ""
	}
	t, err := parsePath(values[0])
	if err != nil || t.tricks != 0 {
		return ""
	}
	return strings.TrimSuffix(t.raw, "/")
}

// validHost accepts a name of letters, digits and -._ or an IPv6 address in brackets, and a port of digits. Anything else
// could be read as one host here and as another behind; a colon without a port could (RFC 3986 §6.2.3), and no client sends one.
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
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
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

// authority returns an origin's host[:port] as preserve_host sends it, and its host alone, without brackets, as routes, rules and
// expressions are matched with it. Neither has the name's final dot: the upstream must not find another host than the gate.
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

// checkMethod accepts upper-case tokens (RFC 9110 §9.1) but CONNECT and TRACE.
func checkMethod(method string) error {
	if method == http.MethodConnect || method == http.MethodTrace {
		return fmt.Errorf("the method %s isn't served", method)
	}
	for i := range len(method) {
		if c := method[i]; (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return errors.New("the method is no upper-case token")
		}
	}
	return nil
}

// requestPath cuts the path out of the request target as it came. The absolute form is read as its host and path
// (RFC 9112 §3.2.2); net/http has moved its host to r.Host.
func requestPath(r *http.Request) (string, error) {
	uri := r.RequestURI
	if strings.Contains(uri, "#") {
		return "", errors.New("the request target holds a fragment")
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
		return "", errors.New("the request target holds user information")
	}
	if !hasPath {
		return "/", nil
	}
	return "/" + after, nil
}

// requestID is a trusted proxy's X-Request-Id, if it is a plain token, or a new random one: unique, but no secret.
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
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return len(id) >= 8 && len(id) <= 64
}
