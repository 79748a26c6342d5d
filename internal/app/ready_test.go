package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestReadiness: the start waits for parts that haven't answered, for 10 s at most; what is lost later isn't waited for.
func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first, second atomic.Bool // whether it answers
		ask := func(answers *atomic.Bool) func(context.Context, *partState) error {
			return func(context.Context, *partState) error {
				if answers.Load() {
					return nil
				}
				return errors.New("it is away")
			}
		}
		r := newReadiness(slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go r.watch(ctx, func() []part {
			return []part{
				{"issuer", "first", ask(&first)},
				{"redis", "second", ask(&second)},
			}
		})
		expect := func(when string, starting bool, public, inside string) {
			t.Helper()
			synctest.Wait()
			if r.starting() != starting || r.report("x", false) != public || r.report("x", true) != inside {
				t.Errorf("%s: starting is %v, the report is %q, inside it is %q", when, r.starting(), r.report("x", false), r.report("x", true))
			}
		}
		expect("nothing has answered", true, "x\nissuer: can't be used\nredis: can't be used\n", "x\nissuer first: it is away\nredis second: it is away\n")
		first.Store(true)
		time.Sleep(askFirst)
		expect("one has answered", true, "x\nredis: can't be used\n", "x\nredis second: it is away\n")
		first.Store(false)
		second.Store(true)
		time.Sleep(askFirst)
		expect("both have answered once", false, "x\nissuer: can't be used\n", "x\nissuer first: it is away\n")
		first.Store(true)
		time.Sleep(askAgain)
		expect("both answer", false, "x\n", "x\n")
		cancel()
	})
	synctest.Test(t, func(t *testing.T) {
		r := newReadiness(slog.New(slog.DiscardHandler))
		if !r.starting() {
			t.Error("it is ready before anything was asked")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go r.watch(ctx, func() []part {
			return []part{{"redis", "slow", func(ctx context.Context, _ *partState) error { <-ctx.Done(); return ctx.Err() }}}
		})
		time.Sleep(startTimeout - time.Second)
		if !r.starting() {
			t.Error("it doesn't wait for 10 s")
		}
		time.Sleep(2 * time.Second)
		if r.starting() {
			t.Error("it waits for longer than 10 s")
		}
		cancel()
	})
}
