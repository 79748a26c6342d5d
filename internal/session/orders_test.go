package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// An ending is a logout of one login, or of others: then ends is false.
type ending struct {
	name string
	ends bool
	run  func(*Sessions, context.Context) (int, error)
}

// endings are the logouts that end a login, which began before now, and those that must not.
func endings(l Login, now time.Time) []ending {
	logout := func(issuer, clientID, sid, subject string, issued time.Time) func(*Sessions, context.Context) (int, error) {
		return func(s *Sessions, ctx context.Context) (int, error) {
			return s.EndLogins(ctx, Logout{Issuer: issuer, ClientID: clientID, SID: sid, Subject: subject, Issued: issued})
		}
	}
	selected := func(q Selection) func(*Sessions, context.Context) (int, error) {
		return func(s *Sessions, ctx context.Context) (int, error) { return s.EndSelected(ctx, q) }
	}
	return []ending{
		{"by sid", true, logout(l.Issuer, l.ClientID, l.SID, "", now)},
		{"by sub", true, logout(l.Issuer, l.ClientID, "", l.Subject, now)},
		{"by sid and sub", true, logout(l.Issuer, l.ClientID, l.SID, l.Subject, now)},
		{"administration, by sid", true, selected(Selection{Issuer: l.Issuer, ClientID: l.ClientID, SID: l.SID})},
		{"administration, by sub", true, selected(Selection{Issuer: l.Issuer, ClientID: l.ClientID, Subject: l.Subject})},
		{"administration, by client", true, selected(Selection{ClientID: l.ClientID})},
		{"administration, by route", true, selected(Selection{Route: l.Route})},

		{"by another sid", false, logout(l.Issuer, l.ClientID, "another", "", now)},
		{"by another sid and sub", false, logout(l.Issuer, l.ClientID, "another", l.Subject, now)},
		{"by another sub", false, logout(l.Issuer, l.ClientID, "", "another", now)},
		{"by sub, before the login", false, logout(l.Issuer, l.ClientID, "", l.Subject, l.Began.Add(-time.Second))},
		{"by sid of another client", false, logout(l.Issuer, "another", l.SID, "", now)},
		{"by sub of another issuer", false, logout("https://another", l.ClientID, "", l.Subject, now)},
		{"administration, by another sid", false, selected(Selection{Issuer: l.Issuer, ClientID: l.ClientID, SID: "another"})},
		{"administration, by another client", false, selected(Selection{ClientID: "another"})},
		{"administration, by another route", false, selected(Selection{Route: "another"})},
	}
}

// unique returns a login, an hour old, that shares neither sub nor sid nor client nor route with another one.
func unique(now time.Time, name string) Login {
	l := of("sub of "+name, "sid of "+name)
	l.ClientID, l.Route, l.Began = "client of "+name, "route of "+name, now.Add(-time.Hour)
	return l
}

// A change is a login, or the rotation or refresh of a session. It returns the ID that the browser has then.
type change struct {
	name   string
	before string   // the sid of the session that it changes; "same" is that of the login; "" if it changes none
	steps  []string // of the store
	run    func(r *rig, s *Sessions, l Login, id ID) ID
}

var changes = []change{
	{"login", "", []string{"index", "add", "marks"}, func(r *rig, s *Sessions, l Login, _ ID) ID {
		id, _, err := s.Start(r.Context(), nil, l)
		if err != nil && !errors.Is(err, ErrLoggedOut) {
			r.Error(err)
		}
		return id
	}},
	{"rotation", "same", []string{"index", "add", "marks", "swap"}, func(r *rig, s *Sessions, _ Login, id ID) ID {
		e, err := s.store.load(r.Context(), id)
		if err == nil {
			e, err = s.move(r.Context(), e)
		}
		if err == nil {
			return e.id
		} else if !isNotFound(err) {
			r.Error(err)
		}
		return id
	}},
	{"refresh", "same", []string{"swap"}, refreshToSID},
	{"refresh that brings the sid", "former", []string{"index", "marks", "swap"}, refreshToSID},
}

