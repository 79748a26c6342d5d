package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/auth"
)

// An Upstream is the service behind a route and the pool of connections to it.
type Upstream struct {
	url       *url.URL
	transport *http.Transport
	upgrades  *http.Transport // for requests that ask for another protocol, which HTTP/2 doesn't have (RFC 9113 §8.6)
}

// NewUpstream returns the upstream of the settings. It connects to nothing yet.
func NewUpstream(s UpstreamSettings) (*Upstream, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	if u.Scheme == "h2c" {
		u.Scheme, s.Protocol = "http", "http2"
	}
	up := &Upstream{url: u}
	if up.transport, err = s.transport(s.Protocol); err != nil {
		return nil, err
	}
	up.upgrades, err = s.transport("http1")
	return up, err
}

// transport returns a pool of connections that speak a protocol.
func (s *UpstreamSettings) transport(protocol string) (*http.Transport, error) {
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: s.ConnectTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   s.ConnectTimeout,
		ResponseHeaderTimeout: s.ResponseHeaderTimeout,
		IdleConnTimeout:       s.IdleTimeout,
		ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost:   512, // net/http's 2 would dial anew for most requests
		DisableCompression:    true,
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(protocol != "http2")
	t.Protocols.SetHTTP2(protocol != "http1")
	t.Protocols.SetUnencryptedHTTP2(protocol == "http2")
	var err error
	t.TLSClientConfig, err = s.tls()
	return t, err
}

// RoundTrip sends a request over the protocol that fits. It may change r, which is the gate's own.
func (u *Upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := u.transport
	if r.Header.Get("Upgrade") != "" {
		transport = u.upgrades
	}
	defer replayable(r, !u.mayBeHTTP2(transport))()
	return transport.RoundTrip(r)
}

// mayBeHTTP2 reports whether a transport to the upstream speaks HTTP/2 there.
func (u *Upstream) mayBeHTTP2(t *http.Transport) bool {
	return t.Protocols.UnencryptedHTTP2() || t.Protocols.HTTP2() && u.url.Scheme == "https"
}

func (s *UpstreamSettings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName, InsecureSkipVerify: !s.SSLVerify} // #nosec G402: ssl_verify
	if s.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("upstream: ca_file: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("upstream: ca_file: %s holds no PEM certificate", s.CAFile)
	}
	return c, nil
}

// Reach connects to the upstream, with TLS where it is reached so, and sends nothing.
func (u *Upstream) Reach(ctx context.Context) error {
	address := u.url.Host
	if u.url.Port() == "" {
		address = net.JoinHostPort(u.url.Hostname(), map[string]string{"http": "80", "https": "443"}[u.url.Scheme])
	}
	conn, err := u.transport.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if u.url.Scheme != "https" {
		return nil
	}
	c := u.transport.TLSClientConfig.Clone()
	c.ServerName = cmp.Or(c.ServerName, u.url.Hostname())
	return tls.Client(conn, c).HandshakeContext(ctx)
}

// Close closes the idle connections; those in use end with their requests.
func (u *Upstream) Close() error {
	u.transport.CloseIdleConnections()
	u.upgrades.CloseIdleConnections()
	return nil
}

// buffers are shared by all copies of bodies.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

var bodyBuffers = &buffers{}

// decisionKey is how a Decision travels through ReverseProxy, which calls its functions with nothing but requests.
type decisionKey struct{}

func decisionOf(r *http.Request) *Decision { return r.Context().Value(decisionKey{}).(*Decision) }

func (g *Gate) newReverseProxy(route *Route) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:  route.Upstream,
		BufferPool: bodyBuffers,
		Rewrite:    g.rewrite,
		ModifyResponse: func(res *http.Response) error {
			d := decisionOf(res.Request)
			d.Route.plan.finish(res.Header, d.headerNow())
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			d := decisionOf(r)
			d.failure = upstreamError(r.Context(), err)
			g.refuse(w.(*recorder), d, d.failure)
		},
		ErrorLog: discardLog,
	}
}

// forward sends the request on. It returns why the upstream could not answer; the client has been told.
func (g *Gate) forward(rec *recorder, d *Decision) error {
	rec.body.forward()
	d.forwarded = true
	rec.asIs = true
	if d.view().Headers.HideCredentials {
		d.Request.HideBody(namesIn(d.used, auth.InBody))
	}
	ctx := context.WithValue(d.Request.Context(), decisionKey{}, d)
	d.Route.proxy.ServeHTTP(rec, d.Request.Request.WithContext(ctx))
	if d.failure != nil {
		return d.failure
	}
	return nil
}

