package proxy

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// headerNow returns the decision's header at the time of the answer. While the request waited for the upstream or an issuer, the browser
// may have logged in with another request: the chain's Review removes the cookies that would replace those of that login. An endpoint's own
// answer sets its cookies in any case.
func (d *Decision) headerNow() http.Header {
	if len(d.Header["Set-Cookie"]) == 0 || d.Endpoint != "" && !d.forwarded {
		return d.withInteraction(d.Header)
	}
	return d.withInteraction(d.Route.Chain.Review(&d.Request, d.Header, d.forwarded))
}

// addDownstream adds the downstream_* headers to the response. They are also added to a refusal by the policy: a client must get its
// refresh token if that was rotated.
func (*Gate) addDownstream(d *Decision) error {
	plan := d.view().plan
	if d.Answer != nil || d.Identity == nil || len(plan.downstream)+len(plan.downstreamSession) == 0 {
		return nil
	}
	header := http.Header{}
	setFields(header, plan.downstream, d.Identity)
	setSessionFields(header, plan.downstreamSession, d.session)
	d.Header = auth.MergeHeader(header, d.Header)
	return nil
}

// changeResponse removes cookies with names of the gate's cookies from the upstream's response, and adds the decision's own headers. They
// can't be set on the ResponseWriter before, because the upstream's headers would be added to them.
func (p *headerPlan) changeResponse(h http.Header, own http.Header) {
	if lines, found := h["Set-Cookie"]; found {
		h["Set-Cookie"] = slices.DeleteFunc(lines, func(line string) bool { return p.cookies.has(cookieName(line)) })
		if len(h["Set-Cookie"]) == 0 {
			delete(h, "Set-Cookie")
		}
	}
	addOwn(h, own)
}

// cookieName returns the name under which a browser sends a cookie of a Set-Cookie line back. A browser sends a cookie without a name as
// its value alone (RFC 6265bis §5.8.3), and so =session=x as session=x.
func cookieName(line string) string {
	pair, _, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	if name = strings.TrimSpace(name); name == "" {
		name, _, _ = strings.Cut(value, "=")
	}
	return strings.TrimSpace(name)
}

// addOwn adds the decision's headers to h, in which they replace others of their names, except for Set-Cookie. A response with such headers
// is for one user, so it must not be cached.
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
