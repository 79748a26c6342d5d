// Package signer makes the gate's own signing keys, with which it signs client assertions. It stores them sealed, publishes their public
// keys and rotates them.
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

// Settings are the keys block of the process file.
type Settings struct {
	// Storage memory makes new keys at each start, and different ones in each replica.
	Storage string         `yaml:"storage" default:"memory" enum:"memory,file,redis"`
	File    string         `yaml:"file" live:"true"` // for storage file; only this process may write it
	Redis   redis.Settings `yaml:"redis"`            // for storage redis; replicas share the keys
	Secret  []auth.Secret  `yaml:"secret"`           // seals the stored keys; the newest first, 32 bytes or more each

	// PublicPath is the path at which authorization servers get the public keys. The admin listener always serves them.
	PublicPath  string        `yaml:"public_path"`
	RotateAfter time.Duration `yaml:"rotate_after"` // 0: only on request
}

// ErrUnavailable means that the keys could not be loaded or stored: the store can't be reached, or its record doesn't open.
var ErrUnavailable = errors.New("the gate's keys can't be loaded or stored")

// A Signer has the keys. It is safe for concurrent use.
type Signer struct {
	rotateAfter time.Duration
	store       store
	now         func() time.Time
	log         *slog.Logger

	published singleflight.Group // any client may request the public keys

	mu     sync.Mutex // guards the fields below; it is held while a key is made, so that each is made once
	set    *set       // nil before the first use
	read   time.Time
	needed []string // algorithms that the published keys must include

	failure  error // of the last request to the store; nil: it succeeded
	failedAt time.Time
}

// A Config configures a Signer.
type Config struct {
	Settings
	Keyring *keyring.Keyring // made from Settings.Secret; nil for storage memory
	Now     func() time.Time // default time.Now
	Log     *slog.Logger
}

// New returns the signer of the settings. It doesn't read or make keys yet.
func New(c Config) (*Signer, error) {
	s := &Signer{rotateAfter: c.RotateAfter, now: c.Now, log: c.Log}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	s.store, err = newStore(c)
	return s, err
}

// storeTimeout is how long a caller waits for the store.
const storeTimeout = 5 * time.Second

// reread is how long a replica may sign with a key that another replica has rotated. That is safe: the previous keys are published too.
const reread = 30 * time.Second

// Key returns the private key for an algorithm. It makes one if there is none.
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

// Ensure makes keys for those of the algorithms that have none. From now on the keys that Public returns include all of them: an
// authorization server that fetched an incomplete set may cache it, and then refuses what the missing key signs.
func (s *Signer) Ensure(ctx context.Context, algs []string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.needed, s.failure = algs, nil
	return s.complete(ctx, 0, algs)
}

// complete adds keys for the algorithms to the stored set, and rotates a set that is too old. It doesn't read the store if the set was read
// within age. Of concurrent replicas one is first, and the others use its keys. After a failure it doesn't use the store for a while, so
// that callers don't wait for it one after the other.
func (s *Signer) complete(ctx context.Context, age time.Duration, algs []string) error {
	if s.failure != nil && s.now().Sub(s.failedAt) < pause {
		return s.withoutStore(algs)
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

// pause is how long the store is not used after a failure.
const pause = 3 * time.Second

// withoutStore returns nil if the set that was read last has a key for each of the algorithms, and the store's error otherwise.
func (s *Signer) withoutStore(algs []string) error {
	if s.set == nil || slices.ContainsFunc(algs, func(alg string) bool { return !s.set.has(alg) }) {
		return s.failure
	}
	return nil
}

// attempts is how often a change is tried that fails because another replica has changed the keys.
const attempts = 5

// next returns the set to store. It returns the current set if nothing is missing.
func (s *Signer) next(algs []string) (*set, error) {
	if s.rotateAfter > 0 && len(s.set.Current) > 0 && s.now().Sub(s.set.Rotated) >= s.rotateAfter {
		s.log.Info("the gate's keys are rotated, because they are older than rotate_after")
		return s.set.rotated(s.now(), algs)
	}
	return s.set.with(s.now(), algs)
}

// load reads the stored keys, unless they were read within age.
func (s *Signer) load(ctx context.Context, age time.Duration) error {
	if s.set != nil && s.now().Sub(s.read) < age {
		return nil
	}
	stored, err := s.store.load(ctx)
	s.note(err)
	switch {
	case err != nil && s.set != nil:
		s.log.Warn("the gate's keys can't be read again: the previous ones are used", "error", err)
	case err != nil:
		return err
	default:
		s.set = stored
	}
	s.read = s.now()
	return nil
}

// save replaces the stored set. It returns errChanged if that is not the set that was read; then the next load reads it again.
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

// note remembers the result of a request to the store.
func (s *Signer) note(err error) { s.failure, s.failedAt = err, s.now() }

// Rotate makes a new key for each algorithm in use. The previous keys are published until the next rotation.
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

// Public returns the public keys to publish (RFC 7517 §5), including those before the last rotation. It first makes the keys that Ensure
// could not make. On an error the set is not nil, but some keys may be missing. Concurrent callers share one request to the store, so that
// they don't delay signing. The set is shared too: the caller must not change it.
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
