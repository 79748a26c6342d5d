package oidc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/cache"
)

const (
	documentLifetime = time.Hour       // after it a document is fetched anew; the old one serves until a fetch succeeds
	retryAfterFail   = 3 * time.Second // between two fetches while there is no document, or while the last fetch failed
)

// A published document is one that an issuer publishes: its metadata, or its key set. It is fetched on demand, renewed in the background,
// and serves while the issuer is down. It is safe for concurrent use.
type published[T any] struct {
	fetch    func(context.Context) error // fetches the document and stores it
	maxAge   time.Duration               // from which on a caller waits for a new document; 0: an old one serves without limit
	now      func() time.Time
	flight   *fetchFlight
	renewing atomic.Bool // a fetch runs in the background

	mu    sync.RWMutex // guards state
	state fetchState[T]
}

// A fetchState is the outcome of the last fetches of a document.
type fetchState[T any] struct {
	value *T        // nil before the first successful fetch
	at    time.Time // of the last successful fetch
	tried time.Time // of the last fetch
	err   error     // of the last fetch
}

// A fetchFlight runs one fetch at a time.
type fetchFlight = cache.Flight[struct{}, struct{}]

func newFetchFlight(timeout time.Duration) *fetchFlight {
	return cache.NewFlight[struct{}, struct{}](timeout)
}

func (p *published[T]) load() fetchState[T] {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.state
}

// store records the end of a fetch: the document, or why it could not be fetched. After an error the old document stays.
func (p *published[T]) store(value *T, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.tried, p.state.err = p.now(), err
	if err == nil {
		p.state.value, p.state.at = value, p.now()
	}
}

func (p *published[T]) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = fetchState[T]{}
}

// since returns how long ago t was. A zero t was long ago.
func (p *published[T]) since(t time.Time) time.Duration { return p.now().Sub(t) }

// get returns the document. It waits for a fetch if there is no document, or if the document is older than maxAge.
func (p *published[T]) get(ctx context.Context) (*T, error) {
	s := p.load()
	age, mayFetch := p.since(s.at), p.since(s.tried) >= retryAfterFail
	switch {
	case s.value != nil && (p.maxAge == 0 || age < p.maxAge || !mayFetch):
		if age >= documentLifetime && mayFetch {
			p.renew()
		}
		return s.value, nil
	case s.err != nil && !mayFetch:
		return nil, s.err
	}
	tried := s.tried // the fetch goes on when ctx has ended, and s is another one then
	err := p.share(ctx, func(ctx context.Context) error {
		if now := p.load(); !now.tried.Equal(tried) { // another fetch has ended meanwhile
			return now.err
		}
		return p.fetch(ctx)
	})
	if s = p.load(); s.value == nil {
		return nil, first(err, s.err, ErrUnavailable)
	}
	return s.value, nil
}

// renew fetches the document in the background. However many requests find it old, one fetch runs.
func (p *published[T]) renew() {
	if !p.renewing.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer p.renewing.Store(false)
		p.share(context.Background(), p.fetch)
	}()
}

// share runs fetch once for all callers that ask at the same time. Its error wraps ErrUnavailable.
func (p *published[T]) share(ctx context.Context, fetch func(context.Context) error) error {
	_, err := p.flight.Do(ctx, struct{}{}, func(ctx context.Context) (struct{}, error) { return struct{}{}, fetch(ctx) })
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = unavailable(err)
	}
	return err
}

// first returns the first of the errors that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
