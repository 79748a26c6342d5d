package session

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

const room = 3800

// A cookieRig has browsers, and processes with storage cookie that share a clock and a log.
type cookieRig struct {
	*testing.T
	clock *clock
	log   *syncBuffer
}

func newCookieRig(t *testing.T) *cookieRig { return &cookieRig{t, &clock{}, &syncBuffer{}} }

// process returns the sessions of another process.
func (r *cookieRig) process(t timeouts, secrets ...auth.Secret) *CookieSessions {
	r.Helper()
	if len(secrets) == 0 {
		secrets = []auth.Secret{secretA}
	}
	s, err := New(Config{
		Settings: Settings{Storage: "cookie", IdlingTimeout: t.idling, RollingTimeout: t.rolling, AbsoluteTimeout: t.absolute},
		Keyring:  mustKeyring(r, secrets...), Now: r.clock.now, Log: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { s.Close() })
	return s.Cookies()
}

func (r *cookieRig) pass(d time.Duration) { r.clock.offset.Add(int64(d)) }

// A jar is the cookies of a browser.
type jar map[string]string

func (j jar) cookies() (all []*http.Cookie) {
	for _, name := range slices.Sorted(maps.Keys(j)) {
		all = append(all, &http.Cookie{Name: name, Value: j[name]})
	}
	return all
}

// set stores the cookies of a session, and removes those that it doesn't need.
func (r *cookieRig) set(j jar, c *CookieSessions, s *Session) {
	r.Helper()
	values, err := c.Seal("s", room, s)
	if err != nil {
		r.Fatal(err)
	}
	for index := range MaxChunks {
		delete(j, ChunkName("s", index))
	}
	for index, value := range values {
		if len(value) > room {
			r.Errorf("chunk %d has %d bytes", index, len(value))
		}
		j[ChunkName("s", index)] = value
	}
}

// reads returns the complete set of chunks in a jar, whether it opens or not.
func (j jar) reads() (*chunkSet, bool) {
	sets, _ := chunksOf("s", j.cookies())
	return &sets[0], len(sets) == 1 && sets[0].complete()
}

func (j jar) read(c *CookieSessions) *Carried { return c.Read("s", j.cookies()) }

// login logs in with a browser.
func (r *cookieRig) login(j jar, c *CookieSessions, l Login) *Session {
	r.Helper()
	_, s, err := j.read(c).Start(context.Background(), nil, l)
	if err != nil {
		r.Fatal(err)
	}
	r.set(j, c, s)
	return s
}

// open makes a request, and expects a valid session. The browser gets the cookies that the process sets.
func (r *cookieRig) open(j jar, c *CookieSessions) *Opened {
	r.Helper()
	opened, err := j.read(c).Open(context.Background(), ID{})
	if err != nil {
		r.Fatal(err)
	}
	if opened.Rotated {
		r.set(j, c, opened.Session)
	}
	return opened
}

// refused expects that the cookies open no session, or one that has ended.
func (r *cookieRig) refused(j jar, c *CookieSessions) error {
	r.Helper()
	_, err := j.read(c).Open(context.Background(), ID{})
	if !isNotFound(err) {
		r.Fatalf("got %v, expected %v", err, ErrNotFound)
	}
	return err
}

// randomLogin returns a login whose tokens have n bytes that don't compress.
func randomLogin(n int) Login {
	l := john()
	b := make([]byte, n/4*3)
	rand.Read(b)
	l.Identity.Tokens.AccessToken = base64.RawURLEncoding.EncodeToString(b)
	return l
}

// refreshedTo returns a Refresh that brings an access token unless the session has it, and counts its tokens.
func refreshedTo(token string, calls *int) Refresh {
	return func(_ context.Context, s *Session) (*Session, error) {
		if strings.HasPrefix(s.Login.Identity.Tokens.AccessToken, token) {
			return s, nil
		}
		*calls++
		l := s.Login
		identity := *l.Identity
		identity.Tokens.AccessToken = fmt.Sprint(token, *calls)
		l.Identity = &identity
		return s.With(l), nil
	}
}
