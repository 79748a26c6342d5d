// Package console serves the pages on which a person sees what the running gate does: its configuration, routes, issuers, sessions and
// recent refusals. They need no scripts. Package app says what there is to see (Config), and who the person is follows from one of two
// front ends: Admin, with the admin token, and Person, behind a route.
package console

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"time"
)

// A Config says what the console shows and does. All its functions must be set and are called concurrently.
type Config struct {
	Overview func() Overview
	Routes   func() []Route
	Keys     func(context.Context) Keys
	Sessions func(ctx context.Context, q Query, page string) (Sessions, error)
	End      func(context.Context, Ending) (ended int, err error)
	Refusals func() []Refusal // the newest first

	Log *slog.Logger
	Now func() time.Time // nil: time.Now
}

// A Console serves the pages. It is safe for concurrent use.
type Console struct {
	Config
	key []byte // of the tokens in forms, for as long as the process runs
}

// New returns a console.
func New(c Config) *Console {
	if c.Now == nil {
		c.Now = time.Now
	}
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return &Console{Config: c, key: key}
}

// A visitor is the person who sends a request.
type visitor struct {
	Name   string // as the pages call the person; empty: unknown, and only the login page is shown
	Person bool   // Name is the sub of a person
	MayEnd bool   // end sessions
	Login  bool   // may log in with the admin token, to end sessions
	Logout bool   // has logged in with it
	Form   string // the token that each form sends

	actor   Actor
	origins []string // from which forms may come: scheme://host, or the host alone
}

// Known reports whether the visitor may read the pages.
func (v *visitor) Known() bool { return v.Name != "" }

// formToken returns the token of the forms for one login.
func (c *Console) formToken(login ...string) string {
	mac := hmac.New(sha256.New, c.key)
	for _, part := range login {
		sum := sha256.Sum256([]byte(part)) // of a fixed length, so that parts can't be shifted
		mac.Write(sum[:])
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// A page answers a request for one address of the console.
type page func(c *Console, w http.ResponseWriter, r *http.Request, v *visitor)

// pages has the pages by the last segment of their path. All are in one folder, so that links between them need no base.
var pages = map[string]page{
	"": (*Console).overview, "routes": (*Console).routes, "keys": (*Console).keys, "sessions": (*Console).sessions,
	"end": (*Console).end, "refusals": (*Console).refusals, "refusal": (*Console).refusal,
}

// serve answers a request for a page.
func (c *Console) serve(w http.ResponseWriter, r *http.Request, name string, v *visitor) {
	serve, found := pages[name]
	switch {
	case !found:
		c.message(w, v, http.StatusNotFound, "Not found", "The console has no page with this address.")
	case r.Method == http.MethodPost && name == "end":
		if c.acceptForm(w, r, v) {
			c.postEnd(w, r, v)
		}
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		c.message(w, v, http.StatusMethodNotAllowed, "Method not allowed", "This page can only be read.")
	default:
		serve(c, w, r, v)
	}
}
