package session

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/keyring"
)

// A content is the plaintext of an entry's record: either a session, or a successor.
type content struct {
	Session  *Session  `json:"session,omitempty"`
	Remember []byte    `json:"remember,omitempty"` // the session's remember ID
	Next     []byte    `json:"next,omitempty"`     // the successor's ID; zeros after a login
	Until    time.Time `json:"until,omitzero"`
}

var errRecord = errors.New("no session")

// recordUse separates the records of sessions from the keyring's other records. Each is salted with the session's ID, so the
// secret alone doesn't open a record.
const recordUse = "session record"

// digest returns the name of an ID in a store: a hash, which can't be inverted.
func (id ID) digest() string {
	sum := sha256.Sum256(append([]byte("sallyport v1 session name\x00"), id[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Hash returns a hash of an ID for headers. It is another one than the store's, so a reader of headers can't find the record.
func (id ID) Hash() string {
	sum := sha256.Sum256(append([]byte("sallyport v1 session header\x00"), id[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// seal returns the record of an entry, which is stored under name.
func (e *entry) seal(k *keyring.Keyring, name string) (string, error) {
	c := content{Session: e.session}
	if e.session != nil && e.session.Remember != (ID{}) {
		c.Remember = e.session.Remember[:]
	}
	if e.successor != nil {
		c.Next, c.Until = e.successor.ID[:], e.successor.Until
	}
	return k.SealJSON(recordUse, name, string(e.id[:]), c)
}

// open returns the entry of a record that was stored under name. The error wraps errRecord or keyring.ErrRecord.
func open(k *keyring.Keyring, id ID, name, record string) (*entry, error) {
	var c content
	if err := k.OpenJSON(recordUse, name, string(id[:]), record, &c); err != nil {
		return nil, err
	}
	e := &entry{id: id, record: record}
	return e, e.decode(&c)
}

func (e *entry) decode(c *content) error {
	switch {
	case c.Session != nil && c.Session.Version == version && c.Session.Login.Identity != nil:
		e.session = c.Session
		if len(c.Remember) == len(ID{}) {
			e.session.Remember = ID(c.Remember)
		}
	case len(c.Next) == len(ID{}):
		e.successor = &successor{ID: ID(c.Next), Until: c.Until}
	default:
		return fmt.Errorf("%w: its content has another format", errRecord)
	}
	return nil
}
