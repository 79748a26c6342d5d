package authserver

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

// A handle is an access token, a refresh token or a code as the client has it: a random string that refers to a record here
// (RFC 6819 §3.1):
//
//	sp_   <4 tag>     <43 random> <6 check>    an access token
//	sp_r_ <22 family> <43 random> <6 check>    a refresh token
//	sp_c_ <22 family> <43 random> <6 check>    a code
//
// The parts after the prefix are base62, so that a double click selects a handle and a secret scanner finds it by its form. 43
// characters are 256 random bits. The check is a MAC: a handle that this server did not make is refused without a request to the
// store, so that guesses don't load the store. The check proves no more than that: only the store knows whether a handle is valid.
//
// A refresh token and a code contain the ID of their family. When one is used again after its record was deleted, the server knows by
// it which tokens must be revoked. The first characters of a family's ID are the tag of all its handles and records: a Redis Cluster stores
// them in one slot. The tag of an access token without a family is random.
type handle struct {
	kind   kind
	tag    string
	family string // empty for access tokens
	text   string // the whole string
}

type kind string

const (
	accessHandle  kind = ""
	refreshHandle kind = "r_"
	codeHandle    kind = "c_"
)

const (
	randomLength = 43 // characters: 256 bits
	familyLength = 22 // characters: 131 bits
	tagLength    = 4  // characters: many more tags than a Cluster has slots
	checkLength  = 6  // characters: 35 bits
	base62       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// A digest names a handle or a family in a store. It can't be inverted.
type digest [sha256.Size]byte

func (h *handle) digest() digest { return sha256.Sum256([]byte(h.text)) }

func (d digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }

func familyDigest(family string) digest { return sha256.Sum256([]byte("family " + family)) }

// A mint makes handles and recognizes its own.
type mint struct {
	prefix  string
	keyring *keyring.Keyring
}

func newFamily() string { return randomText(familyLength) }

// make returns a new handle. An access token without a family has the family "".
func (m *mint) make(k kind, family string) handle {
	head := family
	if k == accessHandle {
		head, family = tagOf(cmp.Or(family, newFamily())), ""
	}
	body := head + randomText(randomLength)
	return handle{kind: k, tag: tagOf(head), family: family, text: m.prefix + string(k) + body + m.checks(k, body)[0]}
}

// tagOf returns the tag of a family, of which text is the ID or a longer string.
func tagOf(text string) string { return text[:tagLength] }

// parse parses a handle of one kind. It reports false for a handle of another kind, or one that this mint did not make.
func (m *mint) parse(k kind, text string) (h handle, ok bool) {
	rest, ok := strings.CutPrefix(text, m.prefix+string(k))
	head := familyLength
	if k == accessHandle {
		head = tagLength
	}
	if !ok || len(rest) != head+randomLength+checkLength {
		return h, false
	}
	body, check := rest[:len(rest)-checkLength], rest[len(rest)-checkLength:]
	for _, own := range m.checks(k, body) {
		if subtle.ConstantTimeCompare([]byte(own), []byte(check)) == 1 {
			h = handle{kind: k, tag: tagOf(body), text: text}
			if k != accessHandle {
				h.family = body[:head]
			}
			return h, true
		}
	}
	return h, false
}

// checks returns the check of a handle under each secret, the newest first.
func (m *mint) checks(k kind, body string) []string {
	names := m.keyring.Names("oauth2 handle", m.prefix, string(k), body)
	for i, name := range names {
		mac, _ := base64.RawURLEncoding.DecodeString(name) // never fails: Names returns base64url
		n := binary.BigEndian.Uint64(mac)
		var check [checkLength]byte
		for j := range check {
			check[j], n = base62[n%62], n/62
		}
		names[i] = string(check[:])
	}
	return names
}

// randomText returns n random characters of base62, uniformly distributed.
func randomText(n int) string {
	text, b := make([]byte, 0, n), make([]byte, 2*n)
	for len(text) < n {
		rand.Read(b) // never fails
		for _, c := range b {
			if c < 4*62 && len(text) < n { // larger values would favour some characters
				text = append(text, base62[c%62])
			}
		}
	}
	return string(text)
}

// NewSecret returns a client secret of 256 random bits and the line for client_secret_hash.
func NewSecret() (secret auth.Secret, line string) {
	text := randomText(randomLength)
	return auth.Secret(text), sha256Line(text)
}
