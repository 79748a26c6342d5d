package proxy

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// An upstreamHeader has the changes to a request's header for the upstream: first some headers are removed, then those in set are set.
type upstreamHeader struct {
	plan              *headerPlan
	keepAuthorization bool
	keepProof         bool         // the proof of DPoP is for the upstream
	hidden            []auth.Param // the parameters that had the credential, if hide_credentials removes them
	set               http.Header
	refused           []string // headers that aren't set, because headerValue refuses the claim
}

// upstreamHeader returns the changes to in, the header that the client sent.
func (d *Decision) upstreamHeader(in http.Header) *upstreamHeader {
	plan, hidden := d.view().plan, d.hidden()
	used := slices.Contains(namesIn(d.credential, auth.InHeader), "Authorization")
	h := &upstreamHeader{plan: plan, hidden: hidden, set: make(http.Header, 8)}
	h.keepAuthorization = d.authOff || used && len(hidden) == 0 || !used && d.Route.passes(in["Authorization"])
	h.keepProof = d.authOff || plan.dpopForward || !used && h.keepAuthorization
	if used && h.keepAuthorization && !h.keepProof {
		h.setBearer(in["Authorization"])
	}
	if i := d.Identity; i != nil {
		switch {
		case i.Tokens.AccessToken == "":
		case plan.proves(i):
			h.set["Authorization"] = []string{"DPoP " + i.Tokens.AccessToken} // rewrite adds the proof
		case plan.tokenHeader != "":
			h.set[plan.tokenHeader] = plan.tokenLine(in[plan.tokenHeader], i.Tokens.AccessToken)
		}
		h.refused = setFields(h.set, plan.upstream, i)
		h.refused = append(h.refused, setFields(h.set, d.Rule.fields, i)...)
		h.refused = append(h.refused, setSessionFields(h.set, plan.upstreamSession, d.session)...)
		setBuiltInToken(h.set, i)
		if d.assertion != "" {
			h.set[canonical(d.view().Headers.UpstreamAssertionHeader)] = []string{d.assertion}
		}
	}
	h.refused = append(h.refused, setGrant(h.set, d.Grant)...)
	d.setForwarded(h.set)
	return h
}

// setBearer sets Authorization with the client's token under the scheme Bearer, if it came under the scheme DPoP: without its proof no
// upstream would take it under that one.
func (u *upstreamHeader) setBearer(sent []string) {
	if hasScheme(sent, schemeDPoP) {
		_, token, _ := strings.Cut(sent[0], " ")
		u.set["Authorization"] = []string{"Bearer " + strings.Trim(token, " ")}
	}
}

// apply changes h.
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

// removes reports whether a header of the client is removed.
func (u *upstreamHeader) removes(name string) bool {
	switch name {
	case "Authorization":
		return !u.keepAuthorization
	case "Dpop":
		return !u.keepProof
	}
	return u.plan.removed.has(name) ||
		slices.ContainsFunc(u.hidden, func(p auth.Param) bool { return p.In == auth.InHeader && p.Name == name })
}

// removesCookie reports whether a cookie of the client is removed.
func (u *upstreamHeader) removesCookie(name string) bool {
	return u.plan.cookies.has(name) ||
		slices.ContainsFunc(u.hidden, func(p auth.Param) bool { return p.In == auth.InCookie && p.Name == name })
}

// hidden returns the parameters that had the credential, if hide_credentials removes them.
func (d *Decision) hidden() []auth.Param {
	if !d.view().Headers.HideCredentials {
		return nil
	}
	return d.credential
}

// setForwarded sets X-Forwarded-* and X-Request-Id.
func (d *Decision) setForwarded(h http.Header) {
	scheme, host, _ := strings.Cut(d.Origin, "://")
	lines := &[...]string{d.Client(), host, scheme, d.ID} // one allocation for four headers
	h["X-Forwarded-For"] = lines[0:1:1]
	h["X-Forwarded-Host"] = lines[1:2:2]
	h["X-Forwarded-Proto"] = lines[2:3:3]
	h["X-Request-Id"] = lines[3:4:4]
	if prefix := d.prefix + d.Route.stripped(d.target.raw); prefix != "" {
		h["X-Forwarded-Prefix"] = []string{prefix}
	}
	if d.interaction != "" {
		h[interactionHeader] = []string{d.interaction}
	}
}
