package session

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// maxUnproven is how many marks, within the life of a mark, unproven logouts may write for SIDs that no session has. Twice as many can live
// at once, which leaves room in memory for the marks of proven logouts: see maxMarks.
const maxUnproven = 100_000

// unproven bounds the marks that strangers can write.
type unproven struct {
	mu    sync.Mutex // guards the fields below
	since time.Time  // when the current period began
	marks int        // in this period
}

// take counts a mark. It reports false if there are too many already.
func (u *unproven) take(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.since) >= markLife {
		u.since, u.marks = now, 0
	}
	if u.marks >= maxUnproven {
		return false
	}
	u.marks++
	return true
}

// giveBack takes back a mark that was no stranger's.
func (u *unproven) giveBack() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.marks = max(u.marks-1, 0)
}

// endUnproven ends the targets of an unproven logout. A SID that a session has is known to the OpenID Provider and its user only. Of other
// SIDs, whose login may be under way, it marks a bounded number.
func (s *Sessions) endUnproven(ctx context.Context, targets []target) (ended int, err error) {
	counted := s.unproven.take(s.now())
	if !counted {
		found, err := s.store.find(ctx, targets[0].key)
		if err != nil {
			return 0, err
		}
		if len(found) == 0 {
			return 0, fmt.Errorf("%w: within %s, %d logouts without a logout token named a sid that no session has",
				ErrUnavailable, markLife, maxUnproven)
		}
	}
	ended, err = s.endTargets(ctx, targets)
	if counted && ended > 0 {
		s.unproven.giveBack()
	}
	return ended, err
}
