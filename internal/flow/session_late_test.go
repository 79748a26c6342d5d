package flow

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/provider"
	"sallyport/internal/session"
)

// A lateRig has the sessions of one route in memory, with a real provider.
type lateRig struct {
	*testing.T
	provider *provider.Provider
	flow     *sessions
	now      time.Time
}

func newLateRig(t *testing.T, change func(*Settings)) *lateRig {
	r := &lateRig{T: t, now: time.Now()}
	r.provider = provider.Start(t, provider.Config{
		Clients: []provider.Client{{ID: "app", Secret: "app-secret"}}, Users: []provider.User{{Username: "john", Password: "doe"}},
	})
	s := &Settings{SessionSettings: SessionSettings{SessionCookieName: "s", SessionCookie: CookieSettings{Path: "/", SameSite: "Lax"}}}
	s.Client.Issuer, s.Client.ClientID, s.Client.VerifySignature, s.Client.VerifyClaims = r.provider.URL, []string{"app"}, true, true
	s.Client.Timeout, s.Client.SSLVerify, s.Client.Keepalive, s.Client.CallsPerClient = 5*time.Second, true, true, 32
	s.Session.Storage, s.Session.Audience, s.Session.RollingTimeout = "memory", defaultAudience, time.Hour
	change(s)
	d := &Deps{Base: "/", Now: func() time.Time { return r.now }, Log: slog.New(slog.DiscardHandler)}
	issuer, err := oidc.NewIssuer(oidc.Config{IssuerSettings: s.Client.IssuerSettings, Log: d.Log})
	r.must(err)
	d.Clients, err = oidc.NewClients(oidc.ClientConfig{Settings: s.Client, Issuer: issuer, HashKey: []byte("of the test")})
	r.must(err)
	d.Keyring, err = keyring.New([]auth.Secret{"a secret of the test, long enough to be one"})
	r.must(err)
	d.Sessions, err = session.New(session.Config{Settings: s.Session, Keyring: d.Keyring, Now: d.Now, Log: d.Log})
	r.must(err)
	t.Cleanup(func() { d.Sessions.Close() })
	s.AuthMethods = []Method{"session"}
	b, err := (&Part{Settings: s, Deps: *d}).build(nil)
	r.must(err)
	r.flow = b.sessions
	return r
}

func (r *lateRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// login returns a login of john, with an access token that expires at a time.
func (r *lateRig) login(token string, expiry time.Time) session.Login {
	identity := &auth.Identity{
		Flow: "session", Issuer: r.provider.URL, ClientID: "app", Subject: "john", AccessToken: auth.Claims{"sub": "john"},
		Tokens: auth.Tokens{AccessToken: token, Expiry: expiry},
	}
	return session.Login{
		Audience: defaultAudience, Issuer: r.provider.URL, ClientID: "app", Subject: "john", Identity: identity, Obtained: r.now,
	}
}

func (r *lateRig) start(old *session.ID, l session.Login) session.ID {
	r.Helper()
	l.Obtained = r.now
	id, _, err := r.flow.store.Start(r.Context(), old, l)
	r.must(err)
	return id
}

// request returns a request with the cookie of a session.
func (r *lateRig) request(id session.ID) *auth.Request {
	r.Helper()
	value, err := r.flow.keyring.SignID("s", id)
	r.must(err)
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("Cookie", "s="+value)
	return &auth.Request{Request: req, Origin: "http://127.0.0.1", Path: "/"}
}

// A session ends if its tokens do not verify, but not if a refresh replaced those tokens meanwhile.
func TestReverifyEndsWhatItJudged(t *testing.T) {
	for _, refreshed := range []bool{false, true} {
		r := newLateRig(t, func(s *Settings) { s.Reverify = true })
		good := r.provider.AccessToken("john", "app", nil)
		id := r.start(nil, r.login(good[:len(good)-8]+"AAAAAAAA", r.now.Add(time.Hour)))
		waiting, release := r.provider.Hold(provider.JWKS)
		done := make(chan error, 1)
		var res *auth.Result
		go func() {
			var err error
			res, err = r.flow.Authenticate(r.request(id))
			done <- err
		}()
		<-waiting
		if refreshed {
			r.update(id, r.login(good, r.now.Add(time.Hour)))
		}
		release()
		err := <-done
		if (err == nil) != refreshed || refreshed && res.Identity.Tokens.AccessToken != good {
			t.Errorf("refreshed meanwhile: %v: got %v, %v", refreshed, res, err)
		}
		if _, err := r.flow.store.Peek(t.Context(), id); (err == nil) != refreshed {
			t.Errorf("refreshed meanwhile: %v: then the session: %v", refreshed, err)
		}
	}
}

// update changes a session as a refresh of another replica does.
func (r *lateRig) update(id session.ID, l session.Login) {
	r.Helper()
	_, err := r.flow.store.Update(r.Context(), id, func(_ context.Context, current *session.Session) (*session.Session, error) {
		return current.With(l), nil
	}, nil)
	r.must(err)
}

// A cookie that an answer sets or clears is checked again when the answer is sent: the cookie of a later login of the same
// browser stays, and the cookie of a session that has ended is not set.
func TestReview(t *testing.T) {
	r := newLateRig(t, func(*Settings) {})
	token := r.provider.AccessToken("john", "app", nil)
	login := r.login(token, r.now.Add(24*time.Hour))
	nothing := func(_, _ session.ID) {}
	restarts := func(id, _ session.ID) { r.start(&id, login) }
	ends := func(_, id session.ID) {
		_, err := r.flow.store.EndLogin(t.Context(), id)
		r.must(err)
	}
	for name, c := range map[string]struct {
		age       time.Duration // of the session, when the request comes
		meanwhile func(id, rotated session.ID)
		forwarded bool
		kept      bool
	}{
		"a rotated session's":                          {50 * time.Minute, nothing, true, true},
		"of a session that was replaced":               {50 * time.Minute, restarts, true, false},
		"of one that ended":                            {50 * time.Minute, ends, true, false},
		"of one that ended, in an answer sent at once": {50 * time.Minute, ends, false, true},
		"that clears a dead one":                       {2 * time.Hour, nothing, true, true},
		"that clears one whose browser has another":    {2 * time.Hour, restarts, true, false},
		"the same, sent at once":                       {2 * time.Hour, restarts, false, false},
	} {
		id := r.start(nil, login)
		r.now = r.now.Add(c.age)
		req := r.request(id)
		res, err := r.flow.Authenticate(req)
		header := auth.HeaderOf(err)
		if err == nil {
			header = res.Header
		}
		if len(header["Set-Cookie"]) != 1 {
			t.Fatalf("%s: %v, %v", name, header, err)
		}
		c.meanwhile(id, r.sessionOf(header["Set-Cookie"][0]))
		got := r.flow.Review(req, header, c.forwarded)
		if kept := len(got["Set-Cookie"]) == 1; kept != c.kept {
			t.Errorf("a cookie %s: sent is %v", name, kept)
		}
		if len(header["Set-Cookie"]) != 1 {
			t.Errorf("a cookie %s: the flow's header has changed", name)
		}
	}
}

// sessionOf returns the session ID in a Set-Cookie header.
func (r *lateRig) sessionOf(line string) session.ID {
	c, err := http.ParseSetCookie(line)
	r.must(err)
	id, _ := r.flow.keyring.OpenID("s", c.Value)
	return id
}
