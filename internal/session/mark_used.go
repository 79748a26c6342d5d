package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"time"
)

// MarkUsed marks a one-time secret, such as the one of a login's authorization response, as used for the given time. The mark is
// seen by all replicas that share the store, which stores only a hash of the secret. It reports first if no mark was there before;
// then undo removes the mark, and otherwise undo is nil. The error wraps ErrUnavailable.
func (s *Sessions) MarkUsed(ctx context.Context, secret []byte, life time.Duration) (undo func(context.Context), first bool, err error) {
	sum := sha256.Sum256(append([]byte("sallyport v1 used once\x00"), secret...))
	id, holder := ID(sum[:len(ID{})]), rand.Text()
	first, err = s.store.lease(ctx, id, holder, life) // the Redis client may send the command twice: the second finds its own holder
	if err != nil || !first {
		return nil, false, err
	}
	return func(ctx context.Context) { s.store.release(ctx, id, holder) }, true, nil // on an error the mark expires by itself
}

// WasUsed reports whether MarkUsed has marked a secret as used. The error wraps ErrUnavailable.
func (s *Sessions) WasUsed(ctx context.Context, secret []byte) (bool, error) {
	sum := sha256.Sum256(append([]byte("sallyport v1 used once\x00"), secret...))
	return s.store.leased(ctx, ID(sum[:len(ID{})]))
}
