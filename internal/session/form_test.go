package session

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestTimedOut: the user of a session is known for 15 minutes after it has timed out, and not after a logout, a login or a rotation.
func TestTimedOut(t *testing.T) { onBoth(t, timedOut) }

func timedOut(r *rig) {
	s := r.sessions(usual)
	s.KeepNotes()
	expect := func(what string, id ID, want bool) {
		r.Helper()
		issuer, subject, ok := s.TimedOut(context.Background(), id)
		if ok != want || ok && (issuer != john().Issuer || subject != john().Subject) {
			r.Errorf("%s: %q %q %v", what, issuer, subject, ok)
		}
	}
	idle, ended, later, replaced := r.start(s, nil, john()), r.start(s, nil, john()), r.start(s, nil, john()), r.start(s, nil, john())
	expect("it lives", idle, false)
	expect("an unknown ID", newID(), false)
	if err := s.End(context.Background(), ended); err != nil {
		r.Fatal(err)
	}
	r.start(s, &replaced, john())
	r.pass(10 * time.Minute)
	r.open(s, idle) // the use renews the note
	r.pass(16 * time.Minute)
	r.gone(s, idle)
	expect("timed out", idle, true)
	expect("logged out", ended, false)
	expect("replaced by a login", replaced, false)
	if err := s.Forget(context.Background(), idle); err != nil {
		r.Fatal(err)
	}
	expect("logged out after it has timed out", idle, false)
	expect("timed out before", later, true)
	if _, err := bySubject(s, context.Background(), john().Issuer, john().ClientID, john().Subject); err != nil {
		r.Fatal(err)
	}
	expect("logged out by the provider after it has timed out", later, false)
	after := john()
	after.Began = r.clock.now().Add(time.Second)
	last := r.start(s, nil, after)
	r.pass(15*time.Minute + noteLife + time.Second)
	expect("long ago", last, false)
}

// TestRotationForgets: the former ID of a session isn't one that has timed out.
func TestRotationForgets(t *testing.T) { onBoth(t, rotationForgets) }

func rotationForgets(r *rig) {
	s := r.sessions(timeouts{rolling: time.Hour})
	s.KeepNotes()
	id := r.start(s, nil, john())
	r.pass(50 * time.Minute)
	next := r.open(s, id).ID
	r.pass(62 * time.Minute)
	if _, _, ok := s.TimedOut(context.Background(), id); ok {
		r.Error("the former ID has timed out")
	}
	if _, _, ok := s.TimedOut(context.Background(), next); !ok {
		r.Error("the session hasn't timed out")
	}
}

// TestForm: one form is kept for each login, is taken once, and is gone after 15 minutes. Redis sees neither the form nor its user.
func TestForm(t *testing.T) { onBoth(t, keptForm) }

func keptForm(r *rig) {
	s, ctx, id := r.sessions(usual), context.Background(), newID()
	form := &Form{Issuer: "iss", Subject: "a-subject", Target: "/a-target", Body: []byte("a-secret-body")}
	if err := s.KeepForm(ctx, id, form); err != nil {
		r.Fatal(err)
	}
	if err := s.KeepForm(ctx, id, &Form{}); !errors.Is(err, ErrChanged) {
		r.Errorf("a second form: %v", err)
	}
	if r.server != nil {
		r.hides("a-subject", "a-target", "a-secret-body")
	}
	if got, err := s.KeptForm(ctx, id); err != nil || string(got.Body) != "a-secret-body" {
		r.Errorf("got %v, %v", got, err)
	}
	if got, err := s.TakeForm(ctx, id); err != nil || got.Target != "/a-target" {
		r.Errorf("got %v, %v", got, err)
	}
	if _, err := s.TakeForm(ctx, id); !errors.Is(err, ErrNotFound) {
		r.Errorf("taken twice: %v", err)
	}
	if err := s.KeepForm(ctx, id, form); err != nil {
		r.Fatal(err)
	}
	r.pass(formLife + time.Second)
	if _, err := s.KeptForm(ctx, id); !errors.Is(err, ErrNotFound) {
		r.Errorf("after its time: %v", err)
	}
}

// hides checks that no value in Redis contains one of the texts.
func (r *rig) hides(texts ...string) {
	r.Helper()
	client := r.server.Client(r, 0)
	keys, err := client.Keys(context.Background(), "*").Result()
	if err != nil || len(keys) == 0 {
		r.Fatal(keys, err)
	}
	for _, key := range keys {
		value, _ := client.Get(context.Background(), key).Result() // other types than strings have no value here
		for _, text := range texts {
			if strings.Contains(key+value, text) {
				r.Errorf("%s shows %s", key, text)
			}
		}
	}
}

// TestFormsInMemoryAreBounded: a full store refuses a form, and evicts none.
func TestFormsInMemoryAreBounded(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s, ctx, first := r.sessions(usual), context.Background(), newID()
	for n := range maxForms {
		id := newID()
		if n == 0 {
			id = first
		}
		if err := s.KeepForm(ctx, id, &Form{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.KeepForm(ctx, newID(), &Form{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.KeptForm(ctx, first); err != nil {
		t.Errorf("the first: %v", err)
	}
}
