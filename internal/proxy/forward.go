package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/auth"
)

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

func (g *Gate) newReverseProxy(route *route) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:  route.Upstream,
		BufferPool: bodyBuffers,
		Rewrite:    g.rewrite,
		ModifyResponse: func(res *http.Response) error {
			d := decisionOf(res.Request)
			d.Route.view.plan.finish(res.Header, d.headerNow())
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
	if d.Route.proxy == nil {
		g.refuse(rec, d, errNoUpstream)
		return errNoUpstream
	}
	if names := namesIn(d.hidden(), auth.InBody); len(names) > 0 {
		d.Request.HideBody(names)
	}
	ctx := context.WithValue(d.Request.Context(), decisionKey{}, d)
	d.Route.proxy.ServeHTTP(rec, d.Request.Request.WithContext(ctx))
	if d.failure != nil {
		return d.failure
	}
	return nil
}

// errNoUpstream refuses what a route without an upstream would forward.
var errNoUpstream = auth.NotSetUp(errors.New("the route has no upstream, and the gate doesn't answer this request itself: write upstream"))

// rewrite makes the upstream's request. It runs after ReverseProxy has removed the hop-by-hop headers, so that a client's
// Connection header can't take away what is set here.
func (g *Gate) rewrite(p *httputil.ProxyRequest) {
	d, out := decisionOf(p.In), p.Out
	d.setURL(out.URL)
	stayInHTTP(out.Header)
	out.Host = d.Route.Upstream.url.Host
	if d.Route.PreserveHost {
		out.Host = d.host // that was judged: behind a trusted proxy, X-Forwarded-Host
	}
	if d.preflight {
		onlyPreflight(out, d.Route.CredentialParams)
	}
	h := d.upstreamHeader(p.In.Header)
	h.apply(out.Header)
	for _, name := range h.refused {
		g.log.Warn("a claim can't be sent as a header: it holds control characters or is too long", "request_id", d.ID, "header", name)
	}
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
	if names := namesIn(d.hidden(), auth.InQuery); len(names) > 0 {
		u.RawQuery = auth.WithoutParams(u.RawQuery, names)
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
