package dpop

import (
	"errors"
	"testing"
	"time"

	"sallyport/internal/dpop/dpoptest"
)

// TestNonces checks that a nonce is valid in its period and the next, at all replicas with the same key.
func TestNonces(t *testing.T) {
	r, key := newRig(), dpoptest.NewKey()
	r.Nonces = NewNonces([]byte("key"), r.Lifetime)
	replica := NewNonces([]byte("key"), r.Lifetime)
	nonce := replica.Current(r.now)
	period := r.Nonces.period
	ask := func(nonce any) (proof string, err error) {
		proof = key.Proof("GET", orders, token, dpoptest.At(r.now), dpoptest.Claim("nonce", nonce))
		return proof, r.verify(t, key.Thumbprint(), proof)
	}
	if proof, err := ask(nonce); err != nil || r.NextNonce([]string{proof}) != "" {
		t.Errorf("in its period: %v, and the next nonce %q", err, r.NextNonce([]string{proof}))
	}
	r.now = r.now.Add(period)
	if proof, err := ask(nonce); err != nil || r.NextNonce([]string{proof}) != replica.Current(r.now) {
		t.Errorf("in the next period: %v, and the next nonce %q", err, r.NextNonce([]string{proof}))
	}
	if _, err := ask(replica.Current(r.now.Add(period))); err != nil {
		t.Errorf("of a replica whose clock is ahead: %v", err)
	}
	r.now = r.now.Add(period)
	for name, old := range map[string]any{
		"too old": nonce, "missing": nil, "empty": "", "of another key": NewNonces([]byte("another"), r.Lifetime).Current(r.now),
		"of another lifetime": NewNonces([]byte("key"), time.Hour).Current(r.now),
	} {
		if _, err := ask(old); !errors.Is(err, ErrNonce) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
