// Package signer has the keys that the gate makes for itself: it signs client assertions with them, publishes their public
// halves, keeps them sealed, and rotates them.
package signer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
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

	mu   sync.Mutex // guards what is below, and is held while a key is made: once is enough
	set  *set       // nil before the first use
	read time.Time
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

// A set is all keys, as they are stored. It is immutable: a change is a new value.
type set struct {
	Current  map[string]jose.JSONWebKey `json:"current"` // by algorithm
	Previous map[string]jose.JSONWebKey `json:"previous,omitempty"`
	Rotated  time.Time                  `json:"rotated"`

	record string // as it was stored
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
	for range attempts {
		if err := s.load(ctx, reread); err != nil {
			return nil, err
		}
		key, found := s.set.Current[alg]
		if found && !s.old() {
			return &key, nil
		}
		next := s.set
		if s.old() {
			next = s.set.rotated(s.now())
			s.log.Info("the gate's keys are rotated: they were old enough")
		}
		next, err := next.with(alg)
		if err != nil {
			return nil, err
		}
		if err := s.save(ctx, next); err != nil && !errors.Is(err, errChanged) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: they kept changing", ErrUnavailable)
}

// attempts is how often a change is tried again that another replica was quicker to make.
const attempts = 5

func (s *Signer) old() bool {
	return s.rotateAfter > 0 && len(s.set.Current) > 0 && s.now().Sub(s.set.Rotated) >= s.rotateAfter
}

// load reads the stored keys, if what was read is older than age.
func (s *Signer) load(ctx context.Context, age time.Duration) error {
	if s.set != nil && s.now().Sub(s.read) < age {
		return nil
	}
	stored, err := s.store.load(ctx)
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
	case err == nil:
		s.set, s.read = next, s.now()
	}
	return err
}

// Rotate makes a new key for each algorithm that is in use. The ones before are published for as long as they are the ones
// before.
func (s *Signer) Rotate(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range attempts {
		if err := s.load(ctx, 0); err != nil {
			return err
		}
		next := s.set.rotated(s.now())
		for alg := range s.set.Current {
			var err error
			if next, err = next.with(alg); err != nil {
				return err
			}
		}
		err := s.save(ctx, next)
		if !errors.Is(err, errChanged) {
			return err
		}
	}
	return fmt.Errorf("%w: they kept changing", ErrUnavailable)
}

// Public returns the public keys as they are published (RFC 7517 §5), those before the last rotation among them. All who ask
// at the same time wait for one look into the store: a crowd of them holds up nobody who signs. The set is shared: it isn't
// to be changed.
func (s *Signer) Public(ctx context.Context) (*jose.JSONWebKeySet, error) {
	public, err, _ := s.published.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		return s.public(ctx)
	})
	if err != nil {
		return nil, err
	}
	return public.(*jose.JSONWebKeySet), nil
}

func (s *Signer) public(ctx context.Context) (*jose.JSONWebKeySet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx, 0); err != nil {
		return nil, err
	}
	public := &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, keys := range []map[string]jose.JSONWebKey{s.set.Current, s.set.Previous} {
		for _, alg := range slices.Sorted(maps.Keys(keys)) {
			key := keys[alg]
			public.Keys = append(public.Keys, key.Public())
		}
	}
	return public, nil
}

// Close ends the store's connections.
func (s *Signer) Close() error { return s.store.close() }

func (t *set) rotated(now time.Time) *set {
	return &set{Current: map[string]jose.JSONWebKey{}, Previous: t.Current, Rotated: now}
}

// with returns the set with a key for an algorithm.
func (t *set) with(alg string) (*set, error) {
	if _, found := t.Current[alg]; found {
		return t, nil
	}
	key, err := makeKey(alg)
	if err != nil {
		return nil, err
	}
	next := &set{Current: maps.Clone(t.Current), Previous: t.Previous, Rotated: t.Rotated}
	if next.Current == nil {
		next.Current = map[string]jose.JSONWebKey{}
	}
	next.Current[alg] = *key
	return next, nil
}

// makeKey makes a key for an algorithm (RFC 7518 §3.1, RFC 8037), which is named by its thumbprint (RFC 7638).
func makeKey(alg string) (*jose.JSONWebKey, error) {
	private, err := generate(alg)
	if err != nil {
		return nil, err
	}
	key := &jose.JSONWebKey{Key: private, Algorithm: alg, Use: "sig"}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	return key, nil
}

const rsaBits = 2048

func generate(alg string) (crypto.Signer, error) {
	switch {
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case alg == "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
	if curve == nil {
		return nil, fmt.Errorf("no key can be made for %q", alg)
	}
	return ecdsa.GenerateKey(curve, rand.Reader)
}

// marshal is the set as it is sealed.
func (t *set) marshal() ([]byte, error) { return json.Marshal(t) }

func unmarshal(plain []byte) (*set, error) {
	t := &set{}
	if err := json.Unmarshal(plain, t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return t, nil
}
