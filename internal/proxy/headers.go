package proxy

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/auth"
)

// maxHeaderValue is the longest header that is made of a claim, in bytes.
const maxHeaderValue = 8 << 10

// removedNames say who a request is for or what a proxy knows of it: no client may set them, on any route. The upstream
// may read - _ and . alike, so they are removed in every spelling.
var removedNames = []string{
	"X-Anonymous-Consumer", "Remote-User", "Proxy", "Forwarded", "X-Real-Ip", "X-Request-Id",
	"X-Original-Url", "X-Rewrite-Url", // some upstreams read another path than the judged one from them
	"X-Client-Cert", "X-Client-Certificate", "Client-Cert", "Client-Cert-Chain", "X-Amzn-Mtls-Clientcert", "X-Arr-Clientcert",
}

var removedPrefixes = []string{
	"X-Consumer-", "X-Credential-", "X-Authenticated-", "Session-", "X-Forwarded-", "X-Ssl-Client-", "Ssl-Client-", "X-Amzn-Mtls-",
}

// methodOverrides make an upstream run another method than the one that was judged.
var methodOverrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// A nameSet holds header names folded: upper case, and one sign for - _ and . alike.
type nameSet struct {
	names    map[string]struct{}
	prefixes []string
}

// newNameSet is the union of all names that any route of the process may set: a name that means something on one route
// must not pass on the next, which may lead to the same upstream.
func newNameSet(routes []*Route) *nameSet {
	s := &nameSet{names: map[string]struct{}{}}
	add := func(names ...string) {
		for _, n := range names {
			s.names[fold(n)] = struct{}{}
		}
	}
	add(removedNames...)
	for _, p := range removedPrefixes {
		s.prefixes = append(s.prefixes, fold(p))
	}
	for _, r := range routes {
		for _, m := range r.Headers.mappings() {
			add(m.Header)
		}
		add(r.Headers.UpstreamIDTokenHeader)
		if name, _ := r.Headers.accessTokenHeader(); name != "Authorization" {
			add(name)
		}
		for _, rule := range r.Rules {
			if len(rule.Methods) > 0 {
				add(methodOverrides...)
			}
		}
	}
	delete(s.names, "")
	return s
}

func fold(name string) string { return string(appendFolded(nil, name)) }

func appendFolded(b []byte, name string) []byte {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z':
			b = append(b, c-'a'+'A')
		case c == '_' || c == '.':
			b = append(b, '-')
		default:
			b = append(b, c)
		}
	}
	return b
}

func (s *nameSet) has(name string) bool {
	var buf [64]byte
	folded := appendFolded(buf[:0], name)
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

// mappings are both spellings of the claims that become headers.
func (h *HeaderSettings) mappings() []HeaderMapping {
	all := append([]HeaderMapping(nil), h.UpstreamHeaders...)
	for i, name := range h.UpstreamHeadersNames {
		all = append(all, HeaderMapping{Header: name, Path: []string{h.UpstreamHeadersClaims[i]}})
	}
	return all
}

// accessTokenHeader splits header:scheme.
func (h *HeaderSettings) accessTokenHeader() (name, scheme string) {
	if h.UpstreamAccessTokenHeader == nil {
		return "", ""
	}
	name, scheme, _ = strings.Cut(*h.UpstreamAccessTokenHeader, ":")
	if strings.EqualFold(scheme, "bearer") {
		scheme = "Bearer"
	}
	return textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-")), scheme
}

// A headerPlan is what a route does to the headers on their way to the upstream, made at load.
type headerPlan struct {
	removed       *nameSet
	cookies       *cookieSet
	tokenHeader   string
	tokenPrefix   string // "Bearer "
	idTokenHeader string
	mappings      []HeaderMapping
}

func newHeaderPlan(r *Route, removed *nameSet, cookies *cookieSet) (*headerPlan, error) {
	p := &headerPlan{removed: removed, cookies: cookies, idTokenHeader: canonical(r.Headers.UpstreamIDTokenHeader)}
	scheme := ""
	if p.tokenHeader, scheme = r.Headers.accessTokenHeader(); scheme != "" {
		p.tokenPrefix = scheme + " "
	}
	for _, m := range r.Headers.mappings() {
		if canonical(m.Header) == "Authorization" {
			return nil, fmt.Errorf("upstream_headers: Authorization carries the access token: see upstream_access_token_header")
		}
		p.mappings = append(p.mappings, HeaderMapping{canonical(m.Header), m.Path})
	}
	return p, nil
}

func canonical(name string) string {
	return textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// strip removes from h, in one pass, what a client may not say. keepAuthorization is for auth: off.
func (p *headerPlan) strip(h http.Header, keepAuthorization bool) {
	for name := range h {
		if name == "Authorization" && !keepAuthorization || p.removed.has(name) {
			delete(h, name)
		}
	}
	p.stripCookies(h)
}

// stripCookies takes the gate's own cookies out and leaves the others as they are.
func (p *headerPlan) stripCookies(h http.Header) {
	lines, found := h["Cookie"]
	if !found {
		return
	}
	var kept []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.TrimSpace(part)
			name, _, _ := strings.Cut(part, "=")
			if part != "" && !p.cookies.has(strings.TrimSpace(name)) {
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

// set adds what the identity proves. in is the client's header, of which an equal line is reused rather than built again.
// refused are the headers that a claim would have made wrong.
func (p *headerPlan) set(h, in http.Header, i *auth.Identity) (refused []string) {
	if i == nil {
		return nil
	}
	if p.tokenHeader != "" && i.Tokens.AccessToken != "" {
		h[p.tokenHeader] = p.tokenLine(in[p.tokenHeader], i.Tokens.AccessToken)
	}
	if p.idTokenHeader != "" && i.Tokens.IDToken != "" {
		h[p.idTokenHeader] = []string{i.Tokens.IDToken}
	}
	for _, m := range p.mappings {
		claim, found := i.Lookup(m.Path)
		if !found || claim == nil {
			continue
		}
		value, ok := headerValue(claim)
		if !ok {
			refused = append(refused, m.Header)
			continue
		}
		h[m.Header] = []string{value}
	}
	return refused
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

// headerValue writes a claim as a header's value: a string as it is, a number or boolean as JSON, anything else as base64
// of JSON. ok is false for what no header can hold or should: controls, broken UTF-8, more than maxHeaderValue bytes.
func headerValue(claim any) (value string, ok bool) {
	value, scalar := auth.Scalar(claim)
	if !scalar {
		b, err := json.Marshal(claim)
		if err != nil {
			return "", false
		}
		value = base64.StdEncoding.EncodeToString(b)
	}
	if len(value) > maxHeaderValue || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return "", false
	}
	return value, true
}
