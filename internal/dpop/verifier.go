package dpop

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The reasons for which Verify, Confirm and UseOnce refuse a proof. All other errors say that the proof is invalid.
var (
	ErrNonce       = errors.New("the proof has no current nonce of the gate")
	ErrReplayed    = errors.New("the proof was used before")
	ErrFull        = errors.New("too many proofs of this key are remembered")
	ErrUnavailable = errors.New("used proofs can't be remembered")
)

// MaxLifetime is the longest time for which a proof can be valid.
const MaxLifetime = time.Hour

// A Config configures a Verifier. All fields but Nonces are required.
type Config struct {
	Algorithms []string         // the accepted values of alg: some of Algorithms
	Lifetime   time.Duration    // how long after its iat a proof is valid, at most MaxLifetime
	Tolerance  time.Duration    // how far ahead iat may be, because clocks differ
	Nonces     *Nonces          // nil: proofs need no nonce
	Replays    *Replays         // the used proofs
	Now        func() time.Time // the clock
}

// A Verifier verifies proofs of possession for protected resources. It is safe for concurrent use.
type Verifier struct{ Config }

// NewVerifier returns a Verifier.
func NewVerifier(c Config) *Verifier { return &Verifier{c} }

// A Request is what a proof must be for.
type Request struct {
	Proofs []string // the values of the header DPoP
	Method string
	URL    string // scheme, host and path as the client sees them
}

// A Proof is a proof whose signature and request are verified, but not yet its token.
type Proof struct {
	thumbprint string // of its key (RFC 7638), in base64url
	tokenHash  string // ath
	id         digest // of the key, the request and the jti
	key        digest // of the key, under which its proofs are counted
	expires    time.Time
}

// Verify verifies a proof up to its signature (RFC 9449 §4.3). Cheap checks come before costly ones. Confirm and UseOnce do the rest.
func (v *Verifier) Verify(r *Request) (*Proof, error) {
	text, err := single(r.Proofs)
	if err != nil {
		return nil, err
	}
	j, err := parse(text)
	if err != nil {
		return nil, err
	}
	alg, key, err := j.header.key(v.Algorithms)
	if err != nil {
		return nil, err
	}
	c, err := j.claims.of(r)
	if err != nil {
		return nil, err
	}
	if err := v.checkAge(c.issued); err != nil {
		return nil, err
	}
	if v.Nonces != nil && v.Nonces.age(c.nonce, v.Now()) == unknownNonce {
		return nil, ErrNonce
	}
	if err := j.verifySignature(alg, key); err != nil {
		return nil, err
	}
	thumbprint, err := key.thumbprint()
	if err != nil {
		return nil, err
	}
	return &Proof{
		thumbprint: thumbprint, tokenHash: c.tokenHash, expires: c.issued.Add(v.Lifetime + v.Tolerance),
		id: digestOf(thumbprint, r.Method, normalURL(r.URL), c.id), key: digestOf(thumbprint),
	}, nil
}

// checkAge checks that a proof was made recently, and not in the future.
func (v *Verifier) checkAge(issued time.Time) error {
	switch age := v.Now().Sub(issued); {
	case age > v.Lifetime:
		return fmt.Errorf("iat: the proof is %s old, and is valid for %s", age.Round(time.Second), v.Lifetime)
	case age < -v.Tolerance:
		return fmt.Errorf("iat: the proof is from %s ahead, and clocks may differ by %s", (-age).Round(time.Second), v.Tolerance)
	}
	return nil
}

// Confirm checks that the proof is for an access token, which is bound to the key with this thumbprint (RFC 9449 §6.1, §7).
func (p *Proof) Confirm(token, thumbprint string) error {
	hash := sha256.Sum256([]byte(token))
	switch {
	case !equal(p.thumbprint, thumbprint):
		return errors.New("jkt: the proof is of another key than the one to which the token is bound")
	case !equal(p.tokenHash, base64.RawURLEncoding.EncodeToString(hash[:])):
		return errors.New("ath: the proof is for another access token")
	}
	return nil
}

// UseOnce remembers a proof until it can't be valid any more, and returns ErrReplayed if it was used before. The user is a random number of
// the request: a request may use its own proof again. It is the last check, so only proofs that are good otherwise take room.
func (v *Verifier) UseOnce(ctx context.Context, p *Proof, user uint64) error {
	return v.Replays.use(ctx, p, user, v.Now())
}

// NextNonce returns the nonce that the client should use from now on, if the nonce in its proof is about to expire. It returns ""
// otherwise. The proof must be verified.
func (v *Verifier) NextNonce(proofs []string) string {
	if v.Nonces == nil || len(proofs) != 1 {
		return ""
	}
	j, err := parse(proofs[0])
	if err != nil {
		return ""
	}
	nonce, _ := j.claims["nonce"].(string)
	if v.Nonces.age(nonce, v.Now()) != previousNonce {
		return ""
	}
	return v.Nonces.at(v.Now(), 0)
}

// equal compares in constant time.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// A digest is a hash under which proofs are remembered.
type digest [16]byte

// digestOf returns the digest of texts.
func digestOf(texts ...string) digest {
	b := make([]byte, 0, 256)
	for _, t := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(t))), t...)
	}
	sum := sha256.Sum256(b)
	return digest(sum[:16])
}
