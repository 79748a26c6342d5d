package session

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/golden"
)

// storedLogin returns the login of the stored sessions, which was made at a time. Every field has a value.
func storedLogin(at time.Time) Login {
	l := john()
	l.Obtained, l.Began = at, at.Add(-time.Second)
	l.Route, l.Client, l.Bound, l.RefreshFailed = "app", netip.MustParseAddr("192.0.2.7"), map[string]string{"ip": "192.0.2.7"}, true
	l.Identity.Introspection = auth.Claims{"active": true}
	l.Identity.Userinfo = auth.Claims{"sub": "john-sub", "email": "john@example.com"}
	l.Identity.MappedFrom = auth.Claims{"sub": "mapped"}
	l.Identity.AccessTokenJWK, l.Identity.IDTokenJWK = `{"kty":"EC"}`, `{"kty":"RSA"}`
	l.Identity.IntrospectionJWT, l.Identity.UserinfoJWT = "introspection.jwt", "userinfo.jwt"
	l.Identity.Presented, l.Identity.Session, l.Identity.BuiltIn = true, true, true
	l.Identity.Tokens.Expiry = at.Add(5 * time.Minute)
	l.Identity.Tokens.DPoPKey, l.Identity.Tokens.Certificate = []byte("a key"), "a thumbprint"
	return l
}

var storedForm = Form{
	Issuer: "https://idp.example.com", Subject: "john-sub", Origin: "https://app.example.com", Target: "/order?x=1",
	ContentType: "application/x-www-form-urlencoded", Body: []byte("a=1&b=2"),
}

// storedTimeouts don't end an unused session, so that the clock alone decides.
var storedTimeouts = timeouts{
	rolling: time.Hour, absolute: 24 * time.Hour, remember: true, rememberRolling: 7 * 24 * time.Hour, rememberAbsolute: 30 * 24 * time.Hour,
}

// storeInRedis stores sessions in Redis as the gate does now.
func storeInRedis(r *rig) func(*golden.File) {
	return func(f *golden.File) {
		s := r.sessions(storedTimeouts)
		s.KeepNotes()
		old := r.start(s, nil, storedLogin(r.clock.now()))
		r.pass(storedTimeouts.rolling / 4 * 3)
		at := r.clock.now().UTC().Truncate(time.Second)
		f.Put("at", at)
		plain, _, err := s.Start(r.Context(), nil, storedLogin(at))
		if err != nil {
			r.Fatal(err)
		}
		_, remember := r.remembered(s)
		if err := s.KeepForm(r.Context(), plain, &storedForm); err != nil {
			r.Fatal(err)
		}
		for name, id := range map[string]ID{"session": plain, "rotated": old, "successor": r.open(s, old).ID, "remember": remember} {
			f.Put(name, id[:])
		}
		f.PutRedis("redis", r.server.Client(r, 0))
	}
}

// TestStoredInRedis opens what earlier versions have stored in Redis: a session, an ID that was rotated, a remembered session, a form,
// and the index by which a logout finds sessions.
func TestStoredInRedis(t *testing.T) {
	f := golden.Open(t, "redis-v1", storeInRedis(redisRig(t)))
	r := redisRig(t)
	f.FillRedis("redis", r.server.Client(t, 0))
	r.clock.offset.Store(int64(time.Until(f.Time("at"))))
	s, id := r.sessions(storedTimeouts), func(name string) ID { return ID(f.Bytes(name)) }
	s.KeepNotes()

	checkStored(t, r.open(s, id("session")).Session, f.Time("at"))
	if next := r.open(s, id("rotated")); next.ID != id("successor") {
		t.Errorf("the old ID doesn't lead to its successor, but to %+v", next.Session)
	}
	if form, err := s.TakeForm(t.Context(), id("session")); err != nil || !reflect.DeepEqual(*form, storedForm) {
		t.Errorf("the form: %+v, %v", form, err)
	}
	if resumed := r.resume(s, id("remember")); resumed.Session.Login.Subject != john().Subject {
		t.Errorf("the remember ID resumes %+v", resumed.Session)
	}
	if n, err := bySubject(s, t.Context(), john().Issuer, "app", john().Subject); n < 3 || err != nil {
		t.Errorf("a logout by subject ended %d sessions, %v", n, err)
	}
	r.gone(s, id("session"))
}

// TestStoredInCookies opens a session that an earlier version has stored in the browser's cookies.
func TestStoredInCookies(t *testing.T) {
	r := newCookieRig(t)
	f := golden.Open(t, "cookies-v1", func(f *golden.File) {
		j, at := jar{}, r.clock.now().UTC().Truncate(time.Second)
		r.login(j, r.process(usual), storedLogin(at))
		f.Put("at", at)
		f.Put("cookies", j)
	})
	r.clock.offset.Store(int64(time.Until(f.Time("at"))))
	j := jar{}
	f.Get("cookies", &j)
	checkStored(t, r.open(j, r.process(usual)).Session, f.Time("at"))
}

// checkStored compares the login of a session with storedLogin.
func checkStored(t *testing.T, s *Session, at time.Time) {
	t.Helper()
	if got, want := s.Login, storedLogin(at); !reflect.DeepEqual(got, want) {
		t.Errorf("the session has\n%+v %+v\nexpected\n%+v %+v", got, got.Identity, want, want.Identity)
	}
}
