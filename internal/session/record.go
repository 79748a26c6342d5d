package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A record is what a shared store sees of an entry:
//
//	version 1 byte | key id 8 bytes | nonce 12 bytes | AES-256-GCM of the JSON
//
// Its key is made from the secret and the session's ID, and the name under which it is stored is authenticated with it: a
// reader of the store learns nothing, and a record that was moved to another name doesn't open.
const (
	recordVersion = 1
	recordKey     = 1 + 8          // end of the key id
	recordHead    = recordKey + 12 // end of the nonce
)

// A content is what is sealed: one of the two.
type content struct {
	Session *Session  `json:"session,omitempty"`
	Next    []byte    `json:"next,omitempty"` // the successor's ID
	Until   time.Time `json:"until,omitzero"`
}

var errRecord = errors.New("the record doesn't open")

// digest is what names an ID in a store: a hash, from which nobody gets back to the ID.
func (id ID) digest() string {
	sum := sha256.Sum256(append([]byte("sallyport v1 session name\x00"), id[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (r *ring) cipher(id ID) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, r.record, "sallyport v1 session record\x00"+string(id[:]), 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal returns the record of an entry, to be stored under name.
func (k *Keyring) seal(e *entry, name string) (string, error) {
	c := content{Session: e.session}
	if e.successor != nil {
		c.Next, c.Until = e.successor.ID[:], e.successor.Until
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	aead, err := k.rings[0].cipher(e.id)
	if err != nil {
		return "", err
	}
	b := make([]byte, recordHead, recordHead+len(plain)+aead.Overhead())
	b[0] = recordVersion
	copy(b[1:recordKey], k.rings[0].id[:])
	rand.Read(b[recordKey:])
	return string(aead.Seal(b, b[recordKey:], plain, authenticated(b, name))), nil
}

// authenticated is what a record is bound to besides its content: its version, its key and its name.
func authenticated(record []byte, name string) []byte {
	return append(record[:recordKey:recordKey], name...)
}

// open returns the entry of a record that was stored under name.
func (k *Keyring) open(id ID, name, record string) (*entry, error) {
	b := []byte(record)
	if len(b) < recordHead || b[0] != recordVersion {
		return nil, fmt.Errorf("%w: it has another format", errRecord)
	}
	r := k.ring([8]byte(b[1:recordKey]))
	if r == nil {
		return nil, fmt.Errorf("%w: none of the secrets sealed it", errRecord)
	}
	aead, err := r.cipher(id)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, b[recordKey:recordHead], b[recordHead:], authenticated(b, name))
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed or moved", errRecord)
	}
	e := &entry{id: id, record: record}
	return e, e.decode(plain)
}

func (k *Keyring) ring(id [8]byte) *ring {
	for _, r := range k.rings {
		if r.id == id {
			return r
		}
	}
	return nil
}

func (e *entry) decode(plain []byte) error {
	var c content
	if err := json.Unmarshal(plain, &c); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	switch {
	case c.Session != nil && c.Session.Version == version:
		e.session = c.Session
	case len(c.Next) == len(ID{}):
		e.successor = &successor{ID: ID(c.Next), Until: c.Until}
	default:
		return fmt.Errorf("%w: its content has another format", errRecord)
	}
	return nil
}

// indexNames are the names of an index under each secret, the newest first: an HMAC, so that a reader of the store can't
// tell whose sessions it lists.
func (k *Keyring) indexNames(kind, issuer, value string) []string {
	names := make([]string, len(k.rings))
	for i, r := range k.rings {
		m := hmac.New(sha256.New, r.index)
		for _, part := range []string{issuer, kind, value} {
			m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			io.WriteString(m, part)
		}
		names[i] = base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	return names
}
