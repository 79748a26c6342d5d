package flow

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	maxLoginCookie = 4000     // bytes of a login's cookie, name and value: browsers keep no longer one (RFC 6265 §6.1)
	maxLogin       = 64 << 10 // bytes of a login that was compressed
	maxLogins      = 32       // that a browser keeps for one route
	maxLoginBytes  = 6 << 10  // of all their cookies together: proxies in front bound the Cookie header
)

// errLongReturn says that the address of a page doesn't fit the cookie of a login.
var errReturnTooLong = errors.New("the page's address is too long to be remembered for the time of a login")

// encode returns a login as the cookie holds it: compressed, because addresses are long and browsers' cookies short.
func (l *login) encode() ([]byte, error) {
	plain, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(slices.Clone(l.Seed)) // random bytes, which nothing compresses
	w, err := flate.NewWriterDict(out, flate.BestCompression, loginWords)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(w, "%s\n%s", plain, l.Return); err != nil { // a query may hold bytes that JSON doesn't
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// loginWords are what most logins hold, in the order in which they stand there.
var loginWords = []byte("&page=&id=&q=%20%3A%2F%2F.html?{\"c\":\"app\",\"o\":\"http://localhost:8000\",\"o\":\"https://app.example.com\",\"t\":17}\n/")

// decodeLogin reads what encode made. Only sealed bytes come here; the bound is for a fault of our own.
func decodeLogin(b []byte) (*login, error) {
	if len(b) < seedBytes {
		return nil, io.ErrUnexpectedEOF
	}
	r := flate.NewReaderDict(bytes.NewReader(b[seedBytes:]), loginWords)
	plain, err := io.ReadAll(io.LimitReader(r, maxLogin))
	if err != nil {
		return nil, err
	}
	members, back, _ := bytes.Cut(plain, []byte("\n"))
	l := &login{Seed: slices.Clone(b[:seedBytes]), Return: string(back)}
	if err := json.Unmarshal(members, l); err != nil {
		return nil, err
	}
	if !safeReturn(l.Return) {
		return nil, errors.New("the login returns to another host")
	}
	return l, nil
}