// refreshToSID refreshes a session. The tokens that it got are revoked if the session has ended meanwhile.
func refreshToSID(r *rig, s *Sessions, l Login, id ID) ID {
	asked, revoked := false, false
	_, err := s.Update(r.Context(), id, func(_ context.Context, current *Session) (*Session, error) {
		asked = true
		next := current.Login
		next.SID = l.SID
		return current.With(next), nil
	}, func(context.Context, *Session) { revoked = true })
	if err != nil && !isNotFound(err) || asked && isNotFound(err) != revoked {
		r.Errorf("the refresh ended with %v, its tokens were revoked: %v", err, revoked)
	}
	return id
}

// prepare starts the session that a change is about.
func (r *rig) prepare(s *Sessions, c change, l Login) (id ID) {
	switch c.before {
	case "":
		return id
	case "former":
		l.SID += ", former"
	}
	return r.start(s, nil, l)
}

// TestEveryOrder runs each logout before and after each step of a login, a rotation and a refresh: none survives that should have ended,
// and none ends that should live.
func TestEveryOrder(t *testing.T) { onBoth(t, everyOrder) }

func everyOrder(r *rig) {
	t := r.T
	s, other := r.sessions(timeouts{rolling: 4 * time.Hour}), r.sessions(timeouts{rolling: 4 * time.Hour})
	now := r.second()
	for _, c := range changes {
		for _, step := range append([]string{"after"}, c.steps...) {
			for n := range endings(Login{}, now) {
				l := unique(now, fmt.Sprint(c.name, step, n))
				e := endings(l, now)[n]
				what := fmt.Sprintf("%s, %s: before %s", c.name, e.name, step)
				id, ran := r.prepare(s, c, l), false
				end := func() {
					ran = true
					if _, err := e.run(other, t.Context()); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
				id = c.run(r, hook(s, step, end), l, id)
				if step == "after" {
					end()
				}
				if !ran {
					t.Errorf("%s: the step wasn't reached", what)
				}
				r.lives(other, what, l, []ID{id}, !e.ends)
			}
		}
	}
}

// lives expects that all sessions of a login live, or that all have ended: in the store, in the index and in the list.
func (r *rig) lives(s *Sessions, what string, l Login, ids []ID, lives bool) {
	r.Helper()
	expected := 0
	for _, id := range ids {
		if _, err := s.Open(r.Context(), id); (err == nil) != lives || err != nil && !isNotFound(err) {
			r.Errorf("%s: the session ended with %v, expected that it lives: %v", what, err, lives)
		}
		if lives {
			expected++
		}
	}
	for _, q := range []Selection{
		{Subject: l.Subject}, {Issuer: l.Issuer, ClientID: l.ClientID, SID: l.SID},
		{Issuer: l.Issuer, ClientID: l.ClientID, Subject: l.Subject},
	} {
		if all := r.pages(s, q, 1000); len(all) != expected {
			r.Errorf("%s: %d sessions are listed by %+v, expected %d", what, len(all), q, expected)
		}
	}
}

// TestLogoutsRace runs 1,000 logins, rotations and refreshes at the same time as logouts on another replica.
func TestLogoutsRace(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other := r.sessions(timeouts{rolling: 4 * time.Hour}), r.sessions(timeouts{rolling: 4 * time.Hour})
		now := r.second()
		for n := range 1000 / len(changes) {
			l := unique(now, fmt.Sprint(n))
			all := endings(l, now)
			e := all[n%len(all)]
			ids := make([]ID, len(changes))
			for m, c := range changes {
				ids[m] = r.prepare(s, c, l)
			}
			var running sync.WaitGroup
			for m, c := range changes {
				running.Go(func() { ids[m] = c.run(r, s, l, ids[m]) })
			}
			running.Go(func() {
				if _, err := e.run(other, t.Context()); err != nil {
					t.Error(err)
				}
			})
			running.Wait()
			r.lives(other, fmt.Sprintf("%d, %s", n, e.name), l, ids, !e.ends)
		}
	})
}
