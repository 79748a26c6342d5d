package flow

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

const (
	maxLoginCookie = 4000     // bytes of a login's cookie, name and value: browsers keep no longer one (RFC 6265 §6.1)
	maxLogin       = 64 << 10 // bytes of a login that was compressed
	maxLogins      = 32       // that a browser keeps for one route
	maxLoginBytes  = 6 << 10  // of all their cookies together: proxies in front bound the Cookie header
	seedBytes      = 32       // what a login's secrets are made from
)

// errLongReturn says that the address of a page doesn't fit the cookie of a login.
var errLongReturn = errors.New("the page's address is too long to be remembered for the time of a login")

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

// remember puts a login into its cookie. Its error is errLongReturn for a page whose address doesn't fit.
func (f *authorizationCode) remember(h http.Header, r *auth.Request, l *login) error {
	plain, err := l.encode()
	if err != nil {
		return err
	}
	name := f.cookieName(r, l.state())
	sealed, err := f.keyring.Seal(name, plain)
	if err != nil {
		return err
	}
	if len(name)+len(sealed) > maxLoginCookie {
		return errLongReturn
	}
	f.cookie.set(h, r, name, sealed, int((f.settings.AuthorizationRollingTimeout + loginRemembers).Seconds()))
	return nil
}

// unsealValue opens a login's cookie; nil if it isn't one of ours.
func (f *authorizationCode) unsealValue(name, value string) *login {
	plain, ok := f.keyring.Unseal(name, value)
	if !ok {
		return nil
	}
	l, err := decodeLogin(plain)
	if err != nil {
		return nil
	}
	return l
}

// tooLong is the answer to a request for a page whose address is too long to come back to: the person logs in at the route's first
// page, and opens the address anew.
func tooLong(r *auth.Request, home string) error {
	return &auth.Error{Status: http.StatusUnauthorized, Reason: "login_return_too_long", Title: "Please log in first", Err: errLongReturn,
		Description: "The address of this page is too long to come back to it after the login. Log in in a new tab, then reload this page.",
		Link:        r.Origin + home, Action: "Log in in a new tab", NewTab: true}
}

// isLoginName reports whether a cookie's name is that of a login of this route.
func isLoginName(name, prefix string) bool {
	digest, found := strings.CutPrefix(name, prefix)
	return found && isHex(digest, 2*stateDigest)
}
