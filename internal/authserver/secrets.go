package authserver

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"sallyport/internal/cache"
)

// secrets compare client secrets with their hashes. Slow hashes are meant to cost much, so three things keep strangers from
// spending it: few run at once and few wait; what was found out is remembered for a while, under an HMAC; and a generated
// secret is compared before any of that, so that its clients never wait behind a flood of guesses.
type secrets struct {
	key      []byte // of the HMAC, random in each process
	verdicts *cache.Cache[struct{}]
	slots    chan struct{}
	waiting  *atomic.Int32
	pad      []secretHash // the slow hashes of the client that has most of them
}

const (
	verifiedFor = 5 * time.Minute // how long a right secret isn't hashed again
	wrongFor    = time.Minute     // likewise a wrong one, for clients that can't stop
	maxWaiting  = 64              // requests for a slot; over it 503 at once
	maxSecret   = 512             // bytes of a presented secret
)

var (
	errWrongSecret = errors.New("the client is unknown, or its secret is wrong")
	errBusy        = fmt.Errorf("%w: too many client secrets are being compared", ErrUnavailable)
)

func newSecrets(now func() time.Time) *secrets {
	return &secrets{
		key: []byte(randomText(randomLength)), slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), waiting: &atomic.Int32{},
		verdicts: cache.New(cache.Config[struct{}]{
			Times: cache.Times{TTL: verifiedFor, Negative: wrongFor}, Bytes: 4 << 20, Limit: 30 * time.Second, Now: now,
			Size:    func(struct{}) int { return 64 },
			Verdict: func(err error) bool { return errors.Is(err, errWrongSecret) },
		}),
	}
}

// of returns the secrets for other clients: what was found out stays, and is keyed by the hashes too.
func (s *secrets) of(clients map[string]*client) *secrets {
	next := *s
	next.pad = nil
	for _, c := range clients {
		if slow := slowHashes(c); len(slow) > len(next.pad) {
			next.pad = slow
		}
	}
	return &next
}

func slowHashes(c *client) []secretHash {
	if c == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.hashes), func(h secretHash) bool { return !h.slow() })
}

// check reports by errWrongSecret that a secret isn't the client's; c is nil for an unknown client, for which that costs the
// same. Other errors wrap ErrUnavailable.
func (s *secrets) check(ctx context.Context, c *client, id, secret string) error {
	if len(secret) > maxSecret {
		return errWrongSecret
	}
	if fastMatch(c, secret) {
		return nil
	}
	if len(s.pad) == 0 {
		return errWrongSecret
	}
	_, err := s.verdicts.Get(ctx, s.keyOf(c, id, secret), func(ctx context.Context) (struct{}, time.Time, error) {
		return struct{}{}, time.Time{}, s.compare(ctx, slowHashes(c), secret)
	})
	if err != nil && !errors.Is(err, errWrongSecret) && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err) // the caller gave up
	}
	return err
}

// fastMatch compares with the hashes that cost nothing; with one that never matches, if there is none.
func fastMatch(c *client, secret string) bool {
	match := sha256Hash{}.matches(secret)
	if c == nil {
		return match
	}
	for _, h := range c.hashes {
		if !h.slow() && h.matches(secret) {
			match = true
		}
	}
	return match
}

func (s *secrets) keyOf(c *client, id, secret string) cache.Key {
	parts := []string{id, secret}
	if c != nil {
		for _, line := range c.ClientSecretHash {
			parts = append(parts, string(line))
		}
	}
	return cache.KeyOf(s.key, parts...)
}

// compare runs slow hashes. A wrong secret costs as many as the client with most of them has, whoever it was for, so that
// time doesn't tell which clients there are.
func (s *secrets) compare(ctx context.Context, hashes []secretHash, secret string) error {
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > maxWaiting {
		return errBusy
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return errBusy
	}
	for _, h := range hashes {
		if h.matches(secret) {
			return nil
		}
	}
	for _, h := range s.pad[min(len(hashes), len(s.pad)):] {
		h.matches(secret)
	}
	return errWrongSecret
}
