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
	maxLoginCookie = 4000     // the size of a login's cookie, name and value, in bytes: browsers reject longer ones (RFC 6265 §6.1)
	maxLogin       = 64 << 10 // the size of a decompressed login, in bytes
	maxLogins      = 32       // pending logins of a browser on one route
	maxLoginBytes  = 6 << 10  // the size of all their cookies, in bytes: proxies limit the Cookie header
)

// errReturnTooLong means that the URL of the requested page doesn't fit the cookie of a login.
var errReturnTooLong = errors.New("the address of the page is too long for the cookie of a login")

// encode returns the content of a login's cookie. It is compressed, because URLs are long and cookies are limited.
func (l *login) encode() ([]byte, error) {
	plain, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(slices.Clone(l.Seed)) // random bytes do not compress
	w, err := flate.NewWriterDict(out, flate.BestCompression, loginWords)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(w, "%s\n%s", plain, l.Return); err != nil { // a query may hold bytes that JSON cannot
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// loginWords is the dictionary for the compression: parts that most logins contain, in their order.
var loginWords = []byte("&page=&id=&q=%20%3A%2F%2F.html?" +
	`{"c":"app","o":"http://localhost:8000","o":"https://app.example.com","t":17}` + "\n/")

// decodeLogin reads the output of encode. Its input was sealed by this program, so the size limit is only a safeguard
// against bugs.
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
		return nil, errors.New("the return address of the login is on another host")
	}
	return l, nil
}
