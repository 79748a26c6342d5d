package session

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A carriage is what storage cookie knows of a session in addition. It is immutable.
type carriage struct {
	id      ID
	version uint64    // grows with each change of the cookie: of two versions of a login the higher one is newer
	used    time.Time // the last use that is recorded, in whole seconds
}

// newer reports whether a is a later version of a session than b.
func newer(a, b *Session) bool { return a.carried.version > b.carried.version }

// A cookieContent is the content of a record in cookies.
type cookieContent struct {
	Session *Session `json:"session"`
	Used    int64    `json:"used"` // Unix seconds
}

// cookieUse separates records in cookies from the keyring's other records.
const cookieUse = "session in a cookie"

// maxContent is the longest content, in bytes, before compression and after.
const maxContent = 64 << 10

// The first byte of a record's plaintext.
const (
	isPlain    = 0
	isDeflated = 1
)

// pack returns the plaintext of a session's record. It is the same for the same session.
func pack(s *Session) ([]byte, error) {
	content, err := json.Marshal(cookieContent{s, s.carried.used.Unix()})
	if err != nil {
		return nil, err
	}
	if len(content) > maxContent {
		return nil, fmt.Errorf("%w: it has %d bytes: write session_storage: redis", ErrTooLarge, len(content))
	}
	out := bytes.NewBuffer([]byte{isDeflated})
	w, err := flate.NewWriter(out, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if out.Len() > len(content) {
		return append([]byte{isPlain}, content...), nil
	}
	return out.Bytes(), nil
}

var errContent = errors.New("the content of the session's cookies has another format")

// unpack returns the session of a plaintext that pack made, and the size of its content.
func unpack(plain []byte, h head) (*Session, int, error) {
	if len(plain) == 0 {
		return nil, 0, errContent
	}
	content := plain[1:]
	if plain[0] == isDeflated {
		var err error
		content, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(content)), maxContent+1))
		if err != nil || len(content) > maxContent {
			return nil, 0, errContent
		}
	}
	var c cookieContent
	if err := json.Unmarshal(content, &c); err != nil || c.Session == nil {
		return nil, 0, errContent
	}
	if c.Session.Version != version || c.Session.Login.Identity == nil {
		return nil, 0, errContent
	}
	c.Session.carried = &carriage{id: h.id, version: h.version, used: time.Unix(c.Used, 0)}
	return c.Session, len(content), nil
}
