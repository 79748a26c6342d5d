package acmecert

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// A Config configures a Certifier.
type Config struct {
	Settings                  // Hosts isn't used: see Keep
	Now      func() time.Time // default time.Now
	Log      *slog.Logger
}

// A Certifier has the certificates of hosts, and keeps them valid. It is safe for concurrent use.
type Certifier struct {
	settings   Settings
	store      store
	orderer    *orderer
	order      func(ctx context.Context, host string) (pair *tls.Certificate, ordered bool, err error)
	challenges *challenges
	now        func() time.Time
	log        *slog.Logger

	ctx  context.Context // of the goroutine that orders, see Keep
	stop context.CancelFunc
	done chan struct{}
	wake chan struct{}
	once sync.Once

	// Only the goroutine that orders uses these, for the log.
	storeErr    string // of the last request to the store
	storeLogged time.Time

	mu    sync.RWMutex // guards hosts
	hosts map[string]held
}

// A held is what a Certifier knows of a host.
type held struct {
	pair    *tls.Certificate // nil: none yet
	renewAt time.Time        // of pair
	unsaved bool             // pair isn't in the store yet
	foreign bool             // pair is of another ACME server
	failure failure          // of the last orders

	unusable string // why the stored certificate can't be used, for the log
}

// due reports whether the host needs a new certificate.
func (h *held) due(now time.Time) bool { return h.pair == nil || !now.Before(h.renewAt) }

// New returns a Certifier that has no hosts yet. It sends no requests.
func New(c Config) (*Certifier, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	s, err := newStore(&c)
	if err != nil {
		return nil, err
	}
	made := newCertifier(c.Settings, s, c.Now, c.Log)
	if made.orderer, err = newOrderer(&c, s, made.challenges, c.Now); err != nil {
		s.close()
		return nil, err
	}
	made.order = made.orderer.order
	return made, nil
}

func newCertifier(settings Settings, s store, now func() time.Time, log *slog.Logger) *Certifier {
	c := &Certifier{
		settings: settings, store: s, challenges: &challenges{store: s, now: now}, now: now, log: log,
		done: make(chan struct{}), wake: make(chan struct{}, 1), hosts: map[string]held{},
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Keep sets the hosts whose certificates are kept valid, and returns at once: a goroutine orders certificates until Stop.
func (c *Certifier) Keep(hosts []string) {
	c.mu.Lock()
	next := make(map[string]held, len(hosts))
	for _, h := range hosts {
		next[h] = c.hosts[h]
	}
	c.hosts = next
	c.mu.Unlock()
	c.once.Do(func() { go c.run() })
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Adopt takes over the certificates of another Certifier, which is stopped, so that clients are served until this one has read or ordered
// its own. Those of another ACME server are due at once.
func (c *Certifier) Adopt(other *Certifier) {
	other.mu.RLock()
	defer other.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for host, h := range other.hosts {
		if h.pair == nil {
			continue
		}
		h = held{pair: h.pair, renewAt: c.renewalOf(h.pair), unsaved: true} // the store may be another one
		if other.settings.Directory != c.settings.Directory {
			h.foreign, h.unsaved, h.renewAt = true, false, c.now()
		}
		c.hosts[host] = h
	}
}

// Stop ends the orders. The certificates are served on.
func (c *Certifier) Stop() {
	c.stop()
	c.once.Do(func() { close(c.done) }) // it never ran
	<-c.done
}

// Close ends the orders and closes the store.
func (c *Certifier) Close() error {
	c.Stop()
	return c.store.close()
}

// Settings returns the settings.
func (c *Certifier) Settings() *Settings { return &c.settings }

// renewalOf returns when a certificate is renewed: renew_before its expiry, and a random time before that, so that not all certificates of
// a machine are renewed at once. A short certificate is renewed after half of its lifetime, and one with a key of another type now.
func (c *Certifier) renewalOf(pair *tls.Certificate) time.Time {
	if keyType(pair) != c.settings.KeyType {
		return c.now()
	}
	before := min(c.settings.RenewBefore, pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore)/2)
	return pair.Leaf.NotAfter.Add(-before - rand.N(before/20+1))
}
