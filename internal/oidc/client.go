package oidc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
)

// A Client is what the gate is to one issuer: an identifier, how it proves it, and the answers that it was given. It is
// safe for concurrent use; routes with equal settings share it.
type Client struct {
	ID     string
	issuer *Issuer
	http   *http.Client // with the client's certificate, where it has one

	secret    auth.Secret
	auth      string // configured client_auth; empty: by metadata
	alg       string // of assertions; empty: HS256 or RS256
	jwk       *jose.JSONWebKey
	keys      KeySource
	assertion *assertionFile

	certificates map[jose.HeaderKey]any // of jwk, for the header of assertions
	certificate  bool                   // http proves the client by TLS

	idTokenAlg string
	hashKey    []byte
	settings   Settings

	introspected *cache.Cache[*Introspection] // nil where they aren't kept
	userinfos    *cache.Cache[*Userinfo]
	tokens       *cache.Cache[*TokenResponse]
	refreshed    *cache.Cache[*TokenResponse] // by refresh tokens, which may be good for one use: never asked for ahead
	exchanged    *cache.Cache[*TokenResponse]
	replaced     *cache.Cache[*TokenResponse] // by token_exchange_endpoint
	resolved     *cache.Cache[auth.Claims]    // that were elsewhere
}

// A KeySource returns the private key with which the gate signs by alg: one that it made and publishes.
type KeySource func(alg string) (*jose.JSONWebKey, error)

// ClientConfig is what Clients are made from.
type ClientConfig struct {
	Settings
	Issuer  *Issuer
	HashKey []byte                         // of the keys of kept answers: a secret of this process, or of the replicas that share them
	Keys    KeySource                      // nil: the gate makes no keys
	Shared  func(use string) *cache.Shared // where replicas share answers; nil, or nil for a use: they don't
}

// NewClients returns the clients of the settings, by the index of client_id.
func NewClients(c ClientConfig) ([]*Client, error) {
	var all []*Client
	for n := range c.ClientID {
		client, err := newClient(c, n)
		if err != nil {
			return nil, err
		}
		all = append(all, client)
	}
	return all, nil
}

func newClient(c ClientConfig, n int) (*Client, error) {
	client := &Client{
		ID: c.ClientID[n], issuer: c.Issuer, http: c.Issuer.http, secret: At(c.ClientSecret, n), auth: At(c.ClientAuth, n),
		alg: At(c.ClientAlg, n), keys: c.Keys, hashKey: hashKey(c), idTokenAlg: c.IDTokenSignedResponseAlg, settings: c.Settings,
	}
	if file := At(c.ClientAssertionFile, n); file != "" {
		client.assertion = &assertionFile{name: file}
	}
	if jwk := At(c.ClientJWK, n); jwk.Kty != "" {
		key, err := jwk.private()
		if err != nil {
			return nil, fmt.Errorf("client_jwk: %w", err)
		}
		client.jwk, client.certificates = key, jwk.certificates()
	}
	if c.TLSClientAuthCertFile != "" {
		if err := client.useCertificate(c.Settings); err != nil {
			return nil, err
		}
	}
	client.keepAnswers(c)
	return client, nil
}

// At is the entry of a list for the client n: a list without that index counts with its first entry.
func At[T any](list []T, n int) (zero T) {
	switch {
	case n < len(list):
		return list[n]
	case len(list) > 0:
		return list[0]
	}
	return zero
}

// useCertificate lets the client prove itself by TLS. The files are read for each connection: they are renewed while the
// gate runs.
func (c *Client) useCertificate(s Settings) error {
	read := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(s.TLSClientAuthCertFile, s.TLSClientAuthKeyFile)
		return &pair, err
	}
	if _, err := read(); err != nil {
		return fmt.Errorf("tls_client_auth_cert_file: %w", err)
	}
	h := s.HTTPSettings
	h.SSLVerify = h.SSLVerify && s.TLSClientAuthSSLVerify
	var err error
	c.http, err = newHTTPClient(h, read)
	c.certificate = true
	return err
}

const (
	answersBytes = 32 << 20 // of each kind of kept answers, for each client, roughly
	renewAhead   = 10 * time.Second
	maxUnrevoked = time.Minute // how long an answer about a token that can be revoked is kept, unless cache_ttl_max says otherwise
)

func (c *Client) keepAnswers(config ClientConfig) {
	s := config.CacheSettings
	times := cache.Times{TTL: s.CacheTTL, Min: s.CacheTTLMin, Max: s.CacheTTLMax, Negative: s.CacheTTLNeg, Resurrect: s.CacheTTLResurrect}
	revocable := times
	if revocable.Max == 0 {
		revocable.Max = maxUnrevoked
	}
	shared := func(use string) *cache.Shared {
		if config.Shared == nil {
			return nil
		}
		return config.Shared(use)
	}
	if s.CacheIntrospection {
		c.introspected = newCache(c, revocable, shared("introspection"), (*Introspection).size, ErrInactive)
	}
	if s.CacheUserInfo {
		c.userinfos = newCache(c, revocable, shared("userinfo"), (*Userinfo).size, ErrInactive)
	}
	c.resolved = newCache(c, revocable, nil, func(auth.Claims) int { return 2048 }, ErrRefused)
	c.keepExchanged(config, times, shared("exchanged"))
	if s.CacheTokens {
		c.refreshed = newCache(c, times, shared("refreshed"), (*TokenResponse).size, ErrRefused)
		times.Ahead = renewAhead
		c.tokens = newCache(c, times, shared("tokens"), (*TokenResponse).size, ErrRefused)
	}
}

func newCache[V any](c *Client, t cache.Times, shared *cache.Shared, size func(V) int, verdict error) *cache.Cache[V] {
	return cache.New(cache.Config[V]{
		Times: t, Bytes: answersBytes, Size: size, Limit: 2*c.issuer.timeout + time.Second, Now: c.issuer.now, Shared: shared, Away: ErrUnavailable,
		Verdict: func(err error) bool { return errors.Is(err, verdict) },
	})
}

// Issuer is whose client this is.
func (c *Client) Issuer() *Issuer { return c.issuer }

// Extra are parameters and headers of one request besides the ones that the standards and the settings give it.
type Extra struct {
	Args      url.Values
	Header    http.Header
	OwnArgs   bool // in the place of the settings' arguments
	OwnHeader bool // likewise
}

// parts are what an Extra adds to a cache's key: nothing, or three.
func (e Extra) parts() []string {
	if len(e.Args)+len(e.Header) == 0 && !e.OwnArgs && !e.OwnHeader {
		return nil
	}
	var b strings.Builder
	e.Header.Write(&b) // sorted by name
	return []string{e.Args.Encode(), b.String(), fmt.Sprint(e.OwnArgs, e.OwnHeader)}
}

// named pairs the names and values of two aligned settings.
func named(names []string, values []auth.Secret, add func(name, value string)) {
	for i, name := range names {
		add(name, string(values[i]))
	}
}

// post sends a form to an endpoint, with the authentication of our client or of as. What last adds to the header comes
// after it.
func (c *Client) post(ctx context.Context, e endpoint, form url.Values, header http.Header, as *Credentials, last ...func(http.Header)) (*answer, error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	address, err := c.authenticate(m, e, form, header, as)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	for _, add := range last {
		add(r.Header)
	}
	return c.issuer.do(c.http, r)
}
