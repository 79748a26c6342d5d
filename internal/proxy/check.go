package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/clientcert"
)

// Check reports what is wrong with the settings of a route, by key.
func (s *RouteSettings) Check(c check.Checker) {
	r := s.CheckContext()
	c.Paths(s.Paths, r.Literal, false, false)
	c.Each("hosts", s.Hosts, check.Host)
	c.One("public_url", s.PublicURL, check.Origin)
	r.CheckPublicURL(c)
	u := &s.Upstream
	u.checkTargets(c)
	c.PEM("upstream.ca_file", u.CAFile)
	c.One("upstream.server_name", u.ServerName, check.ServerName)
	u.checkCertificate(c)
	if !u.SSLVerify && c.IsSet("upstream.ssl_verify") {
		c.Warn("upstream.ssl_verify", "the upstream's certificate isn't verified: anyone on the network path can impersonate the upstream")
	}
}

// checkCertificate reads the certificate by which the gate authenticates to the upstream.
func (s *UpstreamSettings) checkCertificate(c check.Checker) {
	const cert, key = "upstream.client_cert_file", "upstream.client_key_file"
	switch {
	case s.ClientCertFile == "" && s.ClientKeyFile == "":
	case s.ClientKeyFile == "":
		c.Complain(cert, "it needs its key: add client_key_file")
	case s.ClientCertFile == "":
		c.Complain(key, "it needs its certificate: add client_cert_file")
	case s.scheme() != "https":
		c.Complain(cert, "a certificate is sent over TLS only: write an upstream with https://, or take it out")
	default:
		if _, err := (clientcert.Files{Cert: s.ClientCertFile, Key: s.ClientKeyFile}).Load(); err != nil {
			c.Complain(cert, "the certificate and its key can't be used: %v", err)
		}
	}
}

// CheckContext returns the settings of the route that the checks of other packages need.
func (s *RouteSettings) CheckContext() check.Route {
	return check.Route{Hosts: s.Hosts, Paths: s.Paths, PublicURL: s.PublicURL, Literal: s.Literal}
}

// Check reports what is wrong with the headers, by key. replayed are the headers of token responses that the client receives, too.
func (h *HeaderSettings) Check(c check.Checker, replayed []check.SentHeader) {
	up, down := h.SentUpstream(), h.SentDownstream()
	checkSent(c, up, checkClaimHeader, checkUpstreamHeader)
	checkSent(c, down, check.ResponseHeader, checkResponseToken)
	c.SentOnce(up)
	c.SentOnce(append(down, replayed...))
	if h.Upstream.RefreshTokenHeader != "" {
		c.Warn("upstream_refresh_token_header",
			"anyone who can read the upstream's requests can get tokens for as long as the refresh token is valid")
	}
	name, _ := splitScheme(h.UpstreamAccessTokenHeader)
	c.Must("upstream_dpop", !h.UpstreamDPoP || name == "Authorization",
		"a proof belongs to the access token in Authorization, and the upstream doesn't get it there: "+
			"take upstream_access_token_header out")
	h.AssertionSettings.check(c)
	for prefix, headers := range h.byPrefix() {
		names, claims := prefix+"headers_names", prefix+"headers_claims"
		c.Aligned(names, len(headers.HeadersNames), claims, len(headers.HeadersClaims))
		c.Each(claims, headers.HeadersClaims, check.NotEmpty)
	}
}

// byPrefix returns the headers of both directions by the prefix of their settings.
func (h *HeaderSettings) byPrefix() map[string]*IdentityHeaders {
	return map[string]*IdentityHeaders{"upstream_": &h.Upstream, "downstream_": &h.Downstream}
}

// SentUpstream returns the headers that the upstream receives.
func (h *HeaderSettings) SentUpstream() []check.SentHeader {
	var all []check.SentHeader
	if h.UpstreamAccessTokenHeader != nil {
		all = append(all, check.SentHeader{Key: "upstream_access_token_header", Name: *h.UpstreamAccessTokenHeader})
	}
	all = append(all, check.SentHeader{Key: "upstream_assertion_header", Name: h.UpstreamAssertionHeader})
	all = append(all, sentSession("session_request_headers", h.SessionRequestHeaders)...)
	return append(all, h.Upstream.sent("upstream_")...)
}

// SentDownstream returns the headers that the client receives.
func (h *HeaderSettings) SentDownstream() []check.SentHeader {
	all := []check.SentHeader{{Key: "downstream_access_token_header", Name: h.DownstreamAccessTokenHeader}}
	all = append(all, sentSession("session_response_headers", h.SessionResponseHeaders)...)
	return append(all, h.Downstream.sent("downstream_")...)
}

