package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Metadata is what an authorization server says of itself (OIDC Discovery §3, RFC 8414 §2), as far as a client needs it.
type Metadata struct {
	Issuer                   string      `json:"issuer"`
	AuthorizationEndpoint    string      `json:"authorization_endpoint"`
	TokenEndpoint            string      `json:"token_endpoint"`
	JWKSURI                  string      `json:"jwks_uri"`
	UserinfoEndpoint         string      `json:"userinfo_endpoint"`
	IntrospectionEndpoint    string      `json:"introspection_endpoint"`
	RevocationEndpoint       string      `json:"revocation_endpoint"`
	EndSessionEndpoint       string      `json:"end_session_endpoint"`
	TokenAuthMethods         []string    `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuthMethods []string    `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuthMethods    []string    `json:"revocation_endpoint_auth_methods_supported"`
	IssInResponse            bool        `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	Scopes                   []string    `json:"scopes_supported"`
	ResponseTypes            []string    `json:"response_types_supported"`
	ResponseModes            []string    `json:"response_modes_supported"`
	CodeChallengeMethods     []string    `json:"code_challenge_methods_supported"`
	IDTokenAlgs              []string    `json:"id_token_signing_alg_values_supported"`
	GrantTypes               []string    `json:"grant_types_supported"`
	MTLS                     mtlsAliases `json:"mtls_endpoint_aliases"`

	raw json.RawMessage  // the document as it came
	bad map[string]error // what is wrong with an announced endpoint that can't be used, by its setting
}

// mtlsAliases are where a client with a certificate goes instead (RFC 8705 §5).
type mtlsAliases struct {
	TokenEndpoint         string `json:"token_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
}

// endpointsOf lists the endpoints that a client uses: the setting that replaces each, its member, and where the two are kept.
var endpointsOf = []struct {
	setting, member string
	address         func(*Metadata) *string
	configured      func(*EndpointSettings) string
}{
	{"jwks_endpoint", "jwks_uri",
		func(m *Metadata) *string { return &m.JWKSURI }, func(s *EndpointSettings) string { return s.JWKSEndpoint }},
	{"authorization_endpoint", "authorization_endpoint",
		func(m *Metadata) *string { return &m.AuthorizationEndpoint }, func(s *EndpointSettings) string { return s.AuthorizationEndpoint }},
	{"token_endpoint", "token_endpoint",
		func(m *Metadata) *string { return &m.TokenEndpoint }, func(s *EndpointSettings) string { return s.TokenEndpoint }},
	{"userinfo_endpoint", "userinfo_endpoint",
		func(m *Metadata) *string { return &m.UserinfoEndpoint }, func(s *EndpointSettings) string { return s.UserinfoEndpoint }},
	{"introspection_endpoint", "introspection_endpoint",
		func(m *Metadata) *string { return &m.IntrospectionEndpoint }, func(s *EndpointSettings) string { return s.IntrospectionEndpoint }},
	{"revocation_endpoint", "revocation_endpoint",
		func(m *Metadata) *string { return &m.RevocationEndpoint }, func(s *EndpointSettings) string { return s.RevocationEndpoint }},
	{"end_session_endpoint", "end_session_endpoint",
		func(m *Metadata) *string { return &m.EndSessionEndpoint }, func(s *EndpointSettings) string { return s.EndSessionEndpoint }},
	{"mtls_token_endpoint", "mtls_endpoint_aliases.token_endpoint",
		func(m *Metadata) *string { return &m.MTLS.TokenEndpoint }, func(s *EndpointSettings) string { return s.MTLSTokenEndpoint }},
	{"mtls_introspection_endpoint", "mtls_endpoint_aliases.introspection_endpoint",
		func(m *Metadata) *string { return &m.MTLS.IntrospectionEndpoint },
		func(s *EndpointSettings) string { return s.MTLSIntrospectionEndpoint }},
	{"mtls_revocation_endpoint", "mtls_endpoint_aliases.revocation_endpoint",
		func(m *Metadata) *string { return &m.MTLS.RevocationEndpoint }, func(s *EndpointSettings) string { return s.MTLSRevocationEndpoint }},
}

// settle puts the configured endpoints in the place of the announced ones, and takes out those that can't be used. odd is what
// was skipped before; the rest of it and what settle takes out are returned, without what a setting replaces.
func (m *Metadata) settle(s *EndpointSettings, odd []skipped, check func(string) error) []skipped {
	m.bad = map[string]error{}
	for _, e := range endpointsOf {
		address, configured := e.address(m), e.configured(s)
		at := slices.IndexFunc(odd, func(s skipped) bool { return s.member == e.member })
		switch {
		case configured != "":
			*address = configured
			if at >= 0 {
				odd = slices.Delete(odd, at, at+1)
			}
		case at >= 0:
			m.bad[e.setting] = odd[at].reason
		case *address != "":
			if err := check(*address); err != nil {
				*address, m.bad[e.setting] = "", err
				odd = append(odd, skipped{e.member, err})
			}
		}
	}
	return odd
}

