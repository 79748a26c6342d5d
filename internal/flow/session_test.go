package flow

import (
	"testing"
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
