package session

import "sync"

// watchers has the channels on which watches of sessions wait for a change.
type watchers[K comparable] struct {
	mu    sync.Mutex
	waits map[K]map[chan<- struct{}]struct{}
}

// add lets wake send to a channel when the session of a key changes. The channel has a buffer of one.
func (w *watchers[K]) add(key K, c chan<- struct{}) (remove func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waits == nil {
		w.waits = map[K]map[chan<- struct{}]struct{}{}
	}
	if w.waits[key] == nil {
		w.waits[key] = map[chan<- struct{}]struct{}{}
	}
	w.waits[key][c] = struct{}{}
	return func() { w.remove(key, c) }
}

func (w *watchers[K]) remove(key K, c chan<- struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waits[key], c)
	if len(w.waits[key]) == 0 {
		delete(w.waits, key)
	}
}

// wake wakes the watches of a session that has changed. It doesn't block.
func (w *watchers[K]) wake(key K) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.waits[key] {
		select {
		case c <- struct{}{}:
		default: // it is awake already
		}
	}
}
