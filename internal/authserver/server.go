// Package authserver is the built-in authorization server: OAuth 2.0 with opaque tokens, which only this gate accepts. It stores
// records of the tokens under hashes, in memory or in Redis. So a revoked token is invalid at once, and a reader of the store sees
// no token.
//
// It issues tokens to the configured clients for client_credentials (RFC 6749 §4.4), for an authorization code with PKCE (§4.1, RFC
// 7636) after the user's consent, and for refresh tokens, which are used once each (RFC 9700 §4.14.2). It also has endpoints for
// revocation (RFC 7009), introspection (RFC 7662) and metadata (RFC 8414).
package authserver

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sallyport/internal/attempts"
	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/keyring"
	"sallyport/internal/redis"
)

// A Config configures a Server.
type Config struct {
	Settings
	Keyring *keyring.Keyring // seals records and authenticates handles; default: made from Settings.Secret, else of a generated secret
	Client  *redis.Client    // of Settings.Redis, for storage redis; the caller closes it. Nil for storage memory
	Before  *Server          // after a reload: the former server, whose tokens in memory the new one takes over. Nil at the start
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default slog.Default()
	Audit   *audit.Log       // nil: there is no audit stream

	Fetching Fetching // of the metadata documents of clients
}

// A Server is the authorization server of one process. It is safe for concurrent use.
type Server struct {
	settings Settings
	clients  map[string]*client
	keyring  *keyring.Keyring
	mint     mint
	store    store
	secrets  *secretChecker
	process  *processState
	now      func() time.Time
	log      *slog.Logger
	audit    *audit.Log
}

// A processState is the state that outlives a reload.
type processState struct {
	memory   *memoryStore
	attempts *attempts.Failed
	consents *consents
	tokens   *tokenCache
	secrets  *secretChecker

	documents     *documents
	registrations *attempts.Networks
}

// New returns the authorization server of the settings. It doesn't connect to Redis yet: that may start later.
func New(c Config) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	clients, err := newClients(&c.Settings)
	if err != nil {
		return nil, err
	}
	ring, err := c.keyring()
	if err != nil {
		return nil, err
	}
	a := &Server{
		settings: c.Settings, clients: clients, keyring: ring, mint: mint{c.TokenPrefix, ring}, now: c.Now, log: c.Log, audit: c.Audit,
	}
	if c.Before != nil {
		a.process = c.Before.process
	} else {
		a.process = newProcessState(c.Now, c.Log)
	}
	a.process.documents.reach(c.Fetching)
	a.secrets = a.process.secrets.forClients(clients)
	a.store = a.process.memory
	if c.Client != nil {
		a.store = &redisStore{client: c.Client, prefix: c.Redis.Prefix, keyring: ring, now: c.Now, log: c.Log}
	}
	return a, nil
}

func newProcessState(now func() time.Time, log *slog.Logger) *processState {
	return &processState{
		memory: newMemoryStore(now, log), attempts: attempts.New(now), consents: newConsents(),
		tokens: newTokenCache(now), secrets: newSecretChecker(now),
		documents: newDocuments(now), registrations: attempts.NewNetworks(registrationRate, now),
	}
}

// check returns all problems of the settings as one error.
func (c *Config) check() error {
	var all []error
	list := &check.List{}
	c.Settings.Check(check.Checker{Report: list})
	for _, p := range list.Problems {
		all = append(all, p)
	}
	if (c.Storage == "redis") != (c.Client != nil) {
		all = append(all, errors.New("oauth2.storage: redis needs a Redis client, and memory must have none"))
	}
	return errors.Join(all...)
}

func (c *Config) keyring() (*keyring.Keyring, error) {
	switch {
	case c.Keyring != nil:
		return c.Keyring, nil
	case len(c.Secret) > 0:
		return keyring.New(c.Secret)
	case c.Before != nil:
		return c.Before.keyring, nil
	}
	return keyring.New([]auth.Secret{keyring.Generate()})
}

// Prefix returns the prefix of every access token.
func (a *Server) Prefix() string { return a.settings.TokenPrefix }

// Ping returns an error if the store does not answer.
func (a *Server) Ping(ctx context.Context) error { return a.store.ping(ctx) }

// newAccess returns the record of a new access token whose subject is the client.
func (a *Server) newAccess(c *client, issuer string, grant string) *record {
	now := a.now()
	r := &record{
		Version: recordVersion, Grant: grant, Issuer: issuer, ClientID: c.ClientID, Subject: c.ClientID, Audience: c.Audience,
		Issued: now.Unix(), Expires: now.Add(c.lifetime).Unix(),
	}
	if len(r.Audience) == 0 {
		r.Audience = []string{issuer}
	}
	return r
}
