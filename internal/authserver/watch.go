package authserver

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/auth"
)

// watchEvery is how often a stream's access token is verified again. With CachedFor a stream ends well within 30 seconds after its token.
const watchEvery = 10 * time.Second

// A tokenWatch watches an access token for a stream.
type tokenWatch struct {
	site   *Site
	token  string
	expiry time.Time
	every  time.Duration
}

// Watch returns what watches a valid access token: it ends when the token expires, is revoked, or its user or client is gone.
func (s *Site) Watch(token string, i *auth.Identity) auth.Watcher {
	return tokenWatch{s, token, i.Tokens.Expiry, watchEvery}
}

// Watch calls ended when the token ends.
func (w tokenWatch) Watch(_ func() bool, ended func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go w.watch(ctx, ended)
	return cancel
}

func (w tokenWatch) watch(ctx context.Context, ended func()) {
	for {
		wait := min(w.every, max(w.expiry.Sub(w.site.now()), time.Millisecond))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if _, err := w.site.Verify(ctx, w.token); errors.Is(err, ErrUnknown) {
			ended()
			return
		}
	}
}
