// Package signer has the keys that the gate makes for itself: it signs client assertions with them, publishes their public
// halves, keeps them sealed, and rotates them.
package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/redis"
)

// Settings are the keys: block of the process.
type Settings struct {
	Storage     string         `yaml:"storage" default:"memory" enum:"memory,file,redis"` // memory: new keys at each start, and of its own for each replica
	File        string         `yaml:"file"`                                              // for storage file: written by this process alone
	Redis       redis.Settings `yaml:"redis"`                                             // for storage redis: replicas share the keys
	Secret      []auth.Secret  `yaml:"secret"`                                            // seals what is stored; newest first, 32 bytes or more each
	PublicPath  string         `yaml:"public_path"`                                       // where clients of the gate, such as the issuer, get the public keys; default nowhere but the admin listener
	RotateAfter time.Duration  `yaml:"rotate_after"`                                      // 0: only when asked to
}

// ErrUnavailable says that the keys can't be had: the store is away, or what it holds doesn't open.
var ErrUnavailable = errors.New("the gate's keys can't be had")

// A Signer holds the keys. It is safe for concurrent use.
type Signer struct {
	rotateAfter time.Duration
	store       store
	now         func() time.Time
	log         *slog.Logger

	published singleflight.Group // strangers may ask for the keys

	mu     sync.Mutex // guards what is below, and is held while a key is made: once is enough
	set    *set       // nil before the first use
	read   time.Time
	needed []string // algorithms whose keys are published before one of them signs

	failure  error // of the store, when it was asked last; nil: it answered
	failedAt time.Time
}

// A Config is what a Signer is made from.
type Config struct {
	Settings
	Keyring *keyring.Keyring // made from Settings.Secret; nil for storage memory
	Now     func() time.Time // default time.Now
	Log     *slog.Logger
}

// New returns the signer of the settings. Nothing is read or made yet.
func New(c Config) (*Signer, error) {
	s := &Signer{rotateAfter: c.RotateAfter, now: c.Now, log: c.Log}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	s.store, err = newStore(c)
	return s, err
}

// storeTimeout bounds what a caller waits for the store.
const storeTimeout = 5 * time.Second

// reread is how long a replica may sign with a key that another has rotated: the one before is published, too.
const reread = 30 * time.Second

// Key returns the private key for an algorithm, made if need be.
func (s *Signer) Key(alg string) (*jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.complete(ctx, reread, []string{alg}); err != nil {
		return nil, err
	}
	key := s.set.Current[alg]
	return &key, nil
}

// Ensure makes the keys for those of the algorithms that have none. From now on they are what Public publishes at least: an
// issuer that was shown a set without a key may not ask again for a while, and refuses what the key signs.
func (s *Signer) Ensure(ctx context.Context, algs []string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.needed, s.failure = algs, nil
	return s.complete(ctx, 0, algs)
}

// complete gives the stored set a key for each of the algorithms, and new keys to a set that is old, unless what was read is
// younger than age and complete. Of the replicas that do so at the same time one is first, and the others take its keys. A
// store that has failed is left alone for a while, so that callers don't wait for it one after the other.
func (s *Signer) complete(ctx context.Context, age time.Duration, algs []string) error {
	if s.failure != nil && s.now().Sub(s.failedAt) < pause {
		return s.known(algs)
	}
	for range attempts {
		if err := s.load(ctx, age); err != nil {
			return err
		}
		next, err := s.next(algs)
		if err != nil || next == s.set {
			return err
		}
		if err := s.save(ctx, next); err != nil && !errors.Is(err, errChanged) {
			return err
		}
	}
	return fmt.Errorf("%w: they kept changing", ErrUnavailable)
}

// pause is how long a store that has failed is left alone.
const pause = 3 * time.Second

// known returns nil if what was read last has a key for each of the algorithms, else why the store could not be asked.
func (s *Signer) known(algs []string) error {
	if s.set == nil || slices.ContainsFunc(algs, func(alg string) bool { return !s.set.has(alg) }) {
		return s.failure
	}
	return nil
}

// attempts is how often a change is tried again that another replica was quicker to make.
const attempts = 5

// next returns the set that should be stored: the one that is, if nothing is missing.
func (s *Signer) next(algs []string) (*set, error) {
	if s.rotateAfter > 0 && len(s.set.Current) > 0 && s.now().Sub(s.set.Rotated) >= s.rotateAfter {
		s.log.Info("the gate's keys are rotated, because they are older than rotate_after")
		return s.set.rotated(s.now(), algs)
	}
	return s.set.with(s.now(), algs)
}

// load reads the stored keys, if what was read is older than age.
func (s *Signer) load(ctx context.Context, age time.Duration) error {
	if s.set != nil && s.now().Sub(s.read) < age {
		return nil
	}
	stored, err := s.store.load(ctx)
	s.note(err)
	switch {
	case err != nil && s.set != nil:
		s.log.Warn("the gate's keys can't be read anew: the ones before are used", "error", err)
	case err != nil:
		return err
	default:
		s.set = stored
	}
	s.read = s.now()
	return nil
}

// save stores a set in the place of the one that was read. If that isn't there any more the error is errChanged, and the
// set is read anew.
func (s *Signer) save(ctx context.Context, next *set) error {
	err := s.store.save(ctx, s.set, next)
	switch {
	case errors.Is(err, errChanged):
		s.read = time.Time{}
		return err
	case err == nil:
		s.set, s.read = next, s.now()
	}
	s.note(err)
	return err
}

// note remembers how the store answered.
func (s *Signer) note(err error) { s.failure, s.failedAt = err, s.now() }

// Rotate makes a new key for each algorithm that is in use. The ones before are published for as long as they are the ones
// before.
func (s *Signer) Rotate(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range attempts {
		if err := s.load(ctx, 0); err != nil {
			return err
		}
		next, err := s.set.rotated(s.now(), s.needed)
		if err != nil {
			return err
		}
		if err := s.save(ctx, next); !errors.Is(err, errChanged) {
			return err
		}
	}
	return fmt.Errorf("%w: they kept changing", ErrUnavailable)
}

// Public returns the public keys as they are published (RFC 7517 §5), those before the last rotation among them; what Ensure
// could not make is made first. With an error the set holds the keys that there are, and isn't all that it should be. All
// who ask at the same time wait for one look into the store: a crowd of them holds up nobody who signs. The set is shared: it
// isn't to be changed.
func (s *Signer) Public(ctx context.Context) (*jose.JSONWebKeySet, error) {
	public, err, _ := s.published.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		return s.public(ctx)
	})
	return public.(*jose.JSONWebKeySet), err
}

func (s *Signer) public(ctx context.Context) (*jose.JSONWebKeySet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.complete(ctx, 0, s.needed)
	if s.set == nil {
		return &jose.JSONWebKeySet{}, err
	}
	return s.set.public(), err
}

// Close ends the store's connections.
func (s *Signer) Close() error { return s.store.close() }
