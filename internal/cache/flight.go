package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// MaxWaiting bounds the callers that wait in one Flight at once. Each is a request with its buffers; without the bound, a
// server that hangs would let them pile up until the time-out.
const MaxWaiting = 4096

// ErrCrowd is the error of a caller beyond MaxWaiting. It says nothing about the value.
var ErrCrowd = errors.New("too many requests wait for an answer already")

// A Flight makes one call for all concurrent callers with the same key. The call goes on when a caller's context ends, because
// other callers wait for it too. A caller waits in its own goroutine, and leaves no goroutine behind when it stops waiting.
// A Flight is safe for concurrent use.
type Flight[K comparable, V any] struct {
	limit time.Duration // of one call

	mu      sync.Mutex // guards calls and waiting
	calls   map[K]*call[V]
	waiting int
}

// NewFlight returns a Flight whose calls time out after limit.
func NewFlight[K comparable, V any](limit time.Duration) *Flight[K, V] {
	return &Flight[K, V]{limit: limit, calls: map[K]*call[V]{}}
}

// A call runs until done is closed; then v and err are its result.
type call[V any] struct {
	done chan struct{}
	v    V
	err  error
}

// Do returns the result of the running call for k, or else of ask. The error is ask's, ErrCrowd if too many callers wait, or
// wraps that of ctx.
func (f *Flight[K, V]) Do(ctx context.Context, k K, ask func(context.Context) (V, error)) (zero V, err error) {
	c, err := f.join(ctx, k, ask)
	if err != nil {
		return zero, err
	}
	defer f.leave()
	select {
	case <-c.done:
		return c.v, c.err
	case <-ctx.Done():
		return zero, fmt.Errorf("the caller gave up: %w", ctx.Err())
	}
}

// join counts a caller and returns the call that it waits for. It starts the call if none is running.
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
		if p := recover(); p != nil { // net/http recovers panics only in the goroutine of the request
			c.err = fmt.Errorf("the call panicked: %v\n%s", p, debug.Stack())
		}
		f.mu.Lock()
		delete(f.calls, k)
		f.mu.Unlock()
		close(c.done)
	}()
	c.v, c.err = ask(ctx)
}