// sent returns the headers that are sent. The keys of the settings begin with prefix.
func (h *IdentityHeaders) sent(prefix string) (all []check.SentHeader) {
	for _, k := range h.identityFields() {
		all = append(all, check.SentHeader{Key: prefix + k.key, Name: k.header})
	}
	all = append(all, check.SentHeader{Key: prefix + "session_id_header", Name: h.SessionIDHeader})
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

// checkMappings checks the paths of claims that become headers.
func checkMappings(c check.Checker, key string, mappings []HeaderMapping, l check.Literal) {
	for i, m := range mappings {
		c.ClaimPath(fmt.Sprintf("%s[%d].path", key, i), m.Path, l, false)
	}
}

// CheckClaims checks the claims that become headers. If the route has sessions, a login requests scopes, and CheckClaims warns of claims
// that the issuer leaves out without another scope.
func (h *HeaderSettings) CheckClaims(c check.Checker, l check.Literal, sessions bool, scopes []string) {
	for i, name := range h.UpstreamAssertionClaims {
		at := fmt.Sprintf("upstream_assertion_claims[%d]", i)
		c.Claim(at, []string{name}, "write the top-level claim", l, false)
		checkScope(c, at, name, sessions, scopes)
	}
	for prefix, headers := range h.byPrefix() {
		key := prefix + "headers"
		checkMappings(c, key, headers.Headers, l)
		for i, name := range headers.HeadersClaims {
			at := fmt.Sprintf("%s_claims[%d]", key, i)
			remedy := "for a claim within a claim write " + key + ": [{header: ..., path: [" + check.Dotted(name) + "]}]"
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

// scopeOf maps the standard claims to the scope that requests each (OIDC Core §5.4).
var scopeOf = map[string]string{
	"name": "profile", "family_name": "profile", "given_name": "profile", "middle_name": "profile", "nickname": "profile",
	"preferred_username": "profile", "profile": "profile", "picture": "profile", "website": "profile", "gender": "profile",
	"birthdate": "profile", "zoneinfo": "profile", "locale": "profile", "updated_at": "profile",
	"email": "email", "email_verified": "email", "address": "address", "phone_number": "phone", "phone_number_verified": "phone",
}

// checkScope warns of a claim whose scope isn't requested by a login.
func checkScope(c check.Checker, key, claim string, sessions bool, scopes []string) {
	scope := scopeOf[claim]
	if sessions && scope != "" && !slices.Contains(scopes, scope) {
		c.Warn(key, "%s is a claim of the scope %s (OIDC Core §5.4), and a login doesn't ask for it: add %[2]s to scopes", claim, scope)
	}
}

// checkSent checks each name with checkName, and the name in a header:scheme setting with checkTokenName.
func checkSent(c check.Checker, all []check.SentHeader, checkName, checkTokenName func(string) error) {
	for _, s := range all {
		if strings.HasSuffix(s.Key, "_access_token_header") {
			c.One(s.Key, s.Name, func(text string) error { return checkTokenHeader(text, checkTokenName) })
			continue
		}
		c.One(s.Key, s.Name, checkName)
	}
}

// checkTokenHeader checks header or header:scheme, and the header's name with checkName.
func checkTokenHeader(text string, checkName func(string) error) error {
	name, scheme, found := strings.Cut(text, ":")
	if err := checkName(name); err != nil {
		return err
	}
	if found && !check.IsToken(scheme) {
		return errors.New("expected a header or header:scheme, such as authorization:bearer")
	}
	return nil
}

// checkClaimHeader checks the name of a header for the upstream that doesn't have the access token.
func checkClaimHeader(name string) error {
	if strings.EqualFold(name, "authorization") {
		return errors.New("Authorization carries the access token: see upstream_access_token_header, and choose another header")
	}
	return checkUpstreamHeader(name)
}

// checkUpstreamHeader checks the name of a header for the upstream. The gate overwrites the headers that it sets itself.
func checkUpstreamHeader(name string) error {
	if SetsItself(name) {
		return check.ErrOwnHeader
	}
	return check.Header(name)
}

// checkResponseToken checks the name of the header in which the client receives the access token. It may be Authorization.
func checkResponseToken(name string) error {
	if strings.EqualFold(name, "authorization") {
		return nil
	}
	return check.ResponseHeader(name)
}

// Check reports what is wrong with the settings of refusals, by key.
func (s *ErrorSettings) Check(c check.Checker) {
	c.Each("unauthorized_redirect_uri", s.UnauthorizedRedirectURI, check.Target)
	c.Each("forbidden_redirect_uri", s.ForbiddenRedirectURI, check.Target)
	c.Each("unexpected_redirect_uri", s.UnexpectedRedirectURI, check.Target)
	if s.DisplayErrors {
		c.Warn("display_errors", "internal details are shown to clients: for debugging only")
	}
}
