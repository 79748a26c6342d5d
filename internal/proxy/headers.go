package proxy

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// removedNames say who a request is for or what a proxy knows of it: no client may set them, on any route. The upstream
// may read every sign alike, as CGI does (RFC 3875 §4.1.18), so they are removed in every spelling.
var removedNames = []string{
	"X-Anonymous-Consumer", "Remote-User", "Proxy", "X-Request-Id",
	// another host, scheme or path than the judged one, for upstreams that believe them
	"Forwarded", "X-Forwarded", "X-Host", "X-Host-Override", "X-Original-Host", "X-Http-Host-Override", "X-Scheme", "X-Url-Scheme",
	"X-Original-Proto", "Front-End-Https", "X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "X-Override-Url", "X-Http-Destinationurl",
	"X-Http-Path-Override", "X-Envoy-Original-Path", "X-Envoy-Original-Host", "X-Script-Name", "Script-Name", "Path-Info", "Request-Uri",
	// another client than the one that asked
	"X-Real-Ip", "X-Client-Ip", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip", "X-Original-For", "X-Originating-Ip",
	"X-Remote-Ip", "X-Remote-Addr", "Remote-Addr", "X-Forward-For", "X-Envoy-External-Address",
	"X-Client-Cert", "X-Client-Certificate", "Client-Cert", "Client-Cert-Chain", "X-Amzn-Mtls-Clientcert", "X-Arr-Clientcert",
}

var removedPrefixes = []string{
	"X-Consumer-", "X-Credential-", "X-Authenticated-", "Session-", "X-Forwarded-", "X-Ssl-Client-", "Ssl-Client-", "X-Amzn-Mtls-",
}

// ownNames and ownPrefixes are what the gate tells the upstream of the request and of whom it is for, after everything that is
// configured.
var (
	ownNames = []string{
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Request-Id", "X-Anonymous-Consumer",
		"X-Authenticated-Groups", "X-Authenticated-Scope", "X-Authenticated-Userid",
	}
	ownPrefixes = []string{"X-Consumer-", "X-Credential-"}
)

// SetsItself reports whether a header towards the upstream is the gate's own, in any spelling: no claim may be sent as it.
func SetsItself(name string) bool {
	name = auth.FoldHeader(name)
	return slices.ContainsFunc(ownNames, func(own string) bool { return auth.FoldHeader(own) == name }) ||
		slices.ContainsFunc(ownPrefixes, func(own string) bool { return strings.HasPrefix(name, auth.FoldHeader(own)) })
}

// methodOverrides make an upstream run another method than the one that was judged. They pass where the route's allow says so.
var methodOverrides = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "Method-Override", "Http-Method-Override", "X-Method", "X-Original-Method",
}

// A nameSet holds header names as auth.FoldHeader writes them.
type nameSet struct {
	names    map[string]struct{}
	prefixes []string
}

// newNameSet is the union of all names that any route of the process may set: a name that means something on one route
// must not pass on the next, which may lead to the same upstream. With overrides the methods' names pass.
func newNameSet(routes []*Route, overrides bool) *nameSet {
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
	for _, r := range routes {
		for _, v := range r.allViews() {
			for _, f := range v.Headers.Upstream.fields() {
				add(f.header)
			}
			if name, _ := splitScheme(v.Headers.UpstreamAccessTokenHeader); name != "Authorization" {
				add(name)
			}
		}
		for _, rule := range r.Rules {
			for _, m := range rule.Headers.UpstreamHeaders {
				add(m.Header)
			}
		}
	}
	delete(s.names, "")
	return s
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

// A headerPlan is what a route does to headers on their way to the upstream and back, made at load.
type headerPlan struct {
	removed     *nameSet
	cookies     *cookieSet
	tokenHeader string
	tokenPrefix string // "Bearer "
	upstream    []field
	downstream  []field
}

// tokenSchemes are the schemes with which any route of the process sends an access token as Authorization: what a client sends under
// one of them would look like the gate's.
func tokenSchemes(routes []*Route) (all []string) {
	for _, r := range routes {
		for _, v := range r.allViews() {
			if name, scheme := splitScheme(v.Headers.UpstreamAccessTokenHeader); name == "Authorization" {
				all = append(all, strings.ToLower(strings.TrimSpace(scheme)))
			}
		}
	}
	return all
}

// passes reports whether a client's Authorization is the service's own: one header, of a scheme that the gate neither reads nor sets.
func (r *route) passes(lines []string) bool {
	if len(lines) != 1 || slices.Contains(r.reserved, "") {
		return false
	}
	scheme, _, _ := strings.Cut(lines[0], " ")
	return scheme != "" && !slices.Contains(r.reserved, strings.ToLower(scheme))
}

// stripCookies takes cookies out and leaves the others as they are.
func stripCookies(h http.Header, out func(name string) bool) {
	lines, found := h["Cookie"]
	if !found {
		return
	}
	var kept []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.TrimSpace(part)
			name, _, _ := strings.Cut(part, "=")
			if part != "" && !out(strings.TrimSpace(name)) {
				kept = append(kept, part)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = []string{strings.Join(kept, "; ")}
}

// A cookieSet holds the names of the gate's own cookies, on whatever route: a browser sends a host's cookies to all of
// them, and no upstream may have another route's, or set it.
type cookieSet struct {
	names    map[string]struct{}
	prefixes []string
}

func newCookieSet(routes []*Route) *cookieSet {
	s := &cookieSet{names: map[string]struct{}{}}
	for _, r := range routes {
		for _, n := range r.CookieNames {
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

// tokenLine is the header with the access token: the client's own if that is what it sent.
func (p *headerPlan) tokenLine(sent []string, token string) []string {
	if len(sent) == 1 {
		if own, found := strings.CutPrefix(sent[0], p.tokenPrefix); found && own == token {
			return sent
		}
	}
	return []string{p.tokenPrefix + token}
}
