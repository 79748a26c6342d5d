package session

import (
	"errors"
	"testing"
	"time"
)

// One of a user's sessions ends by its key, which outlives a rotation, and the others go on.
func TestEndOne(t *testing.T) { onBoth(t, endOne) }

func endOne(r *rig) {
	t, ctx := r.T, r.T.Context()
	s := r.sessions(timeouts{rolling: time.Hour})
	first := r.start(s, nil, of("john", "1"))
	r.pass(10 * time.Second) // another time of the login
	second := r.start(s, nil, of("john", "2"))
	q := Selection{Issuer: john().Issuer, ClientID: "app", Subject: "john"}
	key := ""
	for _, l := range r.pages(s, q, 10) {
		if l.SID == "1" {
			key = l.Key()
		}
	}
	r.pass(50 * time.Minute)
	first = r.open(s, first).ID // a new one
	r.open(s, second)
	for _, wrong := range []string{"", "0123"} {
		if n, err := s.EndOne(ctx, q, wrong); n != 0 || err != nil {
			t.Errorf("the key %q ended %d, %v", wrong, n, err)
		}
	}
	if n, err := s.EndOne(ctx, Selection{Subject: "john"}, key); n != 0 || !errors.Is(err, ErrSelection) {
		t.Errorf("without issuer and client: ended %d, %v, expected ErrSelection", n, err)
	}
	if n, err := s.EndOne(ctx, Selection{Issuer: q.Issuer, ClientID: "app", Subject: "jane"}, key); n != 0 || err != nil {
		t.Errorf("as a session of another user: ended %d, %v", n, err)
	}
	if n, err := s.EndOne(ctx, q, key); n != 1 || err != nil {
		t.Errorf("ended %d, %v, expected 1", n, err)
	}
	if _, err := s.Open(ctx, first); !errors.Is(err, ErrNotFound) {
		t.Errorf("the ended session opens: %v", err)
	}
	if left := r.pages(s, q, 10); len(left) != 1 || left[0].SID != "2" {
		t.Errorf("left are %+v, expected the other session", left)
	}
	if n, err := s.EndOne(ctx, q, key); n != 0 || err != nil {
		t.Errorf("once more: ended %d, %v", n, err)
	}
}
