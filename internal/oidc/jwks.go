package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// keysMustRenew is the age from which on a request waits for new keys, so that a withdrawn key is trusted no longer.
	keysMustRenew = documentLifetime + 5*time.Minute

	// retryLostSet is when the keys are fetched again after one of several key sets could not be fetched.
	retryLostSet = time.Minute

	// issuerFetchInterval is the least time between two fetches of keys that tokens from the issuer itself cause, and between two that
	// logout tokens cause.
	issuerFetchInterval = 5 * time.Second
)

// A keySet holds the keys of an issuer as one fetch found them (RFC 7517 §5). It is immutable.
type keySet struct{ keys []key }

// A keyStore keeps the key set of an issuer, and the access tokens that its keys verified.
type keyStore struct {
	published[keySet]
	tokens   *tokenCache
	interval [origins]time.Duration // the least time between two fetches that tokens of each origin cause
	caused   [origins]time.Time     // the last fetch that a token of each origin caused; guarded by mu
	byURL    map[string][]key       // the keys of each key set as last fetched; only fetchKeys uses it, of which one runs at a time
}

func newKeyStore(fetch func(context.Context) error, s IssuerSettings, now func() time.Time) *keyStore {
	return &keyStore{
		published: published[keySet]{fetch: fetch, maxAge: keysMustRenew, now: now, flight: newFetchFlight(s.Timeout)},
		tokens:    newTokenCache(),
		interval: [origins]time.Duration{
			fromRequest: s.RediscoveryLifetime, fromIssuer: issuerFetchInterval, fromLogout: issuerFetchInterval,
		},
		byURL: map[string][]key{},
	}
}

// reset drops the keys and the tokens that they verified.
func (k *keyStore) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state, k.caused = fetchState[keySet]{}, [origins]time.Time{}
	k.tokens.InvalidateAll()
}

// remember caches a token that the current keys verified. A token that other keys verified isn't cached, because those may be withdrawn.
func (k *keyStore) remember(sum tokenSum, t *verifiedToken, by verifiedBy) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if by.set == nil || by.set == k.state.value {
		k.tokens.Set(sum, t.kept())
	}
}

// renewed returns a key set that may verify a token which the set tried did not verify: the current set, if that is another, or one that it
// fetches, unless a token of the same origin has caused a fetch lately. Each origin has an interval of its own, so that tokens in requests
// never delay the verification of tokens that the issuer has just signed.
//
// Own reports whether this call caused the fetch; else the fetch may have begun before the issuer published its new key. If the last fetch
// failed, the token may be good or bad: renewed returns the error, and the next fetch may come sooner.
func (k *keyStore) renewed(ctx context.Context, from origin, tried *keySet) (set *keySet, own bool, err error) {
	set, due, err := k.fetchDue(from, tried)
	if !due {
		return set, false, err
	}
	var began atomic.Bool
	err = k.share(ctx, func(ctx context.Context) error {
		began.Store(true)
		return k.fetchFor(ctx, from, tried)
	})
	return k.load().value, began.Load(), err
}

// fetchFor fetches the keys for a token, unless another fetch has ended since the caller found that one is due.
func (k *keyStore) fetchFor(ctx context.Context, from origin, tried *keySet) error {
	if _, due, err := k.fetchDue(from, tried); !due {
		return err
	}
	err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.caused[from] = k.now()
	return err
}

// fetchDue returns the current key set, why the last fetch failed, and whether a token that the set tried did not verify may cause another
// fetch.
func (k *keyStore) fetchDue(from origin, tried *keySet) (set *keySet, due bool, err error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	s := k.state
	switch {
	case s.value != tried:
		return s.value, false, nil
	case s.err != nil:
		return s.value, k.since(s.tried) >= retryAfterFail, s.err
	}
	return s.value, k.since(k.caused[from]) >= k.interval[from], nil
}

