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

// TestReadiness checks that the gate is ready once every dependency has answered, after 10 s at the latest, and stays ready when one fails.
func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first, second atomic.Bool // whether it answers
		ask := func(answers *atomic.Bool) func(context.Context, *dependencyState) error {
			return func(context.Context, *dependencyState) error {
				if answers.Load() {
					return nil
				}
				return errors.New("it is away")
			}
		}
		r := newReadiness(slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go r.watch(ctx, func() []dependency {
			return []dependency{
				{class: "issuer", name: "first", probe: ask(&first)},
				{class: "redis", name: "second", probe: ask(&second)},
			}
		})
		expect := func(when string, starting bool, public, detailed string) {
			t.Helper()
			synctest.Wait()
			if r.starting() != starting || r.report("x", false) != public || r.report("x", true) != detailed {
				t.Errorf("%s: starting is %v, the report is %q, in detail %q",
					when, r.starting(), r.report("x", false), r.report("x", true))
			}
		}
		expect("nothing has answered", true, "x\nissuer: can't be used\nredis: can't be used\n",
			"x\nissuer first: it is away\nredis second: it is away\n")
		first.Store(true)
		time.Sleep(startInterval)
		expect("one has answered", true, "x\nredis: can't be used\n", "x\nredis second: it is away\n")
		first.Store(false)
		second.Store(true)
		time.Sleep(startInterval)
		expect("both have answered once", false, "x\nissuer: can't be used\n", "x\nissuer first: it is away\n")
		first.Store(true)
		time.Sleep(probeInterval)
		expect("both answer", false, "x\n", "x\n")
		cancel()
	})
	synctest.Test(t, func(t *testing.T) {
		r := newReadiness(slog.New(slog.DiscardHandler))
		if !r.starting() {
			t.Error("it is ready before anything was asked")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go r.watch(ctx, func() []dependency {
			slow := func(ctx context.Context, _ *dependencyState) error { <-ctx.Done(); return ctx.Err() }
			return []dependency{{class: "redis", name: "slow", probe: slow}}
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

// TestReportedOnly checks that a dependency that is only reported makes the gate neither wait at its start nor unready, also with
// readiness: strict.
func TestReportedOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReadiness(slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		away := func(context.Context, *dependencyState) error { return errors.New("it is away") }
		for _, only := range []bool{true, false} {
			r.probe(ctx, []dependency{{class: "certificates", name: "acme", probe: away, onlyReported: only}})
			if r.starting() == only || r.failing() == only || r.report("x", false) != "x\ncertificates: can't be used\n" {
				t.Errorf("only reported %v: starting %v, failing %v, the report is %q",
					only, r.starting(), r.failing(), r.report("x", false))
			}
			r.states = map[string]*dependencyState{}
		}
		cancel()
	})
}
