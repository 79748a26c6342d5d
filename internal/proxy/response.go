package proxy

import (
	"net/http"
	"strings"

	"sallyport/internal/auth"
)

// headerNow is the decision's header when the answer is sent. The answer may have waited for the upstream or an issuer, and the
// browser may have logged in meanwhile: its new cookie stays. An endpoint's own answer does what its request asks for.
func (d *Decision) headerNow() http.Header {
	if len(d.Header["Set-Cookie"]) == 0 || d.Endpoint != "" && !d.forwarded {
		return d.Header
	}
	return d.Route.Chain.Review(&d.Request, d.Header, d.forwarded)
}

// addDownstream adds the downstream_* headers to the response, also to a refusal by the policy: a client whose refresh token was
// rotated must get the new one.
func (*Gate) addDownstream(d *Decision) error {
	fields := d.view().plan.downstream
	if d.Answer != nil || d.Identity == nil || len(fields) == 0 {
		return nil
	}
	header := http.Header{}
	setFields(header, fields, d.Identity)
	d.Header = auth.MergeHeader(header, d.Header)
	return nil
}

// finish drops the upstream's cookies that bear the gate's names, and adds the decision's own headers: here, because
// ReverseProxy wipes what was set on the writer before.
func (p *headerPlan) finish(h http.Header, own http.Header) {
	if lines, found := h["Set-Cookie"]; found {
		kept := lines[:0]
		for _, line := range lines {
			if !p.cookies.has(cookieName(line)) {
				kept = append(kept, line)
			}
		}
		h["Set-Cookie"] = kept
		if len(kept) == 0 {
			delete(h, "Set-Cookie")
		}
	}
	addOwn(h, own)
}

// cookieName is the name under which a browser sends a cookie back. One without a name comes back as its value alone (RFC
// 6265bis §5.8.3), and =session=x as session=x.
func cookieName(line string) string {
	pair, _, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	if name = strings.TrimSpace(name); name == "" {
		name, _, _ = strings.Cut(value, "=")
	}
	return strings.TrimSpace(name)
}

// addOwn adds the decision's headers, which replace the upstream's; cookies stand beside each other. A response with one of
// them belongs to one person: no cache may keep it.
func addOwn(h, own http.Header) {
	if len(own) == 0 {
		return
	}
	for name, values := range own {
		if name == "Set-Cookie" {
			values = append(h[name], values...)
		}
		h[name] = values
	}
	h["Cache-Control"] = []string{"private, no-store"}
}
