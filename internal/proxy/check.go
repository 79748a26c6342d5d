package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/check"
)

// Check reports what is wrong with the settings of a route, by key.
func (s *RouteSettings) Check(c check.Checker) {
	r := s.CheckContext()
	c.Paths(s.Paths, r.Literal, false, false)
	c.Each("hosts", s.Hosts, check.Host)
	c.One("public_url", s.PublicURL, check.Origin)
	r.CheckPublicURL(c)
	u := &s.Upstream
	c.One("upstream.url", u.URL, func(text string) error { return check.URL(text, "http", "https", "h2c") })
	c.PEM("upstream.ca_file", u.CAFile)
	c.One("upstream.server_name", u.ServerName, check.ServerName)
	if !u.SSLVerify && c.IsSet("upstream.ssl_verify") {
		c.Warn("upstream.ssl_verify", "the upstream's certificate isn't verified: anybody on the way can be the upstream")
	}
}

// CheckContext returns what other rooms' checks know of the route.
func (s *RouteSettings) CheckContext() check.Route {
	return check.Route{Hosts: s.Hosts, Paths: s.Paths, PublicURL: s.PublicURL, Literal: s.Literal}
}

// Check reports what is wrong with the headers, by key. replayed are headers of token responses that the client receives as well.
func (h *HeaderSettings) Check(c check.Checker, replayed []check.SentHeader) {
	up, down := h.SentUpstream(), h.sentDownstream()
	checkSent(c, up, checkClaimHeader, checkUpstreamHeader)
	checkSent(c, down, check.ResponseHeader, checkResponseToken)
	c.SentOnce(up)
	c.SentOnce(append(down, replayed...))
	if h.Upstream.RefreshTokenHeader != "" {
		c.Warn("upstream_refresh_token_header", "whoever reads the upstream's requests can get tokens for as long as the refresh token lives")
	}
	for prefix, headers := range h.byPrefix() {
		names, claims := prefix+"headers_names", prefix+"headers_claims"
		c.Aligned(names, len(headers.HeadersNames), claims, len(headers.HeadersClaims))
		c.Each(claims, headers.HeadersClaims, check.NotEmpty)
	}
}

// byPrefix returns the two directions by the prefix of their settings.
func (h *HeaderSettings) byPrefix() map[string]*IdentityHeaders {
	return map[string]*IdentityHeaders{"upstream_": &h.Upstream, "downstream_": &h.Downstream}
}

// SentUpstream returns the headers that the upstream receives.
func (h *HeaderSettings) SentUpstream() []check.SentHeader {
	var all []check.SentHeader
	if h.UpstreamAccessTokenHeader != nil {
		all = append(all, check.SentHeader{Key: "upstream_access_token_header", Name: *h.UpstreamAccessTokenHeader})
	}
	return append(all, h.Upstream.sent("upstream_")...)
}

func (h *HeaderSettings) sentDownstream() []check.SentHeader {
	token := check.SentHeader{Key: "downstream_access_token_header", Name: h.DownstreamAccessTokenHeader}
	return append([]check.SentHeader{token}, h.Downstream.sent("downstream_")...)
}

// sent returns the headers; prefix begins the settings' keys.
func (h *IdentityHeaders) sent(prefix string) (all []check.SentHeader) {
	for _, k := range h.known() {
		all = append(all, check.SentHeader{Key: prefix + k.key, Name: k.header})
	}
	all = append(all, sentMappings(prefix+"headers", h.Headers)...)
	return append(all, check.Sent(prefix+"headers_names", h.HeadersNames)...)
}

func sentMappings(key string, mappings []HeaderMapping) (all []check.SentHeader) {
	for n, m := range mappings {
		all = append(all, check.SentHeader{Key: fmt.Sprintf("%s[%d].header", key, n), Name: m.Header})
	}
	return all
}

// Check reports what is wrong with the headers that a rule adds, by key.
func (s *RuleHeaderSettings) Check(c check.Checker, l check.Literal) {
	sent := s.Sent()
	checkSent(c, sent, checkClaimHeader, nil)
	c.SentOnce(sent)
	checkMappings(c, "upstream_headers", s.UpstreamHeaders, l)
}

// Sent returns the headers that a rule adds.
func (s *RuleHeaderSettings) Sent() []check.SentHeader {
	return sentMappings("upstream_headers", s.UpstreamHeaders)
}