// require returns the address of the endpoint that a setting replaces, or an error that says why there is none and wraps
// ErrNotSetUp.
func (m *Metadata) require(setting string) (string, error) {
	for _, e := range endpointsOf {
		if e.setting != setting {
			continue
		}
		if address := *e.address(m); address != "" {
			return address, nil
		}
		if err := m.bad[setting]; err != nil {
			return "", fmt.Errorf("%w: its metadata's %s: %w: write %s", ErrNotSetUp, e.member, err, setting)
		}
		return "", fmt.Errorf("%w: its metadata has no %s: write %s", ErrNotSetUp, e.member, setting)
	}
	return "", fmt.Errorf("%w: there is no endpoint %s", ErrUnavailable, setting)
}

// Metadata returns the issuer's metadata: the kept one while it is fresh, and while the issuer is down.
func (i *Issuer) Metadata(ctx context.Context) (*Metadata, error) {
	i.mu.RLock()
	m, at, tried, lastErr := i.metadata, i.metadataAt, i.metadataTried, i.metadataErr
	i.mu.RUnlock()
	switch {
	case m != nil:
		if i.since(at) >= metadataLifetime && i.since(tried) >= retryAfterFail {
			i.renew(&i.renewingMetadata, "metadata", i.discover) // the kept one serves meanwhile
		}
		return m, nil
	case lastErr != nil && i.since(tried) < retryAfterFail:
		return nil, lastErr
	}
	err := i.share(ctx, "metadata", i.discover)
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.metadata == nil {
		return nil, first(err, i.metadataErr, ErrUnavailable)
	}
	return i.metadata, nil
}

// discover fetches the metadata and keeps it.
func (i *Issuer) discover(ctx context.Context) error {
	m, err := i.document(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.metadataTried, i.metadataErr = i.now(), err
	if err != nil {
		i.log.Warn("discovery failed", "issuer", i.url, "error", err)
		return err
	}
	i.metadata, i.metadataAt = m, i.now()
	return nil
}

// document fetches and checks the metadata. An issuer without metadata is what its configuration says.
func (i *Issuer) document(ctx context.Context) (*Metadata, error) {
	m := &Metadata{Issuer: i.url}
	var odd []skipped
	if !i.pseudo {
		b, err := i.get(ctx, i.documentURL)
		if err != nil {
			return nil, err
		}
		m = &Metadata{raw: b}
		if odd, err = readMembers(b, m); err != nil {
			return nil, fmt.Errorf("%w: its metadata at %s: %w", ErrUnavailable, i.documentURL, err)
		}
		if err := i.checkMetadata(m, odd); err != nil {
			return nil, err
		}
	}
	i.tell("metadata", m.settle(&i.endpoints, odd, i.checkEndpoint))
	return m, nil
}

// checkMetadata obeys OIDC Discovery §4.3: the document must be about the issuer that was asked for. A difference of one
// final slash is a difference of spelling, not of authority.
func (i *Issuer) checkMetadata(m *Metadata, odd []skipped) error {
	for _, s := range odd {
		if s.member == "issuer" {
			return fmt.Errorf("%w: its metadata's issuer: %w: expected %q: write using_pseudo_issuer: true and the endpoints to do without metadata",
				ErrNotSetUp, s.reason, i.url)
		}
	}
	same := strings.TrimSuffix(m.Issuer, "/") == strings.TrimSuffix(i.url, "/")
	if !same && !slices.Contains(i.allowed, m.Issuer) {
		return fmt.Errorf("%w: its metadata names the issuer %q, expected %q: set issuer to that, or add it to issuers_allowed",
			ErrNotSetUp, m.Issuer, i.url)
	}
	return nil
}

// checkEndpoint refuses what is no URL, and what would send a secret in the clear although the issuer is reached over TLS.
func (i *Issuer) checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("expected an absolute URL, got %q", clip(endpoint))
	}
	if u.Scheme == "http" && strings.HasPrefix(i.documentURL, "https:") {
		return fmt.Errorf("%q is a URL without TLS", clip(endpoint))
	}
	return nil
}

// Warm fetches metadata and keys ahead of the first request. What fails is logged, and tried again when it is needed.
// An issuer that announces no keys has none to fetch.
func (i *Issuer) Warm(ctx context.Context) error {
	m, err := i.Metadata(ctx)
	if err != nil {
		return err
	}
	if m.JWKSURI == "" && m.bad["jwks_endpoint"] == nil && len(i.extraKeys) == 0 {
		return nil
	}
	_, _, err = i.currentKeys(ctx)
	return err
}

// Lost returns why the last call to the authorization server wasn't answered, or was answered with a gateway's error; nil if it
// was, or there was none.
func (i *Issuer) Lost() error {
	if err := i.lost.Load(); err != nil {
		return *err
	}
	return nil
}

// note remembers for Lost what became of a call.
func (i *Issuer) note(res *http.Response, err error) {
	if err == nil && slices.Contains([]int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, res.StatusCode) {
		err = fmt.Errorf("%s answered %s", res.Request.URL.Path, res.Status)
	}
	switch {
	case err == nil:
		i.lost.Store(nil)
	case !errors.Is(err, context.Canceled): // the caller left
		err = withoutQuery(err)
		i.lost.Store(&err)
	}
}

// since is how long ago t was; a zero t is long ago.
func (i *Issuer) since(t time.Time) time.Duration { return i.now().Sub(t) }
