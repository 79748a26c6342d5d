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
	"time"

	"sallyport/internal/auth"
)

// buffers is a pool of the buffers with which bodies are copied.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

var bodyBuffers = &buffers{}

// decisionKey is the context key of the Decision in requests to the upstream.
type decisionKey struct{}

func decisionFrom(r *http.Request) *Decision { return r.Context().Value(decisionKey{}).(*Decision) }

func (g *Gate) newReverseProxy(route *route) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:  route.Upstream,
		BufferPool: bodyBuffers,
		Rewrite:    g.rewrite,
		ModifyResponse: func(res *http.Response) error {
			d := decisionFrom(res.Request)
			if d.overLimit(res.Request.Context()) {
				return errBodyOverLimit // the upstream has answered to a body that was cut
			}
			d.answeredIn = time.Since(d.sent)
			d.sending.SetStatus(res.StatusCode, http.StatusBadRequest)
			if d.view().plan.dpop {
				hideChallenge(res)
			}
			d.Route.view.plan.changeResponse(res.Header, d.headerNow())
			d.rewriteLocation(res)
			d.script.Set(res.Header)
			d.stream.answered(res)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			d := decisionFrom(r)
			d.answeredIn = time.Since(d.sent)
			d.upstreamErr = upstreamError(r.Context(), err)
			d.sending.Fail(d.upstreamErr.Reason)
			g.refuse(w.(*recorder), d, d.upstreamErr)
		},
		ErrorLog: discardLog,
	}
}

// forward sends the request to the upstream and writes its response. If the upstream fails, it writes the refusal and returns the error.
func (g *Gate) forward(rec *recorder, d *Decision) error {
	rec.body.forward()
	d.forwarded = true
	if d.Route.Own != nil {
		return g.serveOwn(rec, d)
	}
	rec.fromUpstream = true
	if d.Route.proxy == nil {
		g.refuse(rec, d, errNoUpstream)
		return errNoUpstream
	}
	if err := d.assert(time.Now()); err != nil {
		g.refuse(rec, d, err)
		return err
	}
	if names := namesIn(d.hidden(), auth.InBody); len(names) > 0 {
		d.Request.HideBody(names)
	}
	if err := g.checkBodyLength(d); err != nil { // a flow has read the body, or an endpoint has let the request pass
		g.refuse(rec, d, err)
		return err
	}
	d.setAffinity()
	ctx := context.WithValue(d.Request.Context(), decisionKey{}, d)
	if d.span != nil {
		span := d.startSending()
		defer span.End()
		ctx = context.WithValue(span.Context(), decisionKey{}, d)
	}
	ctx, unlimited := d.limitBody(ctx)
	defer func() {
		if d.overLimit(ctx) {
			d.upstreamErr = bodyTooLarge() // also if the header of the response has gone to the client
		}
		unlimited()
	}()
	d.sent = time.Now()
	d.Route.proxy.ServeHTTP(rec, d.Request.Request.WithContext(ctx))
	if d.upstreamErr != nil {
		return d.upstreamErr
	}
	return nil
}

// errNoUpstream refuses a request that a route without an upstream would forward.
var errNoUpstream = auth.NotSetUp(errors.New("the route has no upstream, and the gate doesn't answer this request itself: write upstream"))

// rewrite changes the request for the upstream. ReverseProxy has removed the hop-by-hop headers before, so that a client's Connection
// header can't remove a header that is set here.
func (g *Gate) rewrite(p *httputil.ProxyRequest) {
	d, out := decisionFrom(p.In), p.Out
	d.setURL(out.URL)
	removeHTTPUpgrade(out.Header)
	out.Host = d.Route.Upstream.targets[0].host // with several targets, that of the chosen one replaces it
	if d.Route.PreserveHost || out.Host == "" {
		out.Host = d.host // by which the route was chosen: behind a trusted proxy, X-Forwarded-Host
	}
	if d.preflight {
		onlyPreflight(out, d.Route.CredentialParams)
	}
	h := d.upstreamHeader(p.In.Header)
	h.apply(out.Header)
	d.sending.Inject(out.Header)
	if d.view().plan.proves(d.Identity) {
		p.Out = withProver(out, d.Identity.Tokens)
	}
	for _, name := range h.refused {
		g.log.Warn("a claim can't be sent as a header: it has control characters or is too long", "request_id", d.ID, "header", name)
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = []string{""} // otherwise net/http adds its own
	}
}

