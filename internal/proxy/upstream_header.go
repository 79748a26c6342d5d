package proxy

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// An upstreamHeader is what a decision makes of a request's header on its way to the upstream: the names that are removed, and the
// lines that are set then. It depends on the decision alone, so that it can be sent along with an answer, too.
type upstreamHeader struct {
	plan              *headerPlan
	keepAuthorization bool
	hidden            []auth.Param // the credential, where the upstream doesn't see it
	set               http.Header
	refused           []string // headers that a claim would have made wrong
}

// upstreamHeader computes what becomes of the header in, which the client has sent.
func (d *Decision) upstreamHeader(in http.Header) *upstreamHeader {
	plan, hidden := d.view().plan, d.hidden()
	used := slices.Contains(namesIn(d.used, auth.InHeader), "Authorization")
	h := &upstreamHeader{plan: plan, hidden: hidden, set: make(http.Header, 8)}
	h.keepAuthorization = d.open || used && len(hidden) == 0 || !used && d.Route.passes(in["Authorization"])
	if i := d.Identity; i != nil {
		if plan.tokenHeader != "" && i.Tokens.AccessToken != "" {
			h.set[plan.tokenHeader] = plan.tokenLine(in[plan.tokenHeader], i.Tokens.AccessToken)
		}
		h.refused = setFields(h.set, plan.upstream, i)
		h.refused = append(h.refused, setFields(h.set, d.Rule.fields, i)...)
		setBuiltInToken(h.set, i)
	}
	h.refused = append(h.refused, setGrant(h.set, d.Grant)...)
	d.setForwarded(h.set)
	return h
}

// apply removes and sets in h.
func (u *upstreamHeader) apply(h http.Header) {
	for name := range h {
		if u.removes(name) {
			delete(h, name)
		}
	}
	stripCookies(h, u.removesCookie)
	for name, lines := range u.set {
		h[name] = lines
	}
}

// removes reports whether a header of the client's doesn't go to the upstream.
func (u *upstreamHeader) removes(name string) bool {
	if name == "Authorization" {
		return !u.keepAuthorization
	}
	return u.plan.removed.has(name) ||
		slices.ContainsFunc(u.hidden, func(p auth.Param) bool { return p.In == auth.InHeader && p.Name == name })
}

// removesCookie reports whether a cookie of the client's doesn't go to the upstream.
func (u *upstreamHeader) removesCookie(name string) bool {
	return u.plan.cookies.has(name) ||
		slices.ContainsFunc(u.hidden, func(p auth.Param) bool { return p.In == auth.InCookie && p.Name == name })
}

// hidden returns where the credential stood, if hide_credentials takes it out of there.
func (d *Decision) hidden() []auth.Param {
	if !d.view().Headers.HideCredentials {
		return nil
	}
	return d.used
}

// setForwarded sets how the client reached the gate.
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
