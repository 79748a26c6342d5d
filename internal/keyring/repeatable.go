package keyring

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// RecordOverhead is how many bytes a record is longer than its value.
const RecordOverhead = recordHead + 16

// SealRepeatably returns the record of a value, as SealRecord does, but computes the nonce from the value: replicas that seal the same
// value under the same name and salt return the same bytes. So a browser that receives a cookie in chunks from two of them can't mix the chunks
// up. Only a reader of both records learns that the values are equal.
func (k *Keyring) SealRepeatably(use, name, salt string, plain []byte) (string, error) {
	r := k.rings[0]
	aead, err := r.cipher(use, salt)
	if err != nil {
		return "", err
	}
	key, err := hkdf.Expand(sha256.New, r.record, "sallyport v1 nonce\x00"+use, sha256.Size)
	if err != nil {
		return "", err
	}
	b := make([]byte, recordHead, recordHead+len(plain)+aead.Overhead())
	b[0] = recordVersion
	copy(b[1:recordKey], r.id[:])
	copy(b[recordKey:], macOf(key, salt, name, string(plain)))
	return string(aead.Seal(b, b[recordKey:], plain, authenticated(b, name))), nil
}

// Successor returns 32 bytes that follow from an ID and the newest secret. Replicas with the same secret compute the same.
func (k *Keyring) Successor(id [32]byte) [32]byte {
	return [32]byte(macOf(k.Derive("successor of a session ID"), string(id[:])))
}

// macOf returns the HMAC of parts, each with its length.
func macOf(key []byte, parts ...string) []byte {
	m := hmac.New(sha256.New, key)
	for _, part := range parts {
		m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		io.WriteString(m, part)
	}
	return m.Sum(nil)
}