// removeHTTPUpgrade removes an Upgrade to another version of HTTP or to TLS (RFC 9110 §7.8). If the upstream switched to it, the client
// could send further requests on that connection past the gate.
func removeHTTPUpgrade(h http.Header) {
	if upgradesHTTP(h) {
		delete(h, "Upgrade")
		delete(h, "Connection")
	}
	delete(h, "Http2-Settings") // RFC 7540 §3.2.1
}

// upgradesHTTP reports whether a header asks for an upgrade to another version of HTTP or to TLS.
func upgradesHTTP(h http.Header) bool {
	for protocol := range strings.SplitSeq(strings.ToLower(strings.Join(h["Upgrade"], ",")), ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(protocol), "/")
		if slices.Contains([]string{"h2c", "h2", "h3", "http", "https", "tls"}, name) {
			return true
		}
	}
	return false
}

// namesIn returns the names of the parameters that are in one place of the request.
func namesIn(params []auth.Param, in auth.In) (names []string) {
	for _, p := range params {
		if p.In == in {
			names = append(names, p.Name)
		}
	}
	return names
}

// setURL sets the upstream's URL: the path that was matched, and the query as the client sent it, without hidden credentials.
func (d *Decision) setURL(u *url.URL) {
	base := d.Route.Upstream.url
	u.Scheme, u.Host = base.Scheme, base.Host
	u.RawQuery, u.ForceQuery = d.Request.URL.RawQuery, d.Request.URL.ForceQuery
	if d.upstreamQuery != nil {
		u.RawQuery, u.ForceQuery = *d.upstreamQuery, false
	}
	if names := namesIn(d.hidden(), auth.InQuery); len(names) > 0 {
		u.RawQuery = auth.WithoutParams(u.RawQuery, names)
	}
	path, raw := d.target.path, d.target.raw
	if d.Route.StripPath {
		raw = d.Route.strip(raw)
		path, _ = url.PathUnescape(raw) // sentSegment wrote its escapes: no error
		if d.Route.MCP != nil && raw == "/" && !strings.HasSuffix(d.target.raw, "/") && base.Path != "" {
			u.Path, u.RawPath = base.Path, base.EscapedPath() // an MCP server has one address, and another one with a slash may not be it
			return
		}
	}
	if prefix := strings.TrimSuffix(base.Path, "/"); prefix != "" {
		path, raw = prefix+path, strings.TrimSuffix(base.EscapedPath(), "/")+raw
	}
	u.Path, u.RawPath = path, raw
}

// upstreamError returns the refusal for an error of the upstream.
func upstreamError(ctx context.Context, err error) *auth.Error {
	e := &auth.Error{
		Status: http.StatusBadGateway, Reason: "upstream_failed", Description: "The service behind this gate can't be reached.", Err: err,
	}
	var timeout net.Error
	switch {
	case errors.Is(err, errBodyOverLimit) || errors.Is(context.Cause(ctx), errBodyOverLimit):
		return bodyTooLarge()
	case errors.Is(err, errNonceAsked):
		e.Status, e.Reason, e.RetryAfter = http.StatusServiceUnavailable, "upstream_nonce", time.Second
		e.Description = "The service behind this gate needs the request once more."
	case errors.Is(ctx.Err(), context.Canceled):
		e.Status, e.Reason, e.Description = statusClientClosed, "client_gone", "The client went away."
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Status, e.Reason, e.Description = http.StatusGatewayTimeout, "upstream_timeout", "The service behind this gate took too long."
	}
	return e
}

// statusClientClosed is the status in the log for a client that closed the connection before the answer.
const statusClientClosed = 499
