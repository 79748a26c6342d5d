// Package oidc is OAuth 2.0 and OpenID Connect as a client: a file per standard. It knows no routes and no cookies.
package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
)

// ErrUnavailable is wrapped by every error that says the authorization server couldn't be asked: it is down, slow, or
// answered with something that it shouldn't. It says nothing about the credential.
var ErrUnavailable = errors.New("the authorization server can't be asked")

const (
	// keysMustRenew is when a request waits for the fetch of the keys, so that no withdrawn key is believed longer.
	keysMustRenew = metadataLifetime + 5*time.Minute

	metadataLifetime = time.Hour       // after it the metadata and keys are fetched anew; the old ones serve until that worked
	retryAfterFail   = 3 * time.Second // between two attempts while nothing is known or a refresh failed
	maxDocument      = 1 << 20         // bytes of a metadata document, key set or token response
)

// An Issuer is one authorization server as this process knows it: its metadata and keys, fetched on demand, kept while
// it is down, and the access tokens that its keys verified. It is safe for concurrent use; routes share it.
type Issuer struct {
	url               string // as configured, without a well-known suffix
	documentURL       string
	allowed           []string // iss values besides the metadata's own
	rediscovery       time.Duration
	leeway            time.Duration
	timeout           time.Duration
	header            http.Header // for discovery and key requests
	endpoints         EndpointSettings
	pseudo            bool          // no metadata is fetched
	unsigned          bool          // signatures aren't verified: insecure
	lenient           bool          // claims aren't judged: insecure
	hmac              []auth.Secret // that may verify, too
	extraKeys         []string      // URLs of key sets besides the issuer's own
	http              *http.Client
	now               func() time.Time
	log               *slog.Logger
	calls             *admission // of calls in flight
	tokens            *tokenCache
	flight            *cache.Flight[string, struct{}]
	renewingMetadata  atomic.Bool           // in the background
	renewingKeys      atomic.Bool           // likewise
	lost              atomic.Pointer[error] // see Lost
	sets              map[string][]key      // by their URLs, as they were fetched; for fetchKeys alone, which runs once at a time
	telling           sync.Mutex            // guards told
	told              map[string]bool       // what the log has said of the issuer's answers
	mu                sync.RWMutex          // guards what is below
	metadata          *Metadata
	metadataAt        time.Time // of the last fetch that worked
	metadataTried     time.Time // of the last fetch
	metadataErr       error     // of the last fetch
	keys              *publicKeys
	keysAt, keysTried time.Time
	keysErr           error
	caused            [origins]time.Time // the last fetch of the keys that a token of each origin caused
}

// Config is what an Issuer is made from.
type Config struct {
	IssuerSettings
	HMAC []auth.Secret    // with enable_hs_signatures: the secrets that verify
	Now  func() time.Time // default time.Now
	Log  *slog.Logger
}

// NewIssuer returns the issuer of the settings. It fetches nothing: an issuer that is down at start is asked again later.
func NewIssuer(c Config) (*Issuer, error) {
	client, err := newHTTPClient(c.HTTPSettings, nil)
	if err != nil {
		return nil, err
	}
	issuer, document := wellKnown(c.IssuerSettings.Issuer)
	header := http.Header{}
	for i, name := range c.DiscoveryHeadersNames {
		header.Set(name, string(c.DiscoveryHeadersValues[i]))
	}
	now := cmpFunc(c.Now, time.Now)
	return &Issuer{
		calls: newAdmission(c.CallsPerClient, c.Timeout, now), flight: cache.NewFlight[string, struct{}](c.Timeout),
		url: issuer, documentURL: document, allowed: c.IssuersAllowed, rediscovery: c.RediscoveryLifetime, leeway: c.Leeway,
		timeout: c.Timeout, header: header, endpoints: c.EndpointSettings, pseudo: c.UsingPseudoIssuer,
		unsigned: !c.VerifySignature, lenient: !c.VerifyClaims, hmac: c.HMAC, extraKeys: c.ExtraJWKSURIs, http: client, now: now,
		log: cmp.Or(c.Log, slog.Default()), tokens: newTokenCache(), sets: map[string][]key{}, told: map[string]bool{},
	}, nil
}

func cmpFunc(f, fallback func() time.Time) func() time.Time {
	if f == nil {
		return fallback
	}
	return f
}

// URL is the configured issuer without a well-known suffix: the name under which sessions remember it.
func (i *Issuer) URL() string { return i.url }

// IssuerOf is the issuer that a configured URL names: itself, or without a well-known suffix.
func IssuerOf(configured string) string {
	issuer, _ := wellKnown(configured)
	return issuer
}

// Host is the issuer's host, the realm of challenges.
func (i *Issuer) Host() string {
	u, err := url.Parse(i.url)
	if err != nil {
		return ""
	}
	return u.Host
}

// wellKnown returns the issuer that a configured URL names and where its metadata lives. A base URL gets the suffix
// appended (OIDC Discovery §4); a complete URL is used as it is, in the inserted form of RFC 8414 §3.1 too.
func wellKnown(configured string) (issuer, document string) {
	const suffix = "/.well-known/openid-configuration"
	for _, name := range []string{suffix, "/.well-known/oauth-authorization-server"} {
		if before, after, found := strings.Cut(configured, name); found {
			return before + after, configured
		}
	}
	return configured, strings.TrimSuffix(configured, "/") + suffix
}

// acceptsIssuer reports whether a token's iss may be verified with this issuer's keys.
func (i *Issuer) acceptsIssuer(iss string, m *Metadata) bool {
	if len(i.allowed) > 0 {
		return slices.Contains(i.allowed, iss)
	}
	return iss == m.Issuer
}

// Document is the metadata as it came, and when; nil before the first fetch that worked.
func (i *Issuer) Document() (document []byte, fetched time.Time) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.metadata == nil {
		return nil, time.Time{}
	}
	return i.metadata.raw, i.metadataAt
}

// PublicKeys are the known keys as they were published; empty before the first fetch that worked.
func (i *Issuer) PublicKeys() []json.RawMessage {
	i.mu.RLock()
	defer i.mu.RUnlock()
	all := []json.RawMessage{}
	if i.keys == nil {
		return all
	}
	for _, k := range i.keys.list {
		all = append(all, json.RawMessage(k.text))
	}
	return all
}

// Forget drops the metadata, the keys and what they verified: the next request fetches them anew.
func (i *Issuer) Forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.metadata, i.metadataAt, i.metadataTried, i.metadataErr = nil, time.Time{}, time.Time{}, nil
	i.keys, i.keysAt, i.keysTried, i.keysErr = nil, time.Time{}, time.Time{}, nil
	i.caused = [origins]time.Time{}
	i.tokens.clear()
}

// renew fetches in the background what is kept and old: one fetch, however many requests find it old.
func (i *Issuer) renew(running *atomic.Bool, name string, fetch func(context.Context) error) {
	if !running.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer running.Store(false)
		i.share(context.Background(), name, fetch)
	}()
}

// share runs fetch once for all callers that ask at the same moment. Its error wraps ErrUnavailable.
func (i *Issuer) share(ctx context.Context, name string, fetch func(context.Context) error) error {
	_, err := i.flight.Do(ctx, name, func(ctx context.Context) (struct{}, error) { return struct{}{}, fetch(ctx) })
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
