package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// A record is a sealed value, as a shared store has it:
//
//	version 1 byte | key id 8 bytes | nonce 12 bytes | AES-256-GCM of the value
//
// Its key is derived from the secret, the use and a salt that the store doesn't have. The name under which it is stored is authenticated
// too. So a reader of the store learns nothing, and a record that was moved to another name doesn't open.
const (
	recordVersion = 1
	recordKey     = 1 + 8          // end of the key id
	recordHead    = recordKey + 12 // end of the nonce
)

// ErrRecord means that a record doesn't open: it was changed or moved, or none of the secrets sealed it.
var ErrRecord = errors.New("the record doesn't open")

func (r *ring) cipher(use, salt string) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, r.record, "sallyport v1 "+use+"\x00"+salt, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// SealRecord returns the record of a value, which is stored under name. A record opens only with the same use, name and salt. The salt is
// a value that readers of the record have and the store does not, such as the ID of a session; it may be empty.
func (k *Keyring) SealRecord(use, name, salt string, plain []byte) (string, error) {
	aead, err := k.rings[0].cipher(use, salt)
	if err != nil {
		return "", err
	}
	b := make([]byte, recordHead, recordHead+len(plain)+aead.Overhead())
	b[0] = recordVersion
	copy(b[1:recordKey], k.rings[0].id[:])
	rand.Read(b[recordKey:])
	return string(aead.Seal(b, b[recordKey:], plain, authenticated(b, name))), nil
}

// authenticated returns the additional data of a record: its version, its key ID and its name.
func authenticated(record []byte, name string) []byte {
	return append(record[:recordKey:recordKey], name...)
}

// OpenRecord returns the value of a record that was stored under name, or an error that wraps ErrRecord.
func (k *Keyring) OpenRecord(use, name, salt, record string) ([]byte, error) {
	b := []byte(record)
	if len(b) < recordHead || b[0] != recordVersion {
		return nil, fmt.Errorf("%w: it has another format", ErrRecord)
	}
	r := k.ring([8]byte(b[1:recordKey]))
	if r == nil {
		return nil, fmt.Errorf("%w: none of the secrets sealed it", ErrRecord)
	}
	aead, err := r.cipher(use, salt)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, b[recordKey:recordHead], b[recordHead:], authenticated(b, name))
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed or moved", ErrRecord)
	}
	return plain, nil
}

func (k *Keyring) ring(id [8]byte) *ring {
	for _, r := range k.rings {
		if r.id == id {
			return r
		}
	}
	return nil
}

// Names returns the name that stands for parts in a store, under each secret, the newest first. Names are HMACs, so that a reader of the
// store can't guess the parts.
func (k *Keyring) Names(parts ...string) []string {
	names := make([]string, len(k.rings))
	for i, r := range k.rings {
		names[i] = base64.RawURLEncoding.EncodeToString(macOf(r.names, parts...))
	}
	return names
}
