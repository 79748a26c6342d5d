package session

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func isNotFound(err error) bool {
	return errors.Is(err, ErrNotFound) && !errors.Is(err, ErrUnavailable)
}

func TestStartOpenEnd(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, replica := r.sessions(usual), r.sessions(usual)
		login := john()
		login.Route, login.Client, login.Began = "app", netip.MustParseAddr("192.0.2.1"), r.clock.now().UTC().Truncate(time.Second)
		id := r.start(s, nil, login)
		for range 2 { // decoded from the record, and cached
			for _, s := range []*Sessions{s, replica} {
				opened := r.open(s, id)
				if opened.ID != id || opened.Rotated {
					t.Error("the ID changed")
				}
				if got := opened.Session.Login; !reflect.DeepEqual(got, login) {
					t.Errorf("got %+v, expected %+v", got, login)
				}
			}
		}
		if first, second := r.open(s, id).Session, r.open(s, id).Session; first != second {
			t.Error("an unchanged session was decoded again")
		}
		r.gone(s, newID())
		if err := replica.End(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		r.gone(s, id)
		r.gone(replica, id)
		if err := s.End(context.Background(), id); err != nil {
			t.Errorf("ending twice: %v", err)
		}
		if err := s.Ping(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestTimeouts(t *testing.T) {
	const m = time.Minute
	cases := map[string]struct {
		timeouts timeouts
		used     []time.Duration // pauses, after each of which the session is valid
		over     time.Duration   // after the last use it has ended; zero: never
	}{
		"idling":                   {timeouts{idling: 15 * m}, []time.Duration{14 * m, 14 * m, 14 * m}, 15 * m},
		"idling, not used at all":  {timeouts{idling: 15 * m}, nil, 15 * m},
		"idling, short":            {timeouts{idling: m / 3}, []time.Duration{m / 4, m / 4}, 21 * time.Second},
		"rolling, not rotated":     {timeouts{rolling: 60 * m}, []time.Duration{44 * m}, 16 * m},
		"rolling, shorter":         {timeouts{idling: 90 * m, rolling: 60 * m}, []time.Duration{44 * m}, 16 * m},
		"absolute, however used":   {timeouts{idling: 15 * m, absolute: 60 * m}, []time.Duration{14 * m, 14 * m, 14 * m, 14 * m}, 4 * m},
		"absolute, not used again": {timeouts{absolute: 60 * m}, []time.Duration{59 * m}, 1 * m},
		"all off":                  {timeouts{}, []time.Duration{365 * 24 * 60 * m, 365 * 24 * 60 * m}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				s := r.sessions(c.timeouts)
				id := r.start(s, nil, john())
				for _, d := range c.used {
					r.pass(d)
					r.open(s, id)
				}
				if c.over == 0 {
					return
				}
				r.pass(c.over)
				r.gone(s, id)
			})
		})
	}
}

// A login makes a new ID whatever ID the browser has (session fixation), and ends the former session.
func TestALoginEndsTheOneBefore(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour})
		old := r.start(s, nil, john())
		r.pass(50 * time.Minute)
		rotated := r.open(s, old).ID
		jane := john()
		jane.Subject = "jane-sub"
		next := r.start(s, &old, jane)
		if got := r.open(s, next).Session; got.Login.Subject != "jane-sub" || got.Created.Before(r.clock.now().Add(-time.Minute)) {
			t.Errorf("got %+v, expected a new session of jane", got)
		}
		r.gone(s, old)
		r.gone(s, rotated)
		unknown := newID() // planted by an attacker, or expired
		if fresh := r.start(s, &unknown, john()); fresh == unknown || r.open(s, fresh).ID != fresh {
			t.Error("an ID without a session was believed")
		}
		r.gone(s, unknown)
	})
}

func TestLogoutFromAnywhere(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, replica := r.sessions(usual), r.sessions(usual)
		ctx, login := context.Background(), func(issuer, subject, sid string) Login {
			l := john()
			l.Issuer, l.Subject, l.SID = issuer, subject, sid
			return l
		}
		laptop := r.start(s, nil, login("https://a", "john", "1"))
		phone := r.start(s, nil, login("https://a", "john", "2"))
		jane := r.start(s, nil, login("https://a", "jane", "3"))
		foreign := r.start(s, nil, login("https://b", "john", "1"))
		for _, c := range []struct {
			end      func(s *Sessions, ctx context.Context, issuer, clientID, value string) (int, error)
			issuer   string
			client   string
			value    string
			expected int
		}{
			{bySID, "https://a", "app", "nobody", 0},
			{bySID, "https://c", "app", "1", 0},
			{bySubject, "https://a", "app", "1", 0}, // a sid is no sub
			{bySID, "https://a", "other", "1", 0},
			{bySID, "https://a", "app", "1", 1},
			{bySID, "https://a", "app", "1", 0},
			{bySubject, "https://a", "app", "john", 1},
		} {
			if n, err := c.end(replica, ctx, c.issuer, c.client, c.value); err != nil || n != c.expected {
				t.Errorf("%s %s %s: got %d, %v, expected %d", c.issuer, c.client, c.value, n, err, c.expected)
			}
		}
		r.gone(s, laptop)
		r.gone(s, phone)
		r.open(s, jane)
		r.open(s, foreign)
	})
}

func TestLogoutFromAnywhereFindsRotatedSessions(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour})
		id := r.start(s, nil, john())
		for range 3 {
			r.pass(50 * time.Minute)
			id = r.open(s, id).ID
		}
		if n, err := bySubject(s, context.Background(), john().Issuer, "app", john().Subject); n != 1 || err != nil {
			t.Errorf("got %d, %v, expected 1", n, err)
		}
		r.gone(s, id)
	})
}

func TestSessionsAreImmutable(t *testing.T) {
	s := &Session{Version: version, Login: john()}
	jane := john()
	jane.Subject = "jane"
	if next := s.With(jane); s.Login.Subject != john().Subject || next.Login.Subject != "jane" {
		t.Errorf("With changed what it was called on: %v, %v", s.Login, next.Login)
	}
}
