package session

import (
	"context"
	"sync"
)

// endAtOnce is how many sessions of a logout are ended at the same time. Each deletion waits for its acknowledgement.
const endAtOnce = 16

// endEach calls end for each of all, endAtOnce of them at the same time, and returns the sum of the results. After an error it begins no
// further one, and returns the first error.
func endEach[T any](ctx context.Context, all []T, end func(context.Context, T) (int, error)) (ended int, err error) {
	var mu sync.Mutex // guards the results and next
	next := 0
	take := func() (one T, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil || next == len(all) {
			return one, false
		}
		next++
		return all[next-1], true
	}
	var workers sync.WaitGroup
	for range min(endAtOnce, len(all)) {
		workers.Go(func() {
			for one, ok := take(); ok; one, ok = take() {
				n, failed := end(ctx, one)
				mu.Lock()
				ended += n
				if err == nil {
					err = failed
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return ended, err
}
