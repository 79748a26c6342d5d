package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// A record is what a shared store sees of a session:
//
//	version 1 byte | key id 8 bytes | nonce 12 bytes | AES-256-GCM of the JSON
//
// Its key is made from the secret and the session's ID, and the name under which it is stored is authenticated with it: a
// reader of the store learns nothing, and a record that was moved to another name doesn't open.

const recordHead = 1 + 8 + 12

var errRecord = errors.New("the record doesn't open")

// name is under what a session is stored: a hash, from which nobody gets back to the ID.
func (id *ID) name(prefix string) string {
	h := sha256.New()
	h.Write([]byte("sallyport session name\x00"))
	h.Write(id[:])
	return prefix + "s:" + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (r *ring) cipher(id ID) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, r.record, id[:], "sallyport v1 session record", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal returns the record of s, to be stored under name.
func (k *Keyring) seal(id ID, name string, s *Session) ([]byte, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	r := &k.rings[0]
	aead, err := r.cipher(id)
	if err != nil {
		return nil, err
	}
	b := make([]byte, recordHead, recordHead+len(plain)+aead.Overhead())
	b[0] = version
	copy(b[1:9], r.id[:])
	rand.Read(b[9:recordHead])
	return aead.Seal(b, b[9:recordHead], plain, append(b[:9:9], name...)), nil
}

// open returns the session of a record that was stored under name.
func (k *Keyring) open(id ID, name string, b []byte) (*Session, error) {
	if len(b) < recordHead || b[0] != version {
		return nil, errRecord
	}
	for i := range k.rings {
		r := &k.rings[i]
		if string(r.id[:]) != string(b[1:9]) {
			continue
		}
		aead, err := r.cipher(id)
		if err != nil {
			return nil, err
		}
		plain, err := aead.Open(nil, b[9:recordHead], b[recordHead:], append(b[:9:9], name...))
		if err != nil {
			return nil, errRecord
		}
		s := &Session{stored: b}
		if err := json.Unmarshal(plain, s); err != nil || s.Version != version {
			return nil, fmt.Errorf("%w: %w", errRecord, err)
		}
		return s, nil
	}
	return nil, fmt.Errorf("%w: none of the secrets sealed it", errRecord)
}

// indexNames are the names of an index under each secret, the newest first: an HMAC, so that a reader of the store can't
// tell whose sessions it lists.
func (k *Keyring) indexNames(prefix, kind, issuer, value string) []string {
	names := make([]string, len(k.rings))
	for i := range k.rings {
		m := hmac.New(sha256.New, k.rings[i].index)
		m.Write([]byte(indexName(kind, issuer, value)))
		names[i] = prefix + "i:" + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	return names
}
