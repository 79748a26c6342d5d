package oidc

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/cache"
	"sallyport/internal/provider"
)

// While an issuer hangs, a bounded number of requests with one token waits for the one call. Further requests get an error at once.
func TestACrowdAtAHangingIssuer(t *testing.T) {
	for name, c := range map[string]struct {
		hangs provider.Endpoint
		ask   func(context.Context, *Client, string) error
	}{
		"introspection": {provider.Introspection, func(ctx context.Context, c *Client, token string) error {
			_, err := c.Introspect(ctx, token, Caller{})
			return err
		}},
		"keys": {provider.JWKS, func(ctx context.Context, c *Client, token string) error {
			_, err := c.issuer.AccessToken(ctx, token)
			return err
		}},
		"metadata": {provider.Discovery, func(ctx context.Context, c *Client, token string) error {
			_, err := c.issuer.AccessToken(ctx, token)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, client, _ := begin(t, func(s *Settings) {
				asJSON(s)
				s.CacheIntrospection, s.Timeout = true, time.Minute
			})
			token := p.AccessToken("john", "app", nil)
			waiting, release := p.Hold(c.hangs)
			before := runtime.NumGoroutine()
			refused, answered := crowd(t, func(ctx context.Context) error { return c.ask(ctx, client, token) })
			<-waiting
			await(t, func() bool { return refused.Load() == crowdSize-cache.MaxWaiting })
			await(t, func() bool { return runtime.NumGoroutine()-before < cache.MaxWaiting+50 })
			release()
			await(t, func() bool { return answered.Load() == cache.MaxWaiting })
			if n := p.Requests(c.hangs); n != 1 {
				t.Errorf("the issuer was asked %d times", n)
			}
		})
	}
}

// crowdSize is less than the goroutines that the race detector can tell apart.
const crowdSize = cache.MaxWaiting + 2000

// crowd calls ask crowdSize times at once, and counts the results.
func crowd(t *testing.T, ask func(context.Context) error) (refused, answered *atomic.Int64) {
	refused, answered = new(atomic.Int64), new(atomic.Int64)
	for range crowdSize {
		go func() {
			switch err := ask(t.Context()); {
			case err == nil:
				answered.Add(1)
			case errors.Is(err, ErrUnavailable) && errors.Is(err, cache.ErrCrowd):
				refused.Add(1)
			case t.Context().Err() == nil:
				t.Error(err)
			}
		}()
	}
	return refused, answered
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}
