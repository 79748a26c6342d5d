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

// A secretChecker compares client secrets with their hashes. Password hashes are slow by design, so an attacker could use them to
// exhaust the CPU. Three measures prevent that: few comparisons run or wait at once; results are cached, under an HMAC; and a
// generated secret, whose hash is fast, is compared first, so that its clients never wait behind a flood of guesses.
type secretChecker struct {
	key     []byte // of the HMAC, random in each process
	results *cache.Cache[struct{}]
	slots   chan struct{}
	waiting *atomic.Int32
	padding []secretHash // the slow hashes of the client that has the most
}

const (
	verifiedFor = 5 * time.Minute // how long a right secret is cached
	wrongFor    = time.Minute     // how long a wrong secret is cached, for clients that retry in a loop
	maxWaiting  = 64              // requests that wait for a slot; further ones get 503 at once
	maxSecret   = 512             // bytes of a secret in a request
)

var (
	errWrongSecret = errors.New("the client is unknown, or its secret is wrong")
	errBusy        = fmt.Errorf("%w: too many client secrets are being compared", ErrUnavailable)
)

func newSecretChecker(now func() time.Time) *secretChecker {
	return &secretChecker{
		key:   []byte(randomText(randomLength)),
		slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), waiting: &atomic.Int32{},
		results: cache.New(cache.Config[struct{}]{
			Times: cache.Times{TTL: verifiedFor, Negative: wrongFor}, Bytes: 4 << 20, Limit: 30 * time.Second, Now: now,
			Size:    func(struct{}) int { return 64 },
			Verdict: func(err error) bool { return errors.Is(err, errWrongSecret) },
		}),
	}
}

// forClients returns a checker for other clients. It shares the cached results, whose keys depend on the hashes too.
func (s *secretChecker) forClients(clients map[string]*client) *secretChecker {
	next := *s
	next.padding = nil
	for _, c := range clients {
		if slow := slowHashes(c); len(slow) > len(next.padding) {
			next.padding = slow
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

// check returns errWrongSecret if a secret isn't the client's. For an unknown client c is nil, and check takes the same time. Other
// errors wrap ErrUnavailable.
func (s *secretChecker) check(ctx context.Context, c *client, id, secret string) error {
	if len(secret) > maxSecret {
		return errWrongSecret
	}
	if fastMatch(c, secret) {
		return nil
	}
	if len(s.padding) == 0 {
		return errWrongSecret
	}
	_, err := s.results.Get(ctx, s.keyOf(c, id, secret), func(ctx context.Context) (struct{}, time.Time, error) {
		return struct{}{}, time.Time{}, s.compare(ctx, slowHashes(c), secret)
	})
	if err != nil && !errors.Is(err, errWrongSecret) && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err) // the caller's context ended
	}
	return err
}

// fastMatch compares a secret with the client's fast hashes. For an unknown client it compares with a hash that never matches.
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

func (s *secretChecker) keyOf(c *client, id, secret string) cache.Key {
	parts := []string{id, secret}
	if c != nil {
		for _, line := range c.ClientSecretHash {
			parts = append(parts, string(line))
		}
	}
	return cache.KeyOf(s.key, parts...)
}

// compare compares a secret with slow hashes. A wrong secret always costs as many hashes as the client with the most has, so that the
// response time doesn't reveal which clients exist.
func (s *secretChecker) compare(ctx context.Context, hashes []secretHash, secret string) error {
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
	for _, h := range s.padding[min(len(hashes), len(s.padding)):] {
		h.matches(secret)
	}
	return errWrongSecret
}
