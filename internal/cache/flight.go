package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// MaxWaiting bounds the callers of one Flight that wait at once. Each is a request with its buffers, which a source that
// hangs would let pile up until the time-out.
const MaxWaiting = 4096

// ErrCrowd is the error of a caller beyond MaxWaiting. It says nothing of what was asked for.
var ErrCrowd = errors.New("too many requests wait for an answer already")

// A Flight makes a call once for all who ask for the same at the same time. The call outlives a caller that gives up, because
// the others wait for it too. A caller that waits needs no goroutine besides its own, and one that gives up leaves nothing
// behind. A Flight is safe for concurrent use.
type Flight[K comparable, V any] struct {
	limit time.Duration // of one call

	mu      sync.Mutex
	calls   map[K]*call[V]
	waiting int
}

// NewFlight returns a Flight whose calls may each take as long as limit.
func NewFlight[K comparable, V any](limit time.Duration) *Flight[K, V] {
	return &Flight[K, V]{limit: limit, calls: map[K]*call[V]{}}
}

// A call is under way until done is closed; then v and err are its result.
type call[V any] struct {
	done chan struct{}
	v    V
	err  error
}

// Do returns the result of the call for k that is under way, or else of ask. It returns ErrCrowd if too many wait, and an
// error that wraps ctx's if the caller gives up.
func (f *Flight[K, V]) Do(ctx context.Context, k K, ask func(context.Context) (V, error)) (none V, err error) {
	c, err := f.join(ctx, k, ask)
	if err != nil {
		return none, err
	}
	defer f.leave()
	select {
	case <-c.done:
		return c.v, c.err
	case <-ctx.Done():
		return none, fmt.Errorf("the caller gave up: %w", ctx.Err())
	}
}

// join counts a caller and returns the call that it waits for, begun if need be.
func (f *Flight[K, V]) join(ctx context.Context, k K, ask func(context.Context) (V, error)) (*call[V], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting >= MaxWaiting {
		return nil, ErrCrowd
	}
	c := f.calls[k]
	if c == nil {
		c = &call[V]{done: make(chan struct{})}
		f.calls[k] = c
		go f.run(context.WithoutCancel(ctx), k, c, ask)
	}
	f.waiting++
	return c, nil
}

func (f *Flight[K, V]) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting--
}

func (f *Flight[K, V]) run(ctx context.Context, k K, c *call[V], ask func(context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // the goroutine is no request's, whose server would catch it
			c.err = fmt.Errorf("the call panicked: %v\n%s", p, debug.Stack())
		}
		f.mu.Lock()
		delete(f.calls, k)
		f.mu.Unlock()
		close(c.done)
	}()
	c.v, c.err = ask(ctx)
}
