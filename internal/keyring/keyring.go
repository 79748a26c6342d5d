// Package keyring is what the configured secrets are made into: cookies that nobody else can make or read, records that a
// shared store can't read, change or move, and names that tell it nothing.
package keyring

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/gorilla/securecookie"

	"sallyport/internal/auth"
)

const (
	minSecret   = 32      // bytes of a session secret, at least
	maxIDCookie = 256     // bytes: more than any signed ID has
	maxSealed   = 8 << 10 // bytes: browsers keep no longer cookie
)

// A Keyring is what the secrets are made into. HKDF (RFC 5869) gives each use its own key, so that no value of one use
// means anything in another. The first secret seals, all open.
type Keyring struct {
	rings  []*ring
	newest auth.Secret
}

// A ring is the keys of one secret.
type ring struct {
	id      [8]byte // names the key in a record, so that rotation costs no trial
	record  []byte  // from which each record's key is derived
	names   []byte  // for HMACs of names
	session *securecookie.SecureCookie
	login   *securecookie.SecureCookie
}

// New derives the keys of the secrets, the newest first.
func New(secrets []auth.Secret) (*Keyring, error) {
	k := &Keyring{}
	for n, s := range secrets {
		if len(s) < minSecret {
			return nil, fmt.Errorf("session_secret: entry %d has %d bytes, expected %d or more: openssl rand -base64 32", n+1, len(s), minSecret)
		}
		k.rings = append(k.rings, newRing(s))
	}
	if len(k.rings) == 0 {
		return nil, errors.New("session_secret: expected at least one")
	}
	k.newest = secrets[0]
	return k, nil
}

func newRing(s auth.Secret) *ring {
	r := &ring{record: derive(s, "record"), names: derive(s, "index")}
	copy(r.id[:], derive(s, "key id"))
	r.session = securecookie.New(derive(s, "session cookie"), nil)
	r.login = securecookie.New(derive(s, "login cookie mac"), derive(s, "login cookie encryption"))
	for _, c := range []*securecookie.SecureCookie{r.session, r.login} {
		c.SetSerializer(securecookie.NopEncoder{}).MaxAge(0).MaxLength(0)
	}
	return r
}

// derive returns 32 bytes for one use.
func derive(secret auth.Secret, use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "sallyport v1 "+use, 32)
	if err != nil {
		panic(err) // only for lengths that SHA-256 can't give
	}
	return key
}

// Derive returns 32 bytes for a use of the caller's, made of the newest secret.
func (k *Keyring) Derive(use string) []byte { return derive(k.newest, "derived "+use) }

// Generate returns a random secret for a process that was given none.
func Generate() auth.Secret {
	b := make([]byte, minSecret)
	rand.Read(b)
	return auth.Secret(base64.StdEncoding.EncodeToString(b))
}

// SignID returns the value of a session cookie: the ID and an HMAC over it and the cookie's name.
func (k *Keyring) SignID(cookieName string, id [32]byte) (string, error) {
	return k.rings[0].session.Encode(cookieName, id[:])
}

// OpenID returns the ID that a session cookie holds; ok is false unless one of the secrets signed it under this name.
func (k *Keyring) OpenID(cookieName, value string) (id [32]byte, ok bool) {
	if len(value) > maxIDCookie {
		return id, false
	}
	for _, r := range k.rings {
		var b []byte
		if r.session.Decode(cookieName, value, &b) == nil && len(b) == len(id) {
			return [32]byte(b), true
		}
	}
	return id, false
}

// Seal encrypts and signs a short-lived cookie's content under its name.
func (k *Keyring) Seal(cookieName string, plain []byte) (string, error) {
	own := append([]byte(nil), plain...) // securecookie encrypts in place
	return k.rings[0].login.Encode(cookieName, own)
}

// Unseal opens what Seal made under this name with one of the secrets. How old it may be is for the caller to judge.
func (k *Keyring) Unseal(cookieName, value string) (plain []byte, ok bool) {
	if len(value) > maxSealed {
		return nil, false
	}
	for _, r := range k.rings {
		var b []byte
		if r.login.Decode(cookieName, value, &b) == nil {
			return b, true
		}
	}
	return nil, false
}
