package session

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestEndEach checks that the sessions of a logout are ended several at a time, each once, and none after an error.
func TestEndEach(t *testing.T) {
	for name, c := range map[string]struct {
		sessions, fails int // the number of the one that fails, or -1
		least, most     int // ended
		took            time.Duration
	}{
		"none":     {0, -1, 0, 0, 0},
		"few":      {3, -1, 3, 3, time.Second},
		"many":     {10 * endAtOnce, -1, 10 * endAtOnce, 10 * endAtOnce, 10 * time.Second},
		"an error": {10 * endAtOnce, 0, endAtOnce - 1, 2*endAtOnce - 2, 2 * time.Second}, // those that were quicker begin another one
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all, refused, begun := make([]int, c.sessions), errors.New("refused"), time.Now()
				for n := range all {
					all[n] = n
				}
				var calls [10 * endAtOnce]atomic.Int64
				ended, err := endEach(t.Context(), all, func(_ context.Context, n int) (int, error) {
					calls[n].Add(1)
					time.Sleep(time.Second) // the clock of the bubble
					if n == c.fails {
						return 0, refused
					}
					return 1, nil
				})
				if ended < c.least || ended > c.most || (c.fails >= 0) != errors.Is(err, refused) {
					t.Errorf("ended %d, %v, expected %d to %d", ended, err, c.least, c.most)
				}
				if took := time.Since(begun); took > c.took || c.fails < 0 && took < c.took {
					t.Errorf("it took %s, expected %s", took, c.took)
				}
				for n := range calls {
					if got := calls[n].Load(); got > 1 || got == 0 && n < c.least {
						t.Errorf("session %d was ended %d times", n, got)
					}
				}
			})
		})
	}
}

// TestEndMany ends all sessions of a client, of a route and of a subject.
func TestEndMany(t *testing.T) { onBoth(t, endMany) }

func endMany(r *rig) {
	many := 300
	if r.shape != nil {
		many = 100
	}
	s, other := r.sessions(usual), r.sessions(usual)
	now := r.second()
	for what, q := range map[string]Selection{
		"client":  {ClientID: "many"},
		"route":   {Route: "many"},
		"subject": {Issuer: john().Issuer, ClientID: "many", Subject: "many"},
	} {
		live := r.start(s, nil, began(now.Add(-time.Hour), "live"))
		ids := make([]ID, many)
		for n := range ids {
			l := began(now.Add(-time.Hour), fmt.Sprint(n))
			l.ClientID, l.Route, l.Subject = "many", "many", "many"
			ids[n] = r.start(s, nil, l)
		}
		begun := time.Now()
		if n, err := other.EndSelected(r.Context(), q); n != many || err != nil {
			r.Errorf("%s: ended %d, %v, expected %d", what, n, err, many)
		}
		r.Logf("%s: %d sessions ended in %s", what, many, time.Since(begun).Round(time.Millisecond))
		for _, id := range ids {
			r.gone(s, id)
		}
		r.open(s, live)
		if all := r.pages(s, Selection{ClientID: "many"}, 1000); len(all) != 0 {
			r.Errorf("%s: %d sessions are listed", what, len(all))
		}
		r.pass(markLife + time.Minute) // the next ones began before the marks of these
		now = r.second()
	}
}
