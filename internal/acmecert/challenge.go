package acmecert

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
)

// A challenge is the answer to the challenge of the order that is under way: one order runs at a time.
type challenge struct {
	Host        string `json:"host"`
	Path        string `json:"path,omitempty"`        // of http-01
	Response    string `json:"response,omitempty"`    // likewise
	Certificate []byte `json:"certificate,omitempty"` // of tls-alpn-01, with its key

	pair *tls.Certificate // of Certificate
}

// challenges answer the challenge of this process's order, or of another replica's. Clients can ask for one without any credential, so a
// store is looked at twice a second at most, whatever they do.
type challenges struct {
	store store
	now   func() time.Time

	mu     sync.Mutex // guards the fields below; it is held while the store is read
	own    *challenge
	seen   *challenge // of another replica, at the last look; nil: there was none
	looked time.Time
}

const (
	lookEvery   = 500 * time.Millisecond
	lookTimeout = 2 * time.Second

	// settle is the time after which all replicas know a challenge.
	settle = lookEvery + 100*time.Millisecond

	challengeLife = 10 * time.Minute // longer than an order may take
)

// offer makes all replicas answer a challenge until withdraw.
func (c *challenges) offer(ctx context.Context, client *acme.Client, host string, asked *acme.Challenge) error {
	own, err := answerTo(client, host, asked)
	if err != nil {
		return err
	}
	c.set(own)
	if !c.store.shared() {
		return nil
	}
	data, err := json.Marshal(own)
	if err == nil {
		err = c.store.put(ctx, challengeName, data, challengeLife)
	}
	if err != nil {
		c.set(nil)
		return err
	}
	select {
	case <-time.After(settle):
		return nil
	case <-ctx.Done():
		c.withdraw(ctx)
		return ctx.Err()
	}
}

// withdraw ends the answers to a challenge.
func (c *challenges) withdraw(ctx context.Context) {
	c.set(nil)
	if !c.store.shared() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	c.store.remove(ctx, challengeName) // on an error it expires by itself
}

// answerTo returns the answer to a challenge.
func answerTo(client *acme.Client, host string, asked *acme.Challenge) (a *challenge, err error) {
	a = &challenge{Host: host}
	if asked.Type == http01 {
		a.Path = client.HTTP01ChallengePath(asked.Token)
		a.Response, err = client.HTTP01ChallengeResponse(asked.Token)
		return a, err
	}
	pair, err := client.TLSALPN01ChallengeCert(asked.Token, host)
	if err != nil {
		return nil, err
	}
	a.pair = &pair
	a.Certificate, err = encodeCertificate(&pair)
	return a, err
}

func (c *challenges) set(own *challenge) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own, c.seen = own, nil
}

// find returns the challenge of an order for a host, or nil if there is none.
func (c *challenges) find(ctx context.Context, host string) *challenge {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != nil && c.own.Host == host {
		return c.own
	}
	if c.store.shared() && c.now().Sub(c.looked) >= lookEvery {
		c.looked = c.now() // before the look, so that a slow one isn't taken for a later one
		if seen, err := c.look(context.WithoutCancel(ctx)); err == nil {
			c.seen = seen
		}
	}
	if c.seen != nil && c.seen.Host == host {
		return c.seen
	}
	return nil
}

// look reads the challenge of another replica.
func (c *challenges) look(ctx context.Context) (*challenge, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	data, err := c.store.get(ctx, challengeName)
	if errors.Is(err, errAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := &challenge{}
	if err := json.Unmarshal(data, found); err != nil {
		return nil, err
	}
	if len(found.Certificate) > 0 {
		pair, err := tls.X509KeyPair(found.Certificate, found.Certificate)
		if err != nil {
			return nil, err
		}
		found.pair = &pair
	}
	return found, nil
}
