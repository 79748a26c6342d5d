package oidc

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// discover fetches the metadata and stores it (OIDC Discovery §4).
func (i *Issuer) discover(ctx context.Context) error {
	m, err := i.fetchMetadata(ctx)
	i.metadata.store(m, err)
	if err != nil {
		i.log.Warn("discovery failed", "issuer", i.url, "error", err)
	}
	return err
}

// fetchMetadata fetches and checks the metadata. With using_pseudo_issuer it fetches nothing: the settings have the endpoints.
func (i *Issuer) fetchMetadata(ctx context.Context) (*Metadata, error) {
	m := &Metadata{}
	m.IssuerURL = i.url
	var ignored []ignoredMember
	if !i.settings.UsingPseudoIssuer {
		b, err := i.get(ctx, "metadata", i.documentURL)
		if err != nil {
			return nil, err
		}
		m = &Metadata{raw: b}
		if ignored, err = readMembers(b, m); err != nil {
			return nil, fmt.Errorf("%w: its metadata at %s: %w", ErrUnavailable, i.documentURL, err)
		}
		if err := i.checkMetadata(m, ignored); err != nil {
			return nil, err
		}
	}
	i.logIgnored("metadata", m.applySettings(&i.settings.EndpointSettings, ignored, i.checkEndpoint))
	return m, nil
}

// checkMetadata checks that the document is about the issuer that was asked for (OIDC Discovery §4.3). It tolerates a difference of one
// final slash, which is the same authority. A document for many tenants is about those of issuers_allowed.
func (i *Issuer) checkMetadata(m *Metadata, ignored []ignoredMember) error {
	for _, member := range ignored {
		if member.name == "issuer" {
			return fmt.Errorf("%w: its metadata's issuer: %w: expected %q: "+
				"write using_pseudo_issuer: true and the endpoints to do without metadata",
				ErrNotSetUp, member.reason, i.url)
		}
	}
	same := strings.TrimSuffix(m.IssuerURL, "/") == strings.TrimSuffix(i.url, "/")
	isAllowed := func(a string) bool { return a == m.IssuerURL || tenantOf(a, m.IssuerURL) != "" }
	switch {
	case same && !hasTenants(m.IssuerURL), slices.ContainsFunc(i.settings.IssuersAllowed, isAllowed):
		return nil
	case hasTenants(m.IssuerURL):
		return fmt.Errorf("%w: its metadata is for many tenants: write the issuer of each that may log in into issuers_allowed, "+
			"or %q for all of them", ErrNotSetUp, clip(m.IssuerURL))
	}
	return fmt.Errorf("%w: its metadata names the issuer %q, expected %q: set issuer to that, or add it to issuers_allowed",
		ErrNotSetUp, m.IssuerURL, i.url)
}

// checkEndpoint refuses an endpoint that isn't an absolute URL, and one without TLS of an issuer that is reached over TLS: requests carry
// secrets.
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
