package proxy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// discardLog discards the messages of ReverseProxy: the request's line in the log has the error.
var discardLog = log.New(io.Discard, "", 0)

// refuse writes the answer for an error, in the form that the client understands. All refusals are written here.
func (g *Gate) refuse(w *recorder, d *Decision, err error) {
	w.setTimeout(g.timeouts.Answer)
	e := auth.AsError(err)
	h := w.Header()
	clear(h)
	addOwn(h, d.headerNow())
	if e.Status == statusClientClosed {
		w.WriteHeader(http.StatusBadGateway) // for the log: the client is gone
		return
	}
	if target := d.redirect(e); target != "" {
		d.setHSTS(h)
		h.Set("Location", target)
		w.WriteHeader(http.StatusFound)
		return
	}
	d.script.Set(h)
	if challenge := d.wwwAuthenticate(e); challenge != nil {
		h["Www-Authenticate"] = challenge
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)))
	}
	if e.Allow != "" {
		h.Set("Allow", e.Allow)
	}
	if e.Login != "" && d.fromProgram() && !d.isGRPC() {
		h.Set("Location", e.Login) // as ASP.NET Core answers scripts; no client follows it with this status
	}
	page := auth.Page{Title: d.title(e), Text: e.Description, Link: e.Link, Action: cmp.Or(e.Action, "Go on"), NewTab: e.NewTab}
	if e.Link == "" {
		page.Link, page.Action = d.retryLink(e.Status)
	}
	if d.Route != nil && d.viewOf(e).Errors.DisplayErrors {
		page.Text += " (" + err.Error() + ")"
	}
	g.write(w, d, e.Status, page)
}

// fromProgram reports whether a script or a program sent the request, and not a browser that shows the answer as a page.
func (d *Decision) fromProgram() bool {
	mode := d.Request.Header.Get("Sec-Fetch-Mode")
	return !d.readsHTML() || mode != "" && mode != "navigate"
}

// readsHTML reports whether the client reads a page as HTML.
func (d *Decision) readsHTML() bool {
	return d.WantsHTML() && !strings.EqualFold(d.Request.Header.Get("X-Requested-With"), "XMLHttpRequest") && !d.isGRPC()
}

func (d *Decision) isGRPC() bool {
	return strings.HasPrefix(d.Request.Header.Get("Content-Type"), "application/grpc")
}

// retryLink returns a link to the same page, if a browser requested a page and a server behind the gate failed.
func (d *Decision) retryLink(status int) (link, action string) {
	if status < http.StatusBadGateway || d.Endpoint != "" || !d.Navigation(false) {
		return "", ""
	}
	return d.Origin + d.Target(), "Try again"
}

// answer writes the decision's Answer.
func (g *Gate) answer(w *recorder, d *Decision) {
	w.setTimeout(g.timeouts.Answer)
	a, h := d.Answer, w.Header()
	for name, values := range a.Header {
		h[name] = append(h[name], values...)
	}
	addOwn(h, d.headerNow())
	d.script.Set(h)
	if a.Page != nil && a.Body == nil {
		g.write(w, d, a.Status, *a.Page)
		return
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	d.setHSTS(h)
	w.WriteHeader(a.Status)
	w.Write(a.Body)
}

// viewOf returns the view for a refusal: that of the identity's issuer, or of the issuer of the refused credential.
func (d *Decision) viewOf(e *auth.Error) *view {
	if d.Identity == nil && e.Issuer != "" {
		return d.Route.viewOf(e.Issuer)
	}
	return d.view()
}

// redirect returns the configured URI to which a browser is sent instead of showing the error. It is "" if none is configured, or the
// client isn't a browser.
func (d *Decision) redirect(e *auth.Error) string {
	if d.Route == nil || d.Endpoint != "" {
		return ""
	}
	view := d.viewOf(e)
	var uris []string
	switch e.Status {
	case http.StatusUnauthorized:
		uris = view.Errors.UnauthorizedRedirectURI
	case http.StatusForbidden:
		uris = view.Errors.ForbiddenRedirectURI
	case http.StatusInternalServerError, http.StatusServiceUnavailable: // of the gate, not of the upstream
		uris = view.Errors.UnexpectedRedirectURI
	}
	if len(uris) == 0 || !d.Navigation(false) {
		return ""
	}
	uri := uris[0]
	if len(uris) > 1 { // one for each client_id
		uri = uris[min(view.ClientIndex(&d.Request), len(uris)-1)]
	}
	if strings.TrimPrefix(uri, d.Origin) == d.Path { // the page is refused, too: no redirect loop
		return ""
	}
	return uri
}

func (d *Decision) title(e *auth.Error) string {
	switch {
	case e.Title != "":
		return e.Title
	case d.Route != nil && e.Status == http.StatusUnauthorized:
		return d.viewOf(e).Errors.UnauthorizedErrorMessage
	case d.Route != nil && e.Status == http.StatusForbidden:
		return d.viewOf(e).Errors.ForbiddenErrorMessage
	}
	return http.StatusText(e.Status)
}

// write writes a page in the form that the client understands: HTML for browsers, a gRPC status for gRPC, problem JSON for all others.
func (g *Gate) write(w http.ResponseWriter, d *Decision, status int, p auth.Page) {
	h := w.Header()
	d.setHSTS(h)
	d.idHeader[0] = d.ID
	h["X-Request-Id"] = d.idHeader[:]
	h["X-Content-Type-Options"] = noSniff
	if len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = noStore
	}
	switch {
	case d.isGRPC():
		writeGRPC(w, status, p)
	case d.readsHTML():
		g.writeHTML(w, d, status, p)
	default:
		writeProblem(w, status, p, d.ID)
	}
}

