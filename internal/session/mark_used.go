package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"time"
)

// MarkUsed marks what may be used once, such as a login's authorization response, as used for the time given, among all replicas
// that share the store. secret names it; no store learns it. first is false if it was used before. giveBack takes the mark off
// again; it is nil unless first. The error wraps ErrUnavailable: then nobody knows.
func (s *Sessions) MarkUsed(ctx context.Context, secret []byte, life time.Duration) (giveBack func(context.Context), first bool, err error) {
	sum := sha256.Sum256(append([]byte("sallyport v1 used once\x00"), secret...))
	id, holder := ID(sum[:len(ID{})]), rand.Text()
	first, err = s.store.lease(ctx, id, holder, life) // a command that the client sends again finds its own holder
	if err != nil || !first {
		return nil, false, err
	}
	return func(ctx context.Context) { s.store.release(ctx, id, holder) }, true, nil // if that fails the mark runs out by itself
}
