package proxy

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// removedNames are headers with an identity, or with a proxy's information about a request. They are removed from every client's request.
// An upstream may treat all punctuation in a name alike, as CGI does (RFC 3875 §4.1.18), so every spelling is removed.
var removedNames = []string{
	"X-Anonymous-Consumer", "Remote-User", "Proxy", "X-Request-Id",
	// another host, scheme or path than the one that was matched, for upstreams that use them
	"Forwarded", "X-Forwarded", "X-Host", "X-Host-Override", "X-Original-Host", "X-Http-Host-Override", "X-Scheme", "X-Url-Scheme",
	"X-Original-Proto", "Front-End-Https", "X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "X-Override-Url", "X-Http-Destinationurl",
	"X-Http-Path-Override", "X-Envoy-Original-Path", "X-Envoy-Original-Host", "X-Script-Name", "Script-Name", "Path-Info", "Request-Uri",
	// another client
	"X-Real-Ip", "X-Client-Ip", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip", "X-Original-For",
	"X-Originating-Ip",
	"X-Original-Client", "X-Remote-Ip", "X-Remote-Addr", "Remote-Addr", "X-Forward-For", "X-Envoy-External-Address",
	"X-Client-Cert", "X-Client-Certificate", "Client-Cert", "Client-Cert-Chain", "X-Amzn-Mtls-Clientcert", "X-Arr-Clientcert",
}

var removedPrefixes = []string{
	"X-Consumer-", "X-Credential-", "X-Authenticated-", "Session-", "X-Forwarded-", "X-Ssl-Client-", "Ssl-Client-", "X-Amzn-Mtls-",
}

// ownNames and ownPrefixes are the headers that the gate itself sets for the upstream. They replace configured headers of these names.
var (
	ownNames = []string{
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Request-Id", "X-Anonymous-Consumer",
		"X-Authenticated-Groups", "X-Authenticated-Scope", "X-Authenticated-Userid",
	}
	ownPrefixes = []string{"X-Consumer-", "X-Credential-"}
)

// SetsItself reports whether the gate itself sets a header for the upstream, in any spelling of its name. No setting may name such a
// header.
func SetsItself(name string) bool {
	name = auth.FoldHeader(name)
	return slices.ContainsFunc(ownNames, func(own string) bool { return auth.FoldHeader(own) == name }) ||
		slices.ContainsFunc(ownPrefixes, func(own string) bool { return strings.HasPrefix(name, auth.FoldHeader(own)) })
}

// methodOverrides are headers with which an upstream runs another method than that of the request. They pass if the route allows it.
var methodOverrides = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "Method-Override", "Http-Method-Override", "X-Method",
	"X-Original-Method",
}

// A nameSet is a set of header names, as auth.FoldHeader writes them.
type nameSet struct {
	names    map[string]struct{}
	prefixes []string
}

// newNameSet returns the headers that are removed from clients' requests. configured are those that the settings of all routes name for
// the upstream, because another route may lead to the same upstream. With overrides, methodOverrides aren't among them.
func newNameSet(configured []string, overrides bool) *nameSet {
	s := &nameSet{names: map[string]struct{}{}}
	add := func(names ...string) {
		for _, n := range names {
			s.names[auth.FoldHeader(n)] = struct{}{}
		}
	}
	add(removedNames...)
	if !overrides {
		add(methodOverrides...)
	}
	for _, p := range removedPrefixes {
		s.prefixes = append(s.prefixes, auth.FoldHeader(p))
	}
	add(configured...)
	delete(s.names, "")
	return s
}

// configuredNames returns the headers besides Authorization that the routes' settings name for the upstream. Some may be empty.
func configuredNames(routes []*Route) (all []string) {
	for _, r := range routes {
		for _, v := range r.allViews() {
			for _, f := range v.Headers.Upstream.fields() {
				all = append(all, f.header)
			}
			all = append(all, v.Headers.Upstream.SessionIDHeader, v.Headers.UpstreamAssertionHeader, v.CertificateHeader)
			if name, _ := splitScheme(v.Headers.UpstreamAccessTokenHeader); name != "Authorization" {
				all = append(all, name)
			}
		}
		for _, rule := range r.Rules {
			for _, m := range rule.Headers.UpstreamHeaders {
				all = append(all, m.Header)
			}
		}
	}
	return all
}

