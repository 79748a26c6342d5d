package oidc

import "sync"

// maxOnce bounds the texts that a onceSet remembers.
const maxOnce = 1000

// A onceSet remembers texts, so that each is logged once. It is safe for concurrent use.
type onceSet struct {
	mu   sync.Mutex // guards seen
	seen map[string]bool
}

// add reports whether the text is new, and remembers it.
func (s *onceSet) add(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[text] {
		return false
	}
	if s.seen == nil || len(s.seen) >= maxOnce {
		s.seen = map[string]bool{}
	}
	s.seen[text] = true
	return true
}