// checkMappings judges the paths of claims that become headers.
func checkMappings(c check.Checker, key string, mappings []HeaderMapping, l check.Literal) {
	for i, m := range mappings {
		c.ClaimPath(fmt.Sprintf("%s[%d].path", key, i), m.Path, l, false)
	}
}

// CheckClaims judges the claims that become headers. Where sessions are kept, a login asks for scopes, without which the issuer leaves
// some claims out.
func (h *HeaderSettings) CheckClaims(c check.Checker, l check.Literal, sessions bool, scopes []string) {
	for prefix, headers := range h.byPrefix() {
		key := prefix + "headers"
		checkMappings(c, key, headers.Headers, l)
		for i, name := range headers.HeadersClaims {
			at := fmt.Sprintf("%s_claims[%d]", key, i)
			remedy := "where it is a claim within a claim, write " + key + ": [{header: ..., path: [" + check.Dotted(name) + "]}]"
			c.Claim(at, []string{name}, remedy, l, false)
			checkScope(c, at, name, sessions, scopes)
		}
		for i, m := range headers.Headers {
			if len(m.Path) > 0 {
				checkScope(c, fmt.Sprintf("%s[%d].path", key, i), m.Path[0], sessions, scopes)
			}
		}
	}
}

// scopeOf are the standard claims and the scope that asks for each (OIDC Core §5.4).
var scopeOf = map[string]string{
	"name": "profile", "family_name": "profile", "given_name": "profile", "middle_name": "profile", "nickname": "profile",
	"preferred_username": "profile", "profile": "profile", "picture": "profile", "website": "profile", "gender": "profile",
	"birthdate": "profile", "zoneinfo": "profile", "locale": "profile", "updated_at": "profile",
	"email": "email", "email_verified": "email", "address": "address", "phone_number": "phone", "phone_number_verified": "phone",
}

// checkScope warns of a claim that a login doesn't ask for.
func checkScope(c check.Checker, key, claim string, sessions bool, scopes []string) {
	scope := scopeOf[claim]
	if sessions && scope != "" && !slices.Contains(scopes, scope) {
		c.Warn(key, "%s is a claim of the scope %s (OIDC Core §5.4), and a login doesn't ask for it: add %[2]s to scopes", claim, scope)
	}
}

// checkSent judges each name by judge, and those of the settings that take header:scheme by judgeToken.
func checkSent(c check.Checker, all []check.SentHeader, judge, judgeToken func(string) error) {
	for _, s := range all {
		if strings.HasSuffix(s.Key, "_access_token_header") {
			c.One(s.Key, s.Name, func(text string) error { return checkTokenHeader(text, judgeToken) })
			continue
		}
		c.One(s.Key, s.Name, judge)
	}
}

// checkTokenHeader judges header or header:scheme.
func checkTokenHeader(text string, judge func(string) error) error {
	name, scheme, found := strings.Cut(text, ":")
	if err := judge(name); err != nil {
		return err
	}
	if found && !check.IsToken(scheme) {
		return errors.New("expected a header or header:scheme, such as authorization:bearer")
	}
	return nil
}

// checkClaimHeader judges a header towards the upstream that holds something else than the access token.
func checkClaimHeader(name string) error {
	if strings.EqualFold(name, "authorization") {
		return errors.New("Authorization carries the access token: see upstream_access_token_header, and choose another header")
	}
	return checkUpstreamHeader(name)
}

// checkUpstreamHeader judges a header towards the upstream, some of which the gate sets itself, after all others.
func checkUpstreamHeader(name string) error {
	if SetsItself(name) {
		return check.ErrOwnHeader
	}
	return check.Header(name)
}

// checkResponseToken judges the header of the access token towards the client, which may be the one that the client sends it in.
func checkResponseToken(name string) error {
	if strings.EqualFold(name, "authorization") {
		return nil
	}
	return check.ResponseHeader(name)
}

// Check reports what is wrong with how refusals look, by key.
func (s *ErrorSettings) Check(c check.Checker) {
	c.Each("unauthorized_redirect_uri", s.UnauthorizedRedirectURI, check.Target)
	c.Each("forbidden_redirect_uri", s.ForbiddenRedirectURI, check.Target)
	c.Each("unexpected_redirect_uri", s.UnexpectedRedirectURI, check.Target)
	if s.DisplayErrors {
		c.Warn("display_errors", "inner detail is shown to clients: for debugging only")
	}
}
