package oidc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
	"sallyport/internal/clientcert"
)

// A Client is the gate as a client of one issuer: its client_id, its credentials, and the responses that it caches. It is safe for
// concurrent use; routes with equal settings share it.
type Client struct {
	ID     string
	issuer *Issuer
	http   *http.Client                      // with the client's certificate, if it has one
	pool   *clientcert.Pool[*proxyTransport] // of the client's certificate; nil without one

	secret    auth.Secret
	auth      string // client_auth; empty: chosen by the metadata
	alg       string // of assertions; empty: HS256 or RS256
	jwk       *jose.JSONWebKey
	keys      KeySource
	assertion *assertionFile

	decryption   []*jose.JSONWebKey     // client_decryption_jwk
	certificates map[jose.HeaderKey]any // of jwk, for the header of assertions

	idTokenAlgs []string
	hashKey     []byte
	settings    Settings
	caches      clientCaches
}

// A KeySource returns the private key that the gate generated, and publishes, for signatures by alg.
type KeySource func(alg string) (*jose.JSONWebKey, error)

// ClientConfig has the settings of Clients.
type ClientConfig struct {
	Settings
	Issuer  *Issuer
	HashKey []byte                         // the secret in cache keys: of this process, or of the replicas that share caches
	Keys    KeySource                      // nil: the gate generates no keys
	Shared  func(use string) *cache.Shared // the cache that replicas share for a use; nil, or a nil result: none
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
		alg: At(c.ClientAlg, n), keys: c.Keys, hashKey: hashKey(c), idTokenAlgs: c.IDTokenSignedResponseAlg, settings: c.Settings,
		caches: newClientCaches(c),
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
	for i := range c.ClientDecryptionJWK {
		key, err := c.ClientDecryptionJWK[i].private()
		if err != nil {
			return nil, fmt.Errorf("client_decryption_jwk: %w", err)
		}
		client.decryption = append(client.decryption, key)
	}
	if c.TLSClientAuthCertFile != "" {
		if err := client.useCertificate(c.Settings); err != nil {
			return nil, err
		}
	}
	return client, nil
}

// At returns the entry of a list for the client with index n: the first entry if the list has no such index, the zero value if it is empty.
func At[T any](list []T, n int) (zero T) {
	switch {
	case n < len(list):
		return list[n]
	case len(list) > 0:
		return list[0]
	}
	return zero
}

// useCertificate makes the client authenticate by TLS. The files may be renewed while the gate runs.
func (c *Client) useCertificate(s Settings) error {
	h := s.HTTPSettings
	h.SSLVerify = h.SSLVerify && s.TLSClientAuthSSLVerify
	files := clientcert.Files{Cert: s.TLSClientAuthCertFile, Key: s.TLSClientAuthKeyFile}
	pool, err := clientcert.New(files, func(pair *tls.Certificate) (*proxyTransport, error) { return newTransport(h, pair) }, c.issuer.log)
	if err != nil {
		return fmt.Errorf("tls_client_auth_cert_file: %w", err)
	}
	c.http, c.pool = newHTTPClient(h, certificateTransport{pool}), pool
	return nil
}

// Certificate returns the thumbprint of the client's current certificate (x5t#S256, RFC 8705 §3.1); "" without one.
func (c *Client) Certificate() string {
	if c.pool == nil {
		return ""
	}
	return c.pool.Thumbprint()
}

// CertificateExpires returns when the client's certificate expires, or the zero time without one.
func (c *Client) CertificateExpires() time.Time {
	if c.pool == nil {
		return time.Time{}
	}
	return c.pool.Expires()
}

// A certificateTransport sends requests over connections with the current client certificate.
type certificateTransport struct {
	pool *clientcert.Pool[*proxyTransport]
}

func (t certificateTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.pool.Get().RoundTrip(r)
}

// Issuer returns the issuer of the client.
func (c *Client) Issuer() *Issuer { return c.issuer }

// post sends a form to an endpoint. It authenticates the client in as, or the gate's own client if as is nil. Overrides change the header
// at the end, after the authentication.
func (c *Client) post(
	ctx context.Context, e endpoint, form url.Values, header http.Header, as *Credentials, overrides ...func(http.Header),
) (*response, error) {
	r, err := c.newPost(ctx, e, form, header, as, overrides...)
	if err != nil {
		return nil, err
	}
	return c.issuer.do(c.http, e.String(), r)
}

// newPost returns the request of post. Each has an authentication of its own: an assertion is used once.
func (c *Client) newPost(
	ctx context.Context, e endpoint, form url.Values, header http.Header, as *Credentials, overrides ...func(http.Header),
) (*http.Request, error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	address, err := c.authenticate(m, e, form, header, as)
	if err != nil {
		return nil, err
	}
	r, err := newRequest(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	for _, override := range overrides {
		override(r.Header)
	}
	return r, nil
}
