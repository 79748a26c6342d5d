package proxy

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// A recorder records the status and the size of a response. Its Unwrap lets http.ResponseController reach the connection.
type recorder struct {
	http.ResponseWriter
	body         *clientBody // nil: the request has no body
	stream       *stream     // nil: the login isn't watched
	fromUpstream bool
	asked        bool // by a proxy, which takes 2xx for the permission to forward the request
	permitted    bool // the permission is being written
	status       int
	bytes        int64
}

func (r *recorder) WriteHeader(status int) {
	if r.asked && !r.permitted && status < http.StatusMultipleChoices {
		status = http.StatusForbidden // a page of the gate, or the refusal of a gRPC request, which has the status 200
	}
	if r.status < 200 { // a final status follows 1xx
		r.status = status
		if status >= 200 && r.body.mustClose() {
			r.Header()["Connection"] = connectionClose
		}
	}
	if status < 200 && status != http.StatusSwitchingProtocols { // the upstream's: ModifyResponse doesn't see 1xx
		r.Header().Del("Set-Cookie")
	}
	if h := r.Header(); r.fromUpstream && status >= 200 && len(h["Content-Type"]) == 0 {
		h["Content-Type"] = nil // otherwise net/http guesses one
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status < 200 {
		r.WriteHeader(http.StatusOK)
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	r.stream.used()
	return n, err
}

// setTimeout limits the time in which the client must take the gate's own answer. Responses of the upstream have no such limit.
func (r *recorder) setTimeout(timeout time.Duration) {
	http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Now().Add(timeout))
}

// WithTimeouts returns a handler that runs h with the timeouts for the gate's own answers.
func WithTimeouts(h http.Handler, timeouts func() Timeouts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, rec := timeouts().orDefault(), &recorder{ResponseWriter: w}
		rec.body, r = wrapBody(w, r, t.Body)
		defer rec.body.finish()
		rec.setTimeout(t.Answer)
		h.ServeHTTP(rec, r)
	})
}

// connectionClose is the value of Connection in answers that end the connection. It is shared and must not be changed.
var connectionClose = []string{"close"}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// finish reports a request that is over: to metrics, log and traces.
func (g *Gate) finish(rec *recorder, d *Decision, failure *error) {
	e := d.upstreamErr // also if ReverseProxy panicked, because it couldn't go on with a response
	if *failure != nil {
		e = auth.AsError(*failure)
	}
	g.record(rec, d, e)
	g.logRequest(rec, d, e)
	g.auditRefusal(rec, d, e)
	g.keepRefusal(rec, d, e)
	d.endSpan(rec, e)
}

// logRequest writes the request's line in the log. Its path has no query, which could have a code or a token. If the access log is off,
// only refusals and errors are logged.
func (g *Gate) logRequest(rec *recorder, d *Decision, e *auth.Error) {
	level := slog.LevelInfo
	if e != nil {
		switch {
		case e.Reason == auth.ReasonNotSetUp:
			level = slog.LevelError
		case e.Status >= 500:
			level = slog.LevelWarn
		}
	}
	ctx := context.Background()
	if !g.access && level < slog.LevelWarn && e == nil || !g.log.Enabled(ctx, level) {
		return
	}
	g.log.LogAttrs(ctx, level, "request", g.attributes(rec, d, e)...)
}

// logReportOnly logs that a rule with report_only would have refused the request.
func (g *Gate) logReportOnly(d *Decision, rule *rule, err error) {
	e := auth.AsError(err)
	g.log.Warn("a rule would have refused this request, and only reports", "request_id", d.ID, "route", d.Route.Name, "rule", rule.Place,
		"reason", e.Reason, "error", fmt.Sprint(e.Err))
}

func (g *Gate) attributes(rec *recorder, d *Decision, e *auth.Error) []slog.Attr {
	path, _, _ := strings.Cut(d.Request.RequestURI, "?")
	all := []slog.Attr{
		slog.String("request_id", d.ID),
		slog.String("client", d.Client()),
		slog.String("method", d.Method),
		slog.String("origin", d.Origin),
		slog.String("path", clip(path)),
		slog.Int("status", rec.status),
		slog.Int64("bytes", rec.bytes),
		slog.Duration("duration", time.Since(d.start)),
	}
	add := func(name, value string) {
		if value != "" {
			all = append(all, slog.String(name, value))
		}
	}
	if !d.ClientAddr.IsValid() {
		add("peer", d.RemoteAddr)
	}
	if d.Route != nil {
		add("route", d.Route.Name)
		add("rule", d.Rule.place())
	}
	add("endpoint", d.Endpoint)
	add("fapi_interaction_id", d.interaction)
	add("trace_id", d.span.TraceID())
	add("flow", d.flow(e))
	if i := cmp.Or(d.Identity, d.User); i != nil {
		add("sub", clip(i.Subject))
	}
	if d.Grant != nil && d.Grant.Consumer != nil {
		add("consumer", cmp.Or(d.Grant.Consumer.Username, d.Grant.Consumer.CustomID, d.Grant.Consumer.ID))
	}
	add("reason", d.reason(e))
	if e != nil && e.Err != nil {
		add("error", e.Err.Error())
	}
	return all
}

// flow returns the name of the flow that read the request's credential, with the refusal of the request or nil; "" if none did.
func (d *Decision) flow(e *auth.Error) string {
	if i := cmp.Or(d.Identity, d.User); i != nil {
		return i.Flow
	}
	if e != nil {
		return e.Flow
	}
	return ""
}

// reason returns the reason of a refusal, or of an answer that replaces one; "" for other requests.
func (d *Decision) reason(e *auth.Error) string {
	switch {
	case e != nil:
		return e.Reason
	case d.Answer != nil:
		return d.Answer.Reason
	}
	return ""
}

func (r *rule) place() string {
	if r == nil {
		return ""
	}
	return r.Place
}

// clip shortens a text that a client chose for the log.
func clip(s string) string {
	if len(s) > 1000 {
		return s[:1000] + "…"
	}
	return s
}