// writeHTML writes an HTML page. If the operator's template fails, the built-in page is written.
func (g *Gate) writeHTML(w http.ResponseWriter, d *Decision, status int, page auth.Page) {
	p := &page
	pages := g.pages
	if d.Route != nil && d.Route.Pages != nil {
		pages = d.Route.Pages
	}
	html, err := pages.Render(p, status, d.ID)
	if err != nil {
		g.log.Error("a page of pages: failed, the built-in one is shown", "request_id", d.ID, "error", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pages.Policy(p))
	h.Set("Referrer-Policy", "no-referrer")
	// With no-referrer a browser would send the form with Origin: null, which some providers refuse, and so does oauth2/resume.
	switch p.Kind {
	case auth.PageSubmit:
		h.Set("Referrer-Policy", "strict-origin")
	case auth.PageResume:
		h.Set("Referrer-Policy", "same-origin")
	}
	w.WriteHeader(status)
	w.Write(html)
}

// These header values are shared and must not be changed.
var (
	noSniff     = []string{"nosniff"}
	noStore     = []string{"no-store"}
	problemJSON = []string{"application/problem+json"}
)

// writeProblem writes RFC 9457 problem details. The extension member login of a 401 is the address in its Location.
func writeProblem(w http.ResponseWriter, status int, p auth.Page, id string) {
	b := append(make([]byte, 0, 256), `{"title":`...)
	b = appendJSON(b, p.Title)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	if p.Text != "" {
		b = appendJSON(append(b, `,"detail":`...), p.Text)
	}
	if login := w.Header().Get("Location"); login != "" {
		b = appendJSON(append(b, `,"login":`...), login)
	}
	b = appendJSON(append(b, `,"request_id":`...), id)
	w.Header()["Content-Type"] = problemJSON
	w.WriteHeader(status)
	w.Write(append(b, "}\n"...))
}

// appendJSON appends a JSON string. It calls the encoder only for a string that needs escapes.
func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string can't fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// writeGRPC writes a response that has only a status (gRPC over HTTP/2, "Trailers-Only").
func writeGRPC(w http.ResponseWriter, status int, p auth.Page) {
	codes := map[int]int{ // gRPC's mapping of HTTP statuses
		http.StatusBadRequest: 13, http.StatusUnauthorized: 16, http.StatusForbidden: 7, http.StatusNotFound: 12,
		http.StatusTooManyRequests: 14, http.StatusBadGateway: 14, http.StatusServiceUnavailable: 14, http.StatusGatewayTimeout: 14,
	}
	code, known := codes[status]
	if !known {
		code = 2
	}
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(code))
	h.Set("Grpc-Message", grpcMessage(p.Title+": "+p.Text))
	w.WriteHeader(http.StatusOK)
}

// grpcMessage percent-encodes all characters but printable ASCII.
func grpcMessage(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
