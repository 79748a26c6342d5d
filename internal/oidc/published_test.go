package oidc

import (
	"context"
	"testing"
	"time"
)

// A caller that gives up leaves the fetch to the others: the fetch reads nothing that the caller still changes. The race detector judges
// it.
func TestACallerGivesUp(t *testing.T) {
	value := 1
	p := &published[int]{now: time.Now, flight: newFetchFlight(time.Minute)}
	p.fetch = func(context.Context) error {
		p.store(&value, nil)
		return nil
	}
	for range 200 {
		p.reset()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.get(ctx)
		p.get(t.Context())
	}
	got, err := p.get(t.Context())
	for range 3 { // it may have joined a fetch that nobody waits for any more
		if err != nil {
			p.reset()
			got, err = p.get(t.Context())
		}
	}
	if err != nil || *got != value {
		t.Errorf("got %v, %v", got, err)
	}
}
