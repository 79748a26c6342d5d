package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
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
	MTLS                     mtlsAliases `json:"mtls_endpoint_aliases"`

	raw json.RawMessage // the document as it came
}

// mtlsAliases are where a client with a certificate goes instead (RFC 8705 §5).
type mtlsAliases struct {
	TokenEndpoint         string `json:"token_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
}

// override puts the configured endpoints in the place of the announced ones.
func (m *Metadata) override(e EndpointSettings) {
	for _, o := range []struct {
		endpoint   *string
		configured string
	}{
		{&m.JWKSURI, e.JWKSEndpoint}, {&m.AuthorizationEndpoint, e.AuthorizationEndpoint}, {&m.TokenEndpoint, e.TokenEndpoint},
		{&m.UserinfoEndpoint, e.UserinfoEndpoint}, {&m.IntrospectionEndpoint, e.IntrospectionEndpoint},
		{&m.RevocationEndpoint, e.RevocationEndpoint}, {&m.EndSessionEndpoint, e.EndSessionEndpoint},
		{&m.MTLS.TokenEndpoint, e.MTLSTokenEndpoint}, {&m.MTLS.IntrospectionEndpoint, e.MTLSIntrospectionEndpoint},
		{&m.MTLS.RevocationEndpoint, e.MTLSRevocationEndpoint},
	} {
		if o.configured != "" {
			*o.endpoint = o.configured
		}
	}
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
		return nil, cmpErr(err, i.metadataErr)
	}
	return i.metadata, nil
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return ErrUnavailable
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
	if !i.pseudo {
		var raw json.RawMessage
		if err := i.getJSON(ctx, i.documentURL, &raw); err != nil {
			return nil, err
		}
		m = &Metadata{raw: raw}
		if err := json.Unmarshal(raw, m); err != nil {
			return nil, fmt.Errorf("%w: its metadata: %w", ErrUnavailable, err)
		}
		if err := i.checkMetadata(m); err != nil {
			return nil, err
		}
	}
	m.override(i.endpoints)
	if m.JWKSURI == "" && len(i.extraKeys) == 0 {
		return nil, fmt.Errorf("%w: its metadata has no jwks_uri: write jwks_endpoint", ErrUnavailable)
	}
	return m, nil
}

// checkMetadata obeys OIDC Discovery §4.3: the document must be about the issuer that was asked for. A difference of one
// final slash is a difference of spelling, not of authority.
func (i *Issuer) checkMetadata(m *Metadata) error {
	same := strings.TrimSuffix(m.Issuer, "/") == strings.TrimSuffix(i.url, "/")
	if !same && !slices.Contains(i.allowed, m.Issuer) {
		return fmt.Errorf("%w: its metadata names the issuer %q, expected %q: set issuer to that, or add it to issuers_allowed",
			ErrUnavailable, m.Issuer, i.url)
	}
	for _, endpoint := range []string{
		m.AuthorizationEndpoint, m.TokenEndpoint, m.JWKSURI, m.UserinfoEndpoint, m.IntrospectionEndpoint, m.RevocationEndpoint,
		m.EndSessionEndpoint, m.MTLS.TokenEndpoint, m.MTLS.IntrospectionEndpoint, m.MTLS.RevocationEndpoint,
	} {
		if err := i.checkEndpoint(endpoint); err != nil {
			return err
		}
	}
	return nil
}

// checkEndpoint refuses what would send a secret in the clear although the issuer is reached over TLS.
func (i *Issuer) checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%w: its metadata has an endpoint that is no URL: %q", ErrUnavailable, endpoint)
	}
	if u.Scheme == "http" && strings.HasPrefix(i.documentURL, "https:") {
		return fmt.Errorf("%w: its metadata has an endpoint without TLS: %q", ErrUnavailable, endpoint)
	}
	return nil
}

// Warm fetches metadata and keys ahead of the first request. What fails is logged, and tried again when it is needed.
func (i *Issuer) Warm(ctx context.Context) error {
	_, _, err := i.currentKeys(ctx)
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
