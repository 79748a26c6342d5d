// Package dpop makes and verifies DPoP proofs (RFC 9449): those of the gate to servers, and those of clients to the gate. It makes the
// nonces of the gate, and remembers proofs so that none is used twice.
package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// A Key is a private key that signs DPoP proofs by ES256. It is immutable, and it never prints.
type Key struct {
	private *ecdsa.PrivateKey
	signer  jose.Signer
}

// NewKey returns a new random key.
func NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return newKey(private)
}

// KeyOf returns the key that a secret determines, always the same one. The secret must be random, of 32 bytes or more.
//
// HKDF (RFC 5869) keeps the key apart from all else that is derived from the secret: who knows those values learns nothing about the key.
// A candidate that isn't a private key of the curve is rejected, and not reduced to one, so that all keys are equally likely (FIPS 186-5
// A.2.2). That happens once in 2^32 secrets.
func KeyOf(secret []byte) (*Key, error) {
	for n := range 8 {
		candidate, err := hkdf.Key(sha256.New, secret, nil, fmt.Sprintf("sallyport v1 dpop key %d", n), 32)
		if err != nil {
			return nil, err
		}
		if private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), candidate); err == nil {
			return newKey(private)
		}
	}
	return nil, errors.New("no DPoP key can be derived from the secret")
}

// ParseKey returns the key of which Bytes returned b.
func ParseKey(b []byte) (*Key, error) {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b)
	if err != nil {
		return nil, errors.New("the DPoP key isn't a private key of P-256") // without err, which could quote it
	}
	return newKey(private)
}

func newKey(private *ecdsa.PrivateKey) (*Key, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	return &Key{private, signer}, err
}

// Bytes returns the private key, to be stored where it is sealed: 32 bytes.
func (k *Key) Bytes() ([]byte, error) { return k.private.Bytes() }

// Thumbprint returns the thumbprint of the public key (RFC 7638), base64url: the jkt of tokens that are bound to the key.
func (k *Key) Thumbprint() (string, error) {
	public := jose.JSONWebKey{Key: k.private.Public()}
	sum, err := public.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// Claims are what a proof says of a request.
type Claims struct {
	Method      string
	URL         *url.URL  // as the server sees it; its query and fragment are left out
	At          time.Time // iat
	Nonce       string    // of the server; empty: none
	AccessToken string    // that the request carries; empty: none
}

// Proof returns a new proof (RFC 9449 §4.2). Each is for one request.
func (k *Key) Proof(p Claims) (string, error) {
	claims := map[string]any{"jti": rand.Text(), "htm": p.Method, "htu": target(p.URL), "iat": p.At.Unix()}
	if p.Nonce != "" {
		claims["nonce"] = p.Nonce
	}
	if p.AccessToken != "" {
		sum := sha256.Sum256([]byte(p.AccessToken))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return jwt.Signed(k.signer).Claims(claims).Serialize()
}

// target returns the htu of a request for a URL. A request for an empty path asks for / (RFC 9110 §4.2.3).
func target(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + u.Host + path
}

const redacted = "[redacted]"

func (*Key) String() string       { return redacted }
func (*Key) GoString() string     { return redacted }
func (*Key) LogValue() slog.Value { return slog.StringValue(redacted) }