// storeKeys records the end of a fetch. A nil set says that no key set could be fetched: the old keys stay, and grow older. With a set and
// an error, some key sets could not be fetched, and the next fetch comes sooner.
func (k *keyStore) storeKeys(set *keySet, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &k.state
	s.tried, s.err = k.now(), err
	if set == nil {
		return
	}
	if s.value != nil && lostKey(s.value.keys, set.keys) {
		k.tokens.InvalidateAll() // a key that was withdrawn may have verified them
	}
	s.value, s.at = set, k.now()
	if err != nil {
		s.at = s.at.Add(retryLostSet - documentLifetime)
	}
}

// fetchKeys fetches the key sets of the issuer and stores their keys. A key set that can't be fetched counts as it was fetched last, so
// that its failure doesn't lose the keys of the others.
func (i *Issuer) fetchKeys(ctx context.Context) error {
	m, err := i.Metadata(ctx)
	if err != nil {
		return err
	}
	addresses := slices.Clone(i.settings.ExtraJWKSURIs)
	if own, errOwn := m.require("jwks_endpoint"); errOwn == nil {
		addresses = append([]string{own}, addresses...)
	} else if len(addresses) == 0 {
		err = errOwn
	}
	var keys []key
	fetched := false
	for _, address := range addresses {
		set, errSet := i.fetchKeySet(ctx, address)
		if errSet != nil {
			set, err = i.keys.byURL[address], errors.Join(err, errSet)
		} else {
			fetched = true
		}
		i.keys.byURL[address] = set
		keys = append(keys, set...)
	}
	if err != nil {
		i.log.Warn("fetching keys failed", "issuer", i.url, "error", err)
	}
	var set *keySet
	if fetched {
		set = &keySet{keys}
	}
	i.keys.storeKeys(set, err)
	return err
}

// fetchKeySet fetches one key set (RFC 7517 §5). A set without a usable key is an error.
func (i *Issuer) fetchKeySet(ctx context.Context, address string) ([]key, error) {
	b, err := i.get(ctx, "keys", address)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	ignored, err := readMembers(b, &set)
	if err != nil {
		return nil, fmt.Errorf("%w: GET %s: %w", ErrUnavailable, address, err)
	}
	keys, ignoredKeys := parseKeys(set.Keys)
	i.logIgnored(address, append(ignored, ignoredKeys...))
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: the key set %s has no usable key: expected a member keys with one (RFC 7517 §5)",
			ErrUnavailable, address)
	}
	return keys, nil
}

// maxAttempts is how many keys of a set are tried for a token.
const maxAttempts = 10

// verify verifies the signature of jws by the keys that may have signed it, without those of the set tried, which may be nil.
func (s *keySet) verify(jws *jose.JSONWebSignature, tried *keySet) (verifiedBy, error) {
	header := jws.Signatures[0].Header
	attempts := 0
	for _, k := range candidates(s.keys, header.KeyID) {
		if !k.fits(header.Algorithm) || tried != nil && hasKey(tried.keys, k) {
			continue
		}
		if attempts++; attempts > maxAttempts {
			break
		}
		if _, err := jws.Verify(k.verifier(header.Algorithm)); err == nil {
			return verifiedBy{jwk: k.text, issuer: k.issuer, set: s}, nil
		}
	}
	return verifiedBy{}, errBadSignature
}

// candidates returns the keys that have a token's kid, followed by those without a kid. A token without a kid may be signed by any key
// (RFC 7515 §4.1.4).
func candidates(keys []key, kid string) []key {
	if kid == "" {
		return keys
	}
	var named, unnamed []key
	for _, k := range keys {
		switch k.KeyID {
		case kid:
			named = append(named, k)
		case "":
			unnamed = append(unnamed, k)
		}
	}
	return append(named, unnamed...)
}

// lostKey reports whether a key of old is not in current.
func lostKey(old, current []key) bool {
	return slices.ContainsFunc(old, func(k key) bool { return !hasKey(current, k) })
}

func hasKey(keys []key, k key) bool {
	return slices.ContainsFunc(keys, func(other key) bool { return sameKey(other, k) })
}
