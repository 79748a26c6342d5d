package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Nonces are the nonces that clients must put into their proofs (RFC 9449 §9). A nonce is an HMAC of the time in steps of one period, so
// replicas with the same key and lifetime need no store to accept each other's nonces. All clients have the same nonce: it shows when a
// proof was made, and the jti distinguishes the proofs.
type Nonces struct {
	key    []byte
	period time.Duration
}

// NewNonces returns the nonces of a key. A nonce is accepted in its period and in the next one, which is at most the lifetime in all.
func NewNonces(key []byte, lifetime time.Duration) *Nonces {
	return &Nonces{key: key, period: max(lifetime/2, time.Second)}
}

// Current returns the nonce of the current period.
func (n *Nonces) Current(now time.Time) string { return n.at(now, 0) }

// at returns the nonce of the period that is some periods away from now.
func (n *Nonces) at(now time.Time, away int64) string {
	step := now.UnixNano()/int64(n.period) + away
	h := hmac.New(sha256.New, n.key)
	h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(n.period)), uint64(step)))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// A nonceAge says of which period a nonce is.
type nonceAge int

const (
	unknownNonce nonceAge = iota
	currentNonce
	previousNonce
)

// age returns of which period a nonce is. The nonce of the next period counts as current: the clock of another replica may be ahead.
func (n *Nonces) age(nonce string, now time.Time) nonceAge {
	switch {
	case nonce == "":
		return unknownNonce
	case equal(nonce, n.at(now, 0)), equal(nonce, n.at(now, 1)):
		return currentNonce
	case equal(nonce, n.at(now, -1)):
		return previousNonce
	}
	return unknownNonce
}
