// Package keyring derives keys from the configured secrets. It signs and encrypts cookies, seals records so that a shared store can't
// read, change or move them, and makes names for them that reveal nothing to the store.
package keyring

import (
	"bytes"
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
	minSecret   = 32      // bytes of a secret
	maxIDCookie = 256     // bytes; any signed ID is shorter
	maxSealed   = 8 << 10 // bytes; browsers store no longer cookie
)

// A Keyring has the keys of one or more secrets. HKDF (RFC 5869) derives a key for each use, so a value of one use is not valid in
// another. The newest secret seals, and all secrets open. A Keyring is safe for concurrent use.
type Keyring struct {
	rings  []*ring
	newest auth.Secret
}

// A ring has the keys of one secret.
type ring struct {
	id      [8]byte                    // names the secret in a record, so that opening needs no trials
	record  []byte                     // each record's key is derived from it
	names   []byte                     // the key of the HMACs in Names
	session *securecookie.SecureCookie // signs IDs
	ids     *idOpener                  // opens them
	login   *securecookie.SecureCookie
}

// New returns the keyring of the secrets, of which the newest comes first.
func New(secrets []auth.Secret) (*Keyring, error) {
	k := &Keyring{}
	for n, s := range secrets {
		if len(s) < minSecret {
			const expected = "session_secret: entry %d has %d bytes, expected %d or more: openssl rand -base64 32"
			return nil, fmt.Errorf(expected, n+1, len(s), minSecret)
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
	r.ids = newIDOpener(derive(s, "session cookie"))
	r.login = securecookie.New(derive(s, "login cookie mac"), derive(s, "login cookie encryption"))
	for _, c := range []*securecookie.SecureCookie{r.session, r.login} {
		c.SetSerializer(securecookie.NopEncoder{}).MaxAge(0).MaxLength(0)
	}
	return r
}

// derive returns a key of 32 bytes for one use.
func derive(secret auth.Secret, use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "sallyport v1 "+use, 32)
	if err != nil {
		panic(err) // 32 bytes never exceed the limit of HKDF
	}
	return key
}

// Derive returns a key of 32 bytes for a use of the caller, derived from the newest secret.
func (k *Keyring) Derive(use string) []byte { return derive(k.newest, "derived "+use) }

// Generate returns a random secret, for a process without a configured one.
func Generate() auth.Secret {
	b := make([]byte, minSecret)
	rand.Read(b)
	return auth.Secret(base64.StdEncoding.EncodeToString(b))
}

// SignID returns the value of a session cookie: the ID, with an HMAC over it and the cookie's name.
func (k *Keyring) SignID(cookieName string, id [32]byte) (string, error) {
	return k.rings[0].session.Encode(cookieName, id[:])
}

// OpenID returns the ID in a session cookie. It reports false unless one of the secrets signed the cookie under this name.
func (k *Keyring) OpenID(cookieName, value string) (id [32]byte, ok bool) {
	if len(value) > maxIDCookie {
		return id, false
	}
	for _, r := range k.rings {
		if id, ok := r.ids.open(cookieName, value); ok {
			return id, true
		}
	}
	return id, false
}

// Seal encrypts and authenticates the content of a short-lived cookie under its name.
func (k *Keyring) Seal(cookieName string, plain []byte) (string, error) {
	own := bytes.Clone(plain) // securecookie encrypts in place
	return k.rings[0].login.Encode(cookieName, own)
}

// Unseal returns the content that Seal sealed under this name. It reports false unless one of the secrets sealed it. The caller checks its
// age.
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
