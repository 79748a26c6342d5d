package authserver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"sallyport/internal/auth"
)

// watchEvery is how often a stream's access token is verified again. With CachedFor a stream ends well within 30 seconds after its token.
const watchEvery = 10 * time.Second

// A tokenWatch watches an access token for a stream.
type tokenWatch struct {
	site   *Site
	token  string
	family string
	expiry time.Time
	until  time.Time // how long the stream may go on
	every  time.Duration
}

// Watch returns what watches the valid access token of a request: it ends when the token expires, is revoked, or its user or client is
// gone. The answer to a POST is the result of one call, which would be lost, so it may go on for once more the lifetime of the token, as
// long as the authorization has not ended.
func (s *Site) Watch(r *auth.Request, token string, i *auth.Identity) auth.Watcher {
	w := tokenWatch{site: s, token: token, expiry: i.Tokens.Expiry, until: i.Tokens.Expiry, every: watchEvery}
	if r.Method != http.MethodPost {
		return w
	}
	v, err := s.verified(r.Context(), token)
	if err == nil && v.familyID != "" {
		w.family, w.until = v.familyID, w.expiry.Add(v.lifetime)
	}
	return w
}

// Watch calls ended when the token ends.
func (w tokenWatch) Watch(_ func() bool, ended func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go w.watch(ctx, ended)
	return cancel
}

func (w tokenWatch) watch(ctx context.Context, ended func()) {
	for {
		wait := min(w.every, max(w.until.Sub(w.site.now()), time.Millisecond))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if errors.Is(w.check(ctx), ErrUnknown) {
			ended()
			return
		}
	}
}

// check returns an error that wraps ErrUnknown if the stream must end.
func (w tokenWatch) check(ctx context.Context) error {
	now := w.site.now()
	if now.Before(w.expiry) {
		_, err := w.site.Verify(ctx, w.token)
		return err
	}
	if !now.Before(w.until) {
		return ErrUnknown
	}
	_, err := w.site.store.family(ctx, w.family)
	return err
}
