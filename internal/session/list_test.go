package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// of returns a login of a subject with a sid.
func of(subject, sid string) Login {
	l := john()
	l.Subject, l.SID, l.Route, l.Client = subject, sid, "orders", netip.MustParseAddr("192.0.2.7")
	return l
}

// pages returns the sessions of all pages of a selection.
func (r *rig) pages(s *Sessions, q Selection, limit int) (all []Listed) {
	r.Helper()
	for page := ""; ; {
		found, next, err := s.List(r.Context(), q, page, limit)
		if err != nil {
			r.Fatal(err)
		}
		if all = append(all, found...); next == "" {
			return all
		}
		page = next
	}
}

// subjects returns the subjects of sessions, sorted and without duplicates.
func subjects(all []Listed) (names []string) {
	for _, l := range all {
		names = append(names, l.Subject)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// An administrator sees who is logged in, since when, where from, and the last use. The details go with the record (§1.4).
func TestListShowsASession(t *testing.T) { onBoth(t, listShowsASession) }

func listShowsASession(r *rig) {
	t := r.T
	s, ctx := r.sessions(timeouts{idling: 2 * time.Hour}), t.Context()
	login := of("john", "1")
	login.Began = r.clock.now().UTC().Truncate(time.Second).Add(-time.Minute)
	start := r.clock.now()
	id := r.start(s, nil, login)
	r.start(s, nil, of("jane", "2"))
	r.pass(10 * time.Minute)
	r.open(s, id)
	for what, q := range map[string]Selection{
		"by sid":          {Issuer: login.Issuer, ClientID: "app", SID: "1"},
		"by sub":          {Issuer: login.Issuer, ClientID: "app", Subject: "john"},
		"by sid and sub":  {Issuer: login.Issuer, ClientID: "app", SID: "1", Subject: "john"},
		"by sub, walking": {Subject: "john"},
		"by all":          {Issuer: login.Issuer, ClientID: "app", SID: "1", Subject: "john", Route: "orders"},
	} {
		all := r.pages(s, q, 10)
		if len(all) != 1 {
			t.Fatalf("%s: %d sessions, expected 1", what, len(all))
		}
		l := all[0]
		if l.Issuer != login.Issuer || l.ClientID != "app" || l.Subject != "john" || l.SID != "1" || l.Route != "orders" ||
			l.Client != login.Client || !l.Began.Equal(login.Began) {
			t.Errorf("%s: got %+v", what, l)
		}
		if l.Created.Sub(start).Abs() > 5*time.Second || l.Used.Sub(start.Add(10*time.Minute)).Abs() > 5*time.Second {
			t.Errorf("%s: since %s and used at %s, expected %s and 10 minutes later", what, l.Created, l.Used, start)
		}
	}
	for what, q := range map[string]Selection{
		"another issuer": {Issuer: "https://other", Subject: "john"},
		"another sub":    {Issuer: login.Issuer, ClientID: "app", SID: "1", Subject: "jane"},
		"another route":  {Issuer: login.Issuer, ClientID: "app", SID: "1", Route: "other"},
	} {
		if all := r.pages(s, q, 10); len(all) != 0 {
			t.Errorf("%s: got %d sessions", what, len(all))
		}
	}
	if err := s.End(ctx, id); err != nil {
		t.Fatal(err)
	}
	if got := subjects(r.pages(s, Selection{}, 10)); !slices.Equal(got, []string{"jane"}) {
		t.Errorf("after a logout: got %q", got)
	}
	r.pass(2 * time.Hour)
	if got := subjects(r.pages(s, Selection{}, 10)); len(got) != 0 {
		t.Errorf("after the idling timeout: got %q", got)
	}
}

// A rotated session is listed once, under its new ID, with its former login time. A refresh with another sid changes what is listed.
func TestListFollowsRotationAndRefresh(t *testing.T) { onBoth(t, listFollowsRotationAndRefresh) }

func listFollowsRotationAndRefresh(r *rig) {
	t := r.T
	s := r.sessions(timeouts{rolling: time.Hour})
	start := r.clock.now()
	id := r.start(s, nil, of("john", "1"))
	r.pass(50 * time.Minute)
	id = r.open(s, id).ID
	for _, q := range []Selection{{}, {Issuer: john().Issuer, ClientID: "app", SID: "1"}} {
		if all := r.pages(s, q, 10); len(all) != 1 || all[0].Created.Sub(start).Abs() > 5*time.Second {
			t.Errorf("after a rotation, by %+v: got %+v", q, all)
		}
	}
	_, err := s.Update(t.Context(), id, func(_ context.Context, current *Session) (*Session, error) {
		l := current.Login
		l.SID = "2"
		return current.With(l), nil
	}, noDiscard)
	if err != nil {
		t.Fatal(err)
	}
	for sid, expected := range map[string]int{"1": 0, "2": 1} {
		for _, q := range []Selection{{SID: sid}, {Issuer: john().Issuer, ClientID: "app", SID: sid}} {
			if all := r.pages(s, q, 10); len(all) != expected {
				t.Errorf("after a refresh, by %+v: %d sessions, expected %d", q, len(all), expected)
			}
		}
	}
	if n, err := bySID(s, t.Context(), john().Issuer, "app", "1"); n != 0 || err != nil {
		t.Errorf("a logout of the former sid ended %d, %v", n, err)
	}
	if n, err := bySID(s, t.Context(), john().Issuer, "app", "2"); n != 1 || err != nil {
		t.Errorf("a logout of the new sid ended %d, %v", n, err)
	}
}

// Pages list each session that lives all the time, while others begin and end.
func TestListInPages(t *testing.T) { onBoth(t, listInPages) }

func listInPages(r *rig) {
	t := r.T
	s := r.sessions(usual)
	var stay []string
	var leave []ID
	for n := range 60 {
		name := fmt.Sprintf("stays-%02d", n)
		stay = append(stay, name)
		r.start(s, nil, of(name, name))
		leave = append(leave, r.start(s, nil, of("leaves", "leaves")))
	}
	var all []Listed
	pages := 0
	for page := ""; pages == 0 || page != ""; pages++ {
		found, next, err := s.List(t.Context(), Selection{}, page, 10)
		if err != nil {
			t.Fatal(err)
		}
		all, page = append(all, found...), next
		r.start(s, nil, of("comes", "comes"))
		if pages < len(leave) {
			if err := s.End(t.Context(), leave[pages]); err != nil {
				t.Fatal(err)
			}
		}
	}
	listed := slices.DeleteFunc(subjects(all), func(name string) bool { return !strings.HasPrefix(name, "stays") })
	if !slices.Equal(listed, stay) {
		t.Errorf("listed %q, expected %q", listed, stay)
	}
	if pages < 3 {
		t.Errorf("%d pages, expected more", pages)
	}
	unknown := []string{"x", "-1", "1-2", "18446744073709551616"}
	if r.server != nil {
		unknown = append(unknown, "5", "0-x-", "99-0-", "0-0-000000000000")
	}
	for _, page := range unknown {
		if _, _, err := s.List(t.Context(), Selection{}, page, 10); !errors.Is(err, ErrPage) {
			t.Errorf("page %q: got %v, expected %v", page, err, ErrPage)
		}
	}
	q := Selection{Issuer: john().Issuer, ClientID: "app", SID: "comes"}
	if _, _, err := s.List(t.Context(), q, "0", 10); !errors.Is(err, ErrPage) {
		t.Errorf("a second page of the index: got %v, expected %v", err, ErrPage)
	}
}

// After a restart of Redis the cursor of a page means nothing.
func TestAPageEndsWithItsServer(t *testing.T) {
	r := redisRig(t, "--appendonly", "yes")
	s := r.sessions(usual)
	for n := range 50 {
		r.start(s, nil, of(fmt.Sprint(n), fmt.Sprint(n)))
	}
	_, next, err := s.List(t.Context(), Selection{}, "", 10)
	if err != nil || next == "" {
		t.Fatalf("next is %q, %v", next, err)
	}
	if _, _, err := s.List(t.Context(), Selection{}, next, 10); err != nil {
		t.Errorf("the second page: %v", err)
	}
	r.server.Kill()
	if _, _, err := s.List(t.Context(), Selection{}, next, 10); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without redis: got %v, expected %v", err, ErrUnavailable)
	}
	r.server.Restart(t)
	await(t, "redis", func() bool { return s.Ping(t.Context()) == nil })
	if _, _, err := s.List(t.Context(), Selection{}, next, 10); !errors.Is(err, ErrPage) {
		t.Errorf("after a restart: got %v, expected %v", err, ErrPage)
	}
	if got := len(subjects(r.pages(s, Selection{}, 10))); got != 50 {
		t.Errorf("%d sessions from the beginning, expected 50", got)
	}
}

// Sessions of both secrets of the list are listed and ended (§1.7), and a session with index entries under both is listed once.
func TestListAndEndUnderSeveralSecrets(t *testing.T) {
	for _, q := range []Selection{
		{Issuer: john().Issuer, ClientID: "app", Subject: "john"}, {ClientID: "app"}, {Route: "orders"},
	} {
		r := redisRig(t)
		before, during, after := r.with(secretA), r.with(secretB, secretA), r.with(secretB)
		old, fresh := r.start(before, nil, of("john", "1")), r.start(during, nil, of("john", "2"))
		_, err := during.Update(t.Context(), old, func(_ context.Context, current *Session) (*Session, error) {
			l := current.Login
			l.SID = "3"
			return current.With(l), nil
		}, noDiscard)
		if err != nil {
			t.Fatal(err)
		}
		if all := r.pages(during, q, 10); len(all) != 2 {
			t.Errorf("%+v: %d sessions are listed, expected 2", q, len(all))
		}
		r.clock.offset.Add(int64(time.Second))
		if n, err := during.EndSelected(t.Context(), q); n != 2 || err != nil {
			t.Errorf("%+v: ended %d, %v, expected 2", q, n, err)
		}
		r.gone(during, old)
		r.gone(during, fresh)
		for what, s := range map[string]*Sessions{"the old secret": before, "the new secret": after} {
			late := of("john", "4")
			late.Began = r.clock.now().Add(-10 * time.Second)
			if _, _, err := s.Start(t.Context(), nil, late); !errors.Is(err, ErrLoggedOut) {
				t.Errorf("%+v: a login that was under way, with %s: got %v, expected %v", q, what, err, ErrLoggedOut)
			}
		}
	}
}

// with opens Sessions with other secrets on the rig's Redis.
func (r *rig) with(secrets ...auth.Secret) *Sessions {
	r.Helper()
	s, err := New(Config{
		Settings: Settings{Storage: "redis", Redis: r.server.Settings(), RollingTimeout: time.Hour}, Now: r.clock.now,
		Keyring: mustKeyring(r, secrets...),
	})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { s.Close() })
	return s
}
