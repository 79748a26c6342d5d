package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// retryLostSet is when the keys are fetched again if one set of several could not be.
const retryLostSet = time.Minute

// currentKeys returns the kept keys, fetched first if there are none or they are old. err is why the last fetch failed.
func (i *Issuer) currentKeys(ctx context.Context) (*Metadata, *publicKeys, error) {
	m, err := i.Metadata(ctx)
	if err != nil {
		return nil, nil, err
	}
	i.mu.RLock()
	keys, at, tried, lastErr := i.keys, i.keysAt, i.keysTried, i.keysErr
	i.mu.RUnlock()
	switch {
	case keys != nil && (i.since(at) < keysMustRenew || i.since(tried) < retryAfterFail):
		if i.since(at) >= metadataLifetime && i.since(tried) >= retryAfterFail {
			i.renew(&i.renewingKeys, "keys", i.fetchKeys) // the kept ones serve meanwhile
		}
		return m, keys, nil
	case lastErr != nil && i.since(tried) < retryAfterFail:
		return nil, nil, lastErr
	}
	err = i.share(ctx, "keys", i.fetchKeys)
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.keys == nil {
		return nil, nil, first(err, i.keysErr, ErrUnavailable)
	}
	return m, i.keys, nil
}

// issuersBrake is the least time between two fetches that the issuer's own tokens cause.
const issuersBrake = 5 * time.Second

// renewedKeys returns other keys than those that were tried for a token in vain, or the same if there are no others. It fetches
// them if no token of that origin has caused a fetch lately: each origin has a brake of its own, so that strangers never delay
// what the issuer has just signed. own says that this token has caused the fetch, and didn't wait for one that had begun before.
// After a failed fetch nobody knows whether the token is good: then it is an error, and the next fetch may come sooner.
func (i *Issuer) renewedKeys(ctx context.Context, from origin, tried *publicKeys) (keys *publicKeys, own bool, err error) {
	keys, due, err := i.keysDue(from, tried)
	if !due {
		return keys, false, err
	}
	var began atomic.Bool
	err = i.share(ctx, "keys", func(ctx context.Context) error {
		began.Store(true)
		return i.fetchKeysFor(ctx, from, tried)
	})
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.keys, began.Load(), err
}

// fetchKeysFor fetches the keys, unless another fetch has ended since somebody found that this one is due.
func (i *Issuer) fetchKeysFor(ctx context.Context, from origin, tried *publicKeys) error {
	if _, due, err := i.keysDue(from, tried); !due {
		return err
	}
	err := i.fetchKeys(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.caused[from] = i.now()
	return err
}

// keysDue returns the kept keys, why the last fetch failed, and whether a token of an origin may cause another one.
func (i *Issuer) keysDue(from origin, tried *publicKeys) (keys *publicKeys, due bool, err error) {
	wait := i.rediscovery
	if from == fromIssuer {
		wait = issuersBrake
	}
	i.mu.RLock()
	defer i.mu.RUnlock()
	switch {
	case i.keys != tried:
		return i.keys, false, nil
	case i.keysErr != nil:
		return i.keys, i.since(i.keysTried) >= retryAfterFail, i.keysErr
	}
	return i.keys, i.since(i.caused[from]) >= wait, nil
}

func (i *Issuer) fetchKeys(ctx context.Context) error {
	m, err := i.Metadata(ctx)
	if err != nil {
		return err
	}
	addresses := slices.Clone(i.extraKeys)
	if own, errOwn := m.require("jwks_endpoint"); errOwn == nil {
		addresses = append([]string{own}, addresses...)
	} else if len(addresses) == 0 {
		err = errOwn
	}
	var keys []key
	some := false
	for _, address := range addresses {
		set, errSet := i.fetchSet(ctx, address)
		if errSet != nil {
			set, err = i.sets[address], errors.Join(err, errSet) // one set that can't be had must not lose the others
		} else {
			some = true
		}
		i.sets[address] = set
		keys = append(keys, set...)
	}
	i.keepKeys(keys, some, err)
	return err
}

func (i *Issuer) fetchSet(ctx context.Context, address string) ([]key, error) {
	b, err := i.get(ctx, address)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	odd, err := readMembers(b, &set)
	if err != nil {
		return nil, fmt.Errorf("%w: GET %s: %w", ErrUnavailable, address, err)
	}
	keys, oddKeys := parseKeys(set.Keys)
	i.tell(address, append(odd, oddKeys...))
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: the key set %s has no usable key: expected a member keys with one (RFC 7517 §5)", ErrUnavailable, address)
	}
	return keys, nil
}

// keepKeys takes the keys that were fetched; some says that at least one set was. After an error the others are due
// again soon, and keys that couldn't be fetched are as old as they were.
func (i *Issuer) keepKeys(keys []key, some bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keysTried, i.keysErr = i.now(), err
	if err != nil {
		i.log.Warn("fetching keys failed", "issuer", i.url, "error", err)
	}
	if !some {
		return
	}
	if i.keys != nil && lostKey(i.keys.list, keys) {
		i.tokens.clear() // what a withdrawn key verified is no longer proved
	}
	i.keys, i.keysAt = &publicKeys{keys}, i.now()
	if err != nil {
		i.keysAt = i.keysAt.Add(retryLostSet - metadataLifetime)
	}
}
