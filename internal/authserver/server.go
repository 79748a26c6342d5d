// Package authserver is the built-in authorization server: OAuth 2.0 with opaque tokens, which mean something to this gate
// only. It keeps who may do what under hashes of the tokens, in memory or in Redis, so that a token ends at once when it is
// revoked and a reader of the store learns nothing.
//
// It issues tokens to the clients in the configuration for client_credentials (RFC 6749 §4.4), for a code with PKCE (§4.1,
// RFC 7636) after a user's consent, and for refresh tokens, which are used once each (RFC 9700 §4.14.2). It also revokes
// (RFC 7009), introspects (RFC 7662) and describes itself (RFC 8414).
package authserver

import (
	"context"
	"errors"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

// Config is what a Server is made from.
type Config struct {
	Settings
	Keyring *keyring.Keyring // seals records and checks tokens; default: made from Settings.Secret, else of a generated secret
	Client  *goredis.Client  // of Settings.Redis, for storage redis; the caller closes it. Nil for memory
	Before  *Server          // on a reload, the one before: what it holds in memory goes on. Nil at the start
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default slog.Default()
}

// A Server is the authorization server of one process. It is safe for concurrent use.
type Server struct {
	settings Settings
	clients  map[string]*client
	keyring  *keyring.Keyring
	mint     mint
	store    store
	secrets  *secrets
	kept     *kept
	now      func() time.Time
	log      *slog.Logger
}

// kept is what outlives a reload.
type kept struct {
	memory   *memoryStore
	guesses  *guesses
	consents *consents
	facts    *facts
	secrets  *secrets
}

// New returns the issuer of the settings. Redis is not asked yet: it may come up later.
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
	i := &Server{settings: c.Settings, clients: clients, keyring: ring, mint: mint{c.TokenPrefix, ring}, now: c.Now, log: c.Log}
	if c.Before != nil {
		i.kept = c.Before.kept
	} else {
		i.kept = &kept{
			memory: newMemoryStore(c.Now, c.Log), guesses: newGuesses(c.Now), consents: newConsents(), facts: newFacts(c.Now), secrets: newSecrets(c.Now),
		}
	}
	i.secrets = i.kept.secrets.of(clients)
	i.store = i.kept.memory
	if c.Client != nil {
		i.store = &redisStore{client: c.Client, prefix: c.Redis.Prefix, keyring: ring, now: c.Now, log: c.Log}
	}
	return i, nil
}

// check refuses settings with problems, all of them at once.
func (c *Config) check() error {
	var all []error
	for _, p := range c.Settings.Check() {
		all = append(all, p)
	}
	if (c.Storage == "redis") != (c.Client != nil) {
		all = append(all, errors.New("oauth2.storage: redis goes with a client of it, and memory without"))
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

// Prefix is what every access token begins with.
func (a *Server) Prefix() string { return a.settings.TokenPrefix }

// Ping asks whether the store answers.
func (a *Server) Ping(ctx context.Context) error { return a.store.ping(ctx) }

// access returns the record of a new access token.
func (a *Server) access(c *client, issuer string, grant string) *record {
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
