// Package oidc is an OAuth 2.0 and OpenID Connect client, with a file for each standard, endpoint or type. It knows no routes, flows or
// cookies.
//
// From coreos/go-oidc it takes the type of provider metadata ([gooidc.ProviderConfig]), the names of the algorithms and the scope openid.
// It verifies signatures with go-jose itself, because go-oidc's verifier reads claim names case-insensitively ("ISS" counts as iss),
// refuses tokens for the type of claims that the gate doesn't use, and returns errors as text: a failed fetch of keys (503) would look
// like a bad signature (401).
package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/dpop"
	"sallyport/internal/telemetry"
)

// ErrUnavailable is wrapped by every error that says that the authorization server gave no usable answer: it is down, slow, or its response
// is malformed. Such an error says nothing about the credential.
var ErrUnavailable = errors.New("the authorization server can't be asked")

// maxDocument is the longest response that is read, in bytes: metadata, a key set, tokens or claims.
const maxDocument = 1 << 20

// An Issuer is one authorization server: its settings, the metadata and keys that it publishes, and the access tokens that its keys
// verified. It is safe for concurrent use; routes share it.
type Issuer struct {
	issuerConfig
	calls    *admission
	outage   outage
	logged   onceSet           // what the log already says of the issuer's responses
	nonces   dpop.ServerNonces // for proofs
	metadata *published[Metadata]
	keys     *keyStore
}

// An issuerConfig is what NewIssuer is given. It is immutable.
type issuerConfig struct {
	url         string // the configured issuer, without a well-known suffix
	documentURL string // of its metadata
	settings    IssuerSettings
	header      http.Header   // of requests for metadata and keys
	secrets     []auth.Secret // that verify HMAC signatures; nil: those are refused
	http        *http.Client
	now         func() time.Time
	log         *slog.Logger
	metrics     *telemetry.Issuer
	verified    *telemetry.Cache // of access tokens
	caches      *telemetry.Metrics
}

// Config has the settings of an Issuer.
type Config struct {
	IssuerSettings
	HMAC []auth.Secret    // with enable_hs_signatures: the secrets that verify signatures
	Now  func() time.Time // default time.Now
	Log  *slog.Logger     // default slog.Default

	Metrics *telemetry.Metrics // nil: nothing is counted
}

// NewIssuer returns the issuer of the settings. It sends no request: metadata and keys are fetched when they are needed.
func NewIssuer(c Config) (*Issuer, error) {
	transport, err := newTransport(c.HTTPSettings, nil)
	if err != nil {
		return nil, err
	}
	issuer, document := wellKnown(c.Issuer)
	header := http.Header{}
	eachPair(c.DiscoveryHeadersNames, c.DiscoveryHeadersValues, header.Set)
	now := c.Now
	if now == nil {
		now = time.Now
	}
	i := &Issuer{issuerConfig: issuerConfig{
		url: issuer, documentURL: document, settings: c.IssuerSettings, header: header, secrets: c.HMAC,
		http: newHTTPClient(c.HTTPSettings, transport), now: now,
		log: cmp.Or(c.Log, slog.Default()), metrics: c.Metrics.Issuer(issuer), verified: c.Metrics.Cache("verified_tokens"),
		caches: c.Metrics,
	}}
	i.calls = newAdmission(c.CallsPerClient, c.Timeout, now)
	i.metadata = &published[Metadata]{fetch: i.discover, now: now, flight: newFetchFlight(c.Timeout)}
	i.keys = newKeyStore(i.fetchKeys, c.IssuerSettings, now)
	return i, nil
}

// URL returns the configured issuer without a well-known suffix. Sessions store it as the issuer's name.
func (i *Issuer) URL() string { return i.url }

// Host returns the host of the issuer's URL, which is the realm of challenges.
func (i *Issuer) Host() string {
	u, err := url.Parse(i.url)
	if err != nil {
		return ""
	}
	return u.Host
}

// IssuerOf returns the issuer that a configured URL names: the URL without a well-known suffix.
func IssuerOf(configured string) string {
	issuer, _ := wellKnown(configured)
	return issuer
}

// wellKnown returns the issuer that a configured URL names, and the URL of its metadata. It appends the well-known suffix to a base URL
// (OIDC Discovery §4), and takes a complete URL as it is, also in the form of RFC 8414 §3.1.
func wellKnown(configured string) (issuer, document string) {
	const suffix = "/.well-known/openid-configuration"
	for _, name := range []string{suffix, "/.well-known/oauth-authorization-server"} {
		if before, after, found := strings.Cut(configured, name); found {
			return before + after, configured
		}
	}
	return configured, strings.TrimSuffix(configured, "/") + suffix
}

// acceptsIssuer reports whether this issuer's keys may verify a token with this iss.
func (i *Issuer) acceptsIssuer(iss string, m *Metadata) bool {
	allowed := i.settings.IssuersAllowed
	if len(allowed) == 0 {
		return iss == m.IssuerURL && !hasTenants(iss)
	}
	return slices.ContainsFunc(allowed, func(a string) bool { return iss == a && !hasTenants(a) || tenantOf(iss, a) != "" })
}

// Metadata returns the issuer's metadata. It fetches the document if there is none yet; an old one is renewed in the background, and serves
// as long as the issuer is down.
func (i *Issuer) Metadata(ctx context.Context) (*Metadata, error) { return i.metadata.get(ctx) }

// Document returns the metadata document as it was fetched, and the time of the fetch. It returns nil before the first successful fetch.
func (i *Issuer) Document() (document []byte, fetched time.Time) {
	s := i.metadata.load()
	if s.value == nil {
		return nil, time.Time{}
	}
	return s.value.raw, s.at
}

// KeysFetched returns when the keys were last fetched, or the zero time.
func (i *Issuer) KeysFetched() time.Time { return i.keys.load().at }

// PublicKeys returns the issuer's keys as they were published. It returns an empty list before the first successful fetch.
func (i *Issuer) PublicKeys() []json.RawMessage {
	all := []json.RawMessage{}
	if set := i.keys.load().value; set != nil {
		for _, k := range set.keys {
			all = append(all, json.RawMessage(k.text))
		}
	}
	return all
}

// Forget drops the metadata, the keys, and the tokens that they verified. The next request fetches them anew.
func (i *Issuer) Forget() {
	i.metadata.reset()
	i.keys.reset()
}

// Warm fetches metadata and keys before the first request needs them. What fails is logged, and fetched again on demand. An issuer that
// announces no keys needs none here.
func (i *Issuer) Warm(ctx context.Context) error {
	m, err := i.Metadata(ctx)
	if err != nil {
		return err
	}
	if m.JWKSURL == "" && m.unusable["jwks_endpoint"] == nil && len(i.settings.ExtraJWKSURIs) == 0 {
		return nil
	}
	_, err = i.keys.get(ctx)
	return err
}

// Failure returns why the last fetch of the metadata or the keys failed, or the last call. It returns nil if none failed.
func (i *Issuer) Failure() error { return first(i.metadata.load().err, i.keys.load().err, i.Lost()) }

// Lost returns why the last call to the authorization server failed, or was answered with a gateway's error. It returns nil if the call
// succeeded, or if there was no call yet.
func (i *Issuer) Lost() error { return i.outage.load() }
