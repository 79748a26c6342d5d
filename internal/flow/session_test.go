package flow

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// TestDue: an access token is refreshed before it runs out, by the leeway sooner, but never in the first half of its life for
// that alone.
func TestDue(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		leeway, life, age time.Duration
		due               bool
	}{
		{0, time.Minute, 54 * time.Second, false},
		{0, time.Minute, 56 * time.Second, true},
		{10 * time.Second, time.Minute, 44 * time.Second, false},
		{10 * time.Second, time.Minute, 46 * time.Second, true},
		{time.Hour, time.Minute, 24 * time.Second, false},
		{time.Hour, time.Minute, 26 * time.Second, true},
		{time.Hour, 0, time.Hour, false}, // it has no end
	} {
		a := &session.Audience{Updated: start, Identity: &auth.Identity{}}
		if c.life > 0 {
			a.Identity.Tokens.Expiry = start.Add(c.life)
		}
		f := &sessions{leeway: c.leeway, now: func() time.Time { return start.Add(c.age) }}
		if f.due(a) != c.due {
			t.Errorf("leeway %v, a token for %v, after %v: due is %v", c.leeway, c.life, c.age, !c.due)
		}
	}
}

// TestAnotherLoginsRefresh: two logins in one session expire together. Who comes while the other one's tokens are refreshed
// doesn't go on with its own expired ones: it is refreshed as well, which shows here by a client that isn't there any more.
func TestAnotherLoginsRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := session.New(session.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		const issuer = "https://idp.example.com"
		login := func(client string) session.Audience {
			return session.Audience{Name: "default", Issuer: issuer, ClientID: client, Subject: "john", Updated: time.Now(), Identity: &auth.Identity{
				Tokens: auth.Tokens{AccessToken: client, RefreshToken: "r", Expiry: time.Now().Add(-time.Second)}}}
		}
		first, _, err := store.Start(t.Context(), nil, login("a"))
		if err != nil {
			t.Fatal(err)
		}
		id, both, err := store.Start(t.Context(), &first, login("b"))
		if err != nil {
			t.Fatal(err)
		}
		answer, done := make(chan struct{}), make(chan error)
		go store.Update(t.Context(), id, func(_ context.Context, current *session.Session) (*session.Session, error) {
			<-answer
			return current.With(login("a")), nil
		})
		synctest.Wait()
		f := &sessions{clients: &clients{}, store: store, audience: "default", refresh: true, now: time.Now}
		go func() {
			_, err := f.fresh(t.Context(), id, both.Audience("default", issuer, "b"))
			done <- err
		}()
		synctest.Wait()
		close(answer)
		if err := <-done; !errors.Is(err, session.ErrNotFound) {
			t.Errorf("got %v, expected %v", err, session.ErrNotFound)
		}
	})
}
