package keyring

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
	"sync"
)

// An idOpener opens session cookies as securecookie writes them, with one HMAC and without allocations: it is called for each request
// that has a session. It is safe for concurrent use.
//
// The value of a cookie is base64url(TIME "|" base64url(ID) "|" HMAC-SHA256(NAME "|" TIME "|" base64url(ID))), where NAME is that of
// the cookie and TIME is in Unix seconds.
type idOpener struct{ states sync.Pool }

// An idState is what opening a cookie needs.
type idState struct {
	mac     hash.Hash
	cookie  []byte // the value of the cookie
	decoded []byte // the same without base64url
	signed  []byte // what the HMAC is of
	sum     []byte
}

func newIDOpener(key []byte) *idOpener {
	o := &idOpener{}
	o.states.New = func() any {
		return &idState{mac: hmac.New(sha256.New, key), decoded: make([]byte, maxIDCookie), sum: make([]byte, 0, sha256.Size)}
	}
	return o
}

// idEncoding refuses other unused bits (RFC 4648 §3.5), so that a cookie has one spelling.
var idEncoding = base64.URLEncoding.Strict()

// open returns the ID in a cookie. It reports false unless the key signed the cookie under this name. The value has at most maxIDCookie
// bytes.
func (o *idOpener) open(name, value string) (id [32]byte, ok bool) {
	s := o.states.Get().(*idState)
	defer o.states.Put(s)
	s.cookie = append(s.cookie[:0], value...)
	n, err := idEncoding.Decode(s.decoded, s.cookie)
	if err != nil {
		return id, false
	}
	content := s.decoded[:n]
	time, rest, _ := bytes.Cut(content, []byte("|"))
	encoded, sum, found := bytes.Cut(rest, []byte("|"))
	if !found || !s.verifies(name, content[:len(time)+1+len(encoded)], sum) {
		return id, false
	}
	if _, err := strconv.ParseInt(string(time), 10, 64); err != nil {
		return id, false
	}
	return decodeID(encoded)
}

// verifies reports whether sum is the HMAC of a cookie's name and content.
func (s *idState) verifies(name string, content, sum []byte) bool {
	s.signed = append(s.signed[:0], name...)
	s.signed = append(s.signed, '|')
	s.signed = append(s.signed, content...)
	s.mac.Reset()
	s.mac.Write(s.signed)
	return hmac.Equal(s.mac.Sum(s.sum[:0]), sum)
}

// decodeID decodes an ID.
func decodeID(encoded []byte) (id [32]byte, ok bool) {
	var b [len(id) + 2]byte // base64 decodes in steps of three bytes
	if idEncoding.DecodedLen(len(encoded)) > len(b) {
		return id, false
	}
	n, err := idEncoding.Decode(b[:], encoded)
	if err != nil || n != len(id) {
		return id, false
	}
	return [32]byte(b[:]), true
}
