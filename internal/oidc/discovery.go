package oidc

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Metadata is what an authorization server says of itself (OIDC Discovery §3, RFC 8414 §2), as far as a client of the
// code flow needs it.
type Metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	IssInResponse         bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
}

// Metadata returns the issuer's metadata: the kept one while it is fresh, and while the issuer is down.
func (i *Issuer) Metadata(ctx context.Context) (*Metadata, error) {
	i.mu.RLock()
	m, at, tried, lastErr := i.metadata, i.metadataAt, i.metadataTried, i.metadataErr
	i.mu.RUnlock()
	switch {
	case m != nil:
		if i.since(at) >= metadataLifetime && i.since(tried) >= retryAfterFail {
			go i.share(context.WithoutCancel(ctx), "metadata", i.discover) // nobody waits: the kept one serves
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
	var m Metadata
	err := i.getJSON(ctx, i.documentURL, &m)
	if err == nil {
		err = i.checkMetadata(&m)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.metadataTried, i.metadataErr = i.now(), err
	if err != nil {
		i.log.Warn("discovery failed", "issuer", i.url, "error", err)
		return err
	}
	i.metadata, i.metadataAt = &m, i.now()
	return nil
}

// checkMetadata obeys OIDC Discovery §4.3: the document must be about the issuer that was asked for. A difference of one
// final slash is a difference of spelling, not of authority.
func (i *Issuer) checkMetadata(m *Metadata) error {
	same := strings.TrimSuffix(m.Issuer, "/") == strings.TrimSuffix(i.url, "/")
	if !same && !slices.Contains(i.allowed, m.Issuer) {
		return fmt.Errorf("%w: its metadata names the issuer %q, expected %q: set issuer to that, or add it to issuers_allowed",
			ErrUnavailable, m.Issuer, i.url)
	}
	for _, endpoint := range []string{m.AuthorizationEndpoint, m.TokenEndpoint, m.JWKSURI, m.EndSessionEndpoint} {
		if err := i.checkEndpoint(endpoint); err != nil {
			return err
		}
	}
	if m.JWKSURI == "" {
		return fmt.Errorf("%w: its metadata has no jwks_uri", ErrUnavailable)
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
func (i *Issuer) Warm(ctx context.Context) { i.currentKeys(ctx) }

// since is how long ago t was; a zero t is long ago.
func (i *Issuer) since(t time.Time) time.Duration { return i.now().Sub(t) }