func (s *nameSet) has(name string) bool {
	var buf [64]byte
	folded := auth.AppendFolded(buf[:0], name)
	if _, found := s.names[string(folded)]; found {
		return true
	}
	for _, p := range s.prefixes {
		if len(folded) >= len(p) && string(folded[:len(p)]) == p {
			return true
		}
	}
	return false
}

// A headerPlan has the changes to the headers of a view's requests and responses. It is made at load.
type headerPlan struct {
	removed     *nameSet
	cookies     *cookieSet
	tokenHeader string
	tokenPrefix string // "Bearer "
	dpopForward bool
	dpop        bool // upstream_dpop
	upstream    []field
	downstream  []field

	upstreamSession   []sessionField
	downstreamSession []sessionField
}

// tokenSchemes returns the schemes with which any route sends an access token in Authorization. A client's credential of such a scheme must
// not reach an upstream, which would take it for the gate's.
func tokenSchemes(routes []*Route) (all []string) {
	add := func(scheme string) {
		if !slices.Contains(all, scheme) {
			all = append(all, scheme)
		}
	}
	for _, r := range routes {
		for _, v := range r.allViews() {
			if name, scheme := splitScheme(v.Headers.UpstreamAccessTokenHeader); name == "Authorization" {
				add(strings.ToLower(strings.TrimSpace(scheme)))
			}
			if v.Headers.UpstreamDPoP {
				add("dpop")
			}
		}
	}
	return all
}

// passes reports whether a client's Authorization is for the upstream: one header, of a scheme that the gate neither reads nor sets.
func (r *route) passes(lines []string) bool {
	if len(lines) != 1 || slices.Contains(r.reserved, "") {
		return false
	}
	scheme, _, _ := strings.Cut(lines[0], " ")
	return scheme != "" && !slices.Contains(r.reserved, strings.ToLower(scheme))
}

// stripCookies removes the cookies for which remove is true.
func stripCookies(h http.Header, remove func(name string) bool) {
	lines, found := h["Cookie"]
	if !found {
		return
	}
	if len(lines) == 1 && !strings.Contains(lines[0], ";") { // most often, and without an allocation
		name, _, _ := strings.Cut(lines[0], "=")
		if remove(strings.TrimSpace(name)) || strings.TrimSpace(lines[0]) == "" {
			delete(h, "Cookie")
		}
		return
	}
	var rest []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.TrimSpace(part)
			name, _, _ := strings.Cut(part, "=")
			if part != "" && !remove(strings.TrimSpace(name)) {
				rest = append(rest, part)
			}
		}
	}
	if len(rest) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = []string{strings.Join(rest, "; ")}
}

// A cookieSet is the set of the names of the gate's cookies on all routes. A browser sends the cookies of one route to the others of its
// host, too, and no upstream may receive or set them.
type cookieSet struct {
	names    map[string]struct{}
	prefixes []string
}

func newCookieSet(routes []*Route) *cookieSet {
	s := &cookieSet{names: map[string]struct{}{}}
	for _, r := range routes {
		for _, n := range append(r.Upstream.cookieNames(), r.CookieNames...) {
			s.names[n] = struct{}{}
		}
		for _, p := range r.CookiePrefixes {
			if !slices.Contains(s.prefixes, p) {
				s.prefixes = append(s.prefixes, p)
			}
		}
	}
	return s
}

func (s *cookieSet) has(name string) bool {
	if _, own := s.names[name]; own {
		return true
	}
	return slices.ContainsFunc(s.prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// tokenLine returns the header with the access token. It is the client's own header if that has the same token, under the same scheme or,
// with dpop_forward, under the scheme DPoP.
func (p *headerPlan) tokenLine(sent []string, token string) []string {
	if len(sent) == 1 {
		if own, found := strings.CutPrefix(sent[0], p.tokenPrefix); found && own == token {
			return sent
		}
		if _, own, _ := strings.Cut(sent[0], " "); p.dpopForward && hasScheme(sent, schemeDPoP) && strings.Trim(own, " ") == token {
			return sent
		}
	}
	return []string{p.tokenPrefix + token}
}
