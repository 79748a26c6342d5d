package acmecert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/authorities"

	"golang.org/x/crypto/acme"
)

// An orderer orders certificates of one ACME server. It is used by one goroutine at a time, which holds the lease of the store.
type orderer struct {
	settings   *Settings
	store      store
	challenges *challenges
	http       *http.Client
	now        func() time.Time

	client *acme.Client // of the registered account; nil before, and after a failure
}

const (
	requestTimeout = 30 * time.Second // of one request to the ACME server
	userAgent      = "sallyport"
	accountLife    = 400 * 24 * time.Hour // after the last order
)

func newOrderer(c *Config, s store, ch *challenges, now func() time.Time) (*orderer, error) {
	client, err := httpClient(c.CAFile)
	return &orderer{settings: &c.Settings, store: s, challenges: ch, http: client, now: now}, err
}

// httpClient returns the client for the ACME server. It uses no proxy of the environment.
func httpClient(caFile string) (*http.Client, error) {
	t := &http.Transport{ForceAttemptHTTP2: true, TLSHandshakeTimeout: requestTimeout, IdleConnTimeout: time.Minute, MaxIdleConns: 2}
	if caFile != "" {
		pool, err := authorities.WithSystem(caFile)
		if err != nil {
			return nil, fmt.Errorf("acme: ca_file: %w", err)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &http.Client{Transport: t, Timeout: requestTimeout}, nil
}

// order orders a certificate for a host (RFC 8555 §7.4). ordered reports whether the server has taken the order, which counts against its
// limits.
func (o *orderer) order(ctx context.Context, host string) (pair *tls.Certificate, ordered bool, err error) {
	defer func() {
		if err != nil {
			o.client = nil // the account may be gone
		}
	}()
	if o.client == nil {
		if o.client, err = o.account(ctx); err != nil {
			return nil, false, err
		}
	}
	order, err := o.client.AuthorizeOrder(ctx, acme.DomainIDs(host))
	if err != nil {
		return nil, false, fmt.Errorf("the new order: %w", err)
	}
	pair, err = o.fulfil(ctx, order, host)
	return pair, true, err
}

// fulfil proves to the server what an order requires, and returns its certificate.
func (o *orderer) fulfil(ctx context.Context, order *acme.Order, host string) (*tls.Certificate, error) {
	for _, url := range order.AuthzURLs {
		if err := o.authorize(ctx, url, host); err != nil {
			return nil, err
		}
	}
	order, err := o.client.WaitOrder(ctx, order.URI)
	if err != nil {
		return nil, fmt.Errorf("the order: %w", err)
	}
	key, err := makeKey(o.settings.KeyType)
	if err != nil {
		return nil, err
	}
	request, err := requestFor(host, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := o.client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	return newCertificate(chain, key, host, o.now())
}

// authorize proves that a host leads to the gate (RFC 8555 §7.5.1).
func (o *orderer) authorize(ctx context.Context, url, host string) error {
	z, err := o.client.GetAuthorization(ctx, url)
	if err != nil {
		return fmt.Errorf("the authorization: %w", err)
	}
	if z.Status == acme.StatusValid { // of an earlier order
		return nil
	}
	n := slices.IndexFunc(z.Challenges, func(c *acme.Challenge) bool { return c.Type == o.settings.Challenge })
	if n < 0 {
		return fmt.Errorf("the ACME server doesn't offer the challenge %s: write another one as acme.challenge", o.settings.Challenge)
	}
	if err := o.challenges.offer(ctx, o.client, host, z.Challenges[n]); err != nil {
		return fmt.Errorf("the challenge: %w", err)
	}
	defer o.challenges.withdraw(ctx)
	if _, err := o.client.Accept(ctx, z.Challenges[n]); err != nil {
		return fmt.Errorf("the challenge: %w", err)
	}
	if _, err := o.client.WaitAuthorization(ctx, url); err != nil {
		return fmt.Errorf("the challenge %s: %w", o.settings.Challenge, err)
	}
	return nil
}

// account returns a client with the account in the store (RFC 8555 §7.3). It makes one if there is none.
func (o *orderer) account(ctx context.Context) (*acme.Client, error) {
	key, err := o.accountKey(ctx)
	if err != nil {
		return nil, err
	}
	client := o.newClient()
	client.Key = key
	account := &acme.Account{}
	if o.settings.Email != "" {
		account.Contact = []string{"mailto:" + o.settings.Email}
	}
	_, err = client.Register(ctx, account, func(string) bool { return o.settings.AgreeTOS })
	if err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return nil, fmt.Errorf("the account: %w", err)
	}
	return client, nil
}

func (o *orderer) newClient() *acme.Client {
	return &acme.Client{DirectoryURL: o.settings.Directory, HTTPClient: o.http, UserAgent: userAgent, RetryBackoff: again}
}

// again returns how long to wait before a request is sent again, or 0 to give up. It gives up if there were too many requests: the
// certifier waits longer.
func again(n int, _ *http.Request, res *http.Response) time.Duration {
	switch {
	case res.StatusCode == http.StatusTooManyRequests || n > 5:
		return 0
	case res.StatusCode == http.StatusBadRequest: // the nonce was too old
		return time.Duration(n) * 50 * time.Millisecond
	}
	return time.Duration(n) * time.Second
}

// accountKey returns the account's key. It stores a new one before the server learns of it.
func (o *orderer) accountKey(ctx context.Context) (crypto.Signer, error) {
	data, err := o.store.get(ctx, accountName)
	if err != nil && !errors.Is(err, errAbsent) {
		return nil, err
	}
	var key crypto.Signer
	if err == nil {
		key, err = decodeKey(data)
	}
	if err != nil {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
		if data, err = encodeKey(key); err != nil {
			return nil, err
		}
	}
	return key, o.store.put(ctx, accountName, data, accountLife) // also of a key that was there: it lives on
}

// Reach sends a request to the ACME server, and returns the URL of its terms of service.
func (c *Certifier) Reach(ctx context.Context) (terms string, err error) {
	directory, err := c.orderer.newClient().Discover(ctx)
	return directory.Terms, err
}