// rewrite makes the upstream's request. It runs after ReverseProxy has removed the hop-by-hop headers, so that a client's
// Connection header can't take away what is set here.
func (g *Gate) rewrite(p *httputil.ProxyRequest) {
	d := decisionOf(p.In)
	route, view, out := d.Route, d.view(), p.Out
	d.setURL(out.URL)
	stayInHTTP(out.Header)
	out.Host = route.Upstream.url.Host
	if route.PreserveHost {
		out.Host = d.host // that was judged: behind a trusted proxy, X-Forwarded-Host
	}
	used := slices.Contains(namesIn(d.used, auth.InHeader), "Authorization")
	view.plan.strip(out.Header, d.unjudged || used && !view.Headers.HideCredentials || !used && route.passes(out.Header["Authorization"]))
	if d.preflight {
		onlyPreflight(out, route.CredentialParams)
	}
	if view.Headers.HideCredentials {
		d.hide(out)
	}
	refused := view.plan.set(out.Header, p.In.Header, d.Identity)
	refused = append(refused, setFields(out.Header, d.Rule.fields, d.Identity)...)
	refused = append(refused, setGrant(out.Header, d.Grant)...)
	setIssued(out.Header, d.Identity)
	for _, name := range refused {
		g.log.Warn("a claim can't be sent as a header: it holds control characters or is too long", "request_id", d.ID, "header", name)
	}
	d.setForwarded(out.Header)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = []string{""} // net/http would add its own
	}
}

// stayInHTTP ignores the wish to go on in another version of HTTP, or in TLS (RFC 9110 §7.8): what an upstream that agreed
// would get on that connection are requests that nobody has judged.
func stayInHTTP(h http.Header) {
	for protocol := range strings.SplitSeq(strings.ToLower(h.Get("Upgrade")), ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(protocol), "/")
		if slices.Contains([]string{"h2c", "h2", "h3", "http", "https", "tls"}, name) {
			delete(h, "Upgrade")
			delete(h, "Connection")
		}
	}
	delete(h, "Http2-Settings") // RFC 7540 §3.2.1
}

// hide takes the credential out of where the client put it: it was for the gate.
func (d *Decision) hide(out *http.Request) {
	for _, p := range d.used {
		switch p.In {
		case auth.InHeader:
			if p.Name != "Authorization" { // which may hold the access token by now
				delete(out.Header, p.Name)
			}
		case auth.InCookie:
			stripCookies(out.Header, func(name string) bool { return name == p.Name })
		}
	}
	if names := namesIn(d.used, auth.InQuery); len(names) > 0 {
		out.URL.RawQuery = auth.WithoutParams(out.URL.RawQuery, names)
	}
}

// namesIn are the names of a credential's parts that stood in one place.
func namesIn(used []auth.Param, in auth.In) (names []string) {
	for _, p := range used {
		if p.In == in {
			names = append(names, p.Name)
		}
	}
	return names
}

// setURL sends the path as it was judged, and the query as it came.
func (d *Decision) setURL(u *url.URL) {
	base := d.Route.Upstream.url
	u.Scheme, u.Host = base.Scheme, base.Host
	u.RawQuery, u.ForceQuery = d.Request.URL.RawQuery, d.Request.URL.ForceQuery
	if d.query != nil {
		u.RawQuery, u.ForceQuery = *d.query, false
	}
	path, raw := d.target.path, d.target.raw
	if d.Route.StripPath {
		raw = d.Route.strip(raw)
		path, _ = url.PathUnescape(raw) // whose escapes sentSegment has written
	}
	if prefix := strings.TrimSuffix(base.Path, "/"); prefix != "" {
		path, raw = prefix+path, strings.TrimSuffix(base.EscapedPath(), "/")+raw
	}
	u.Path, u.RawPath = path, raw
}

// setForwarded tells the upstream how the client reached the gate.
func (d *Decision) setForwarded(h http.Header) {
	scheme, host, _ := strings.Cut(d.Origin, "://")
	h["X-Forwarded-For"] = []string{d.Client()}
	h["X-Forwarded-Host"] = []string{host}
	h["X-Forwarded-Proto"] = []string{scheme}
	if prefix := d.prefix + d.Route.stripped(d.target.raw); prefix != "" {
		h["X-Forwarded-Prefix"] = []string{prefix}
	}
	h["X-Request-Id"] = []string{d.ID}
}

// upstreamError names what went wrong with the upstream.
func upstreamError(ctx context.Context, err error) *auth.Error {
	e := &auth.Error{Status: http.StatusBadGateway, Reason: "upstream_failed", Description: "The service behind this gate can't be reached.", Err: err}
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Status, e.Reason, e.Description = statusClientClosed, "client_gone", "The client went away."
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Status, e.Reason, e.Description = http.StatusGatewayTimeout, "upstream_timeout", "The service behind this gate took too long."
	}
	return e
}

// statusClientClosed stands in the log for a client that went away before the answer.
const statusClientClosed = 499
