package session

import (
	"context"
	"errors"
	"time"
)

const (
	// noteLife is how long a note outlives the record of a session that has timed out.
	noteLife = 15 * time.Minute
	// formLife is how long a form waits for the login of its user.
	formLife = 15 * time.Minute
)

// A Form is a form that met a session that had timed out. It waits in the store for the next login of the same user.
type Form struct {
	Issuer      string `json:"iss"` // the user of the session
	Subject     string `json:"sub"`
	Origin      string `json:"origin"` // of the request
	Target      string `json:"target"` // its path and query
	ContentType string `json:"type"`
	Body        []byte `json:"body"`
}

// A formStore is the part of a store with notes and forms. Its errors are those of the store.
type formStore interface {
	// keepNotes makes the store keep a note of each session that it stores or touches from now on.
	keepNotes()

	// note returns the note of an ID: the login of its session, in Redis without its identity. It outlives the session's record by
	// noteLife. All that ends a login or gives it another ID removes the note.
	note(ctx context.Context, id ID) (*Login, error)

	// forgetNote removes the note of an ID. When it returns nil, no server that fails brings back what was deleted under the ID before.
	forgetNote(ctx context.Context, id ID) error

	// addForm stores the form of an ID for formLife. It returns ErrChanged if the ID has one already.
	addForm(ctx context.Context, id ID, f *Form) error

	// form returns the form of an ID.
	form(ctx context.Context, id ID) (*Form, error)

	// takeForm returns the form of an ID and deletes it, so that only one caller receives it.
	takeForm(ctx context.Context, id ID) (*Form, error)
}

// KeepNotes makes TimedOut know the sessions that are stored or used from now on.
func (s *Sessions) KeepNotes() { s.store.keepNotes() }

// TimedOut returns the user of a session that has timed out in the last 15 minutes. ok is false for any other ID: its session lives, was
// ended by a logout, or has another ID by now.
func (s *Sessions) TimedOut(ctx context.Context, id ID) (issuer, subject string, ok bool) {
	if _, err := s.read(ctx, id); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrReplaced) {
		return "", "", false
	}
	n, err := s.store.note(ctx, id)
	if err != nil || n.Subject == "" {
		return "", "", false
	}
	if ended, err := s.marked(ctx, n); err != nil || ended { // a logout after it has timed out
		return "", "", false
	}
	return n.Issuer, n.Subject, true
}

// Forget makes TimedOut forget a session. A logout calls it for a session that has timed out before.
func (s *Sessions) Forget(ctx context.Context, id ID) error { return s.store.forgetNote(ctx, id) }

// KeepForm stores a form under the ID of the session that it met, for 15 minutes. The error wraps ErrChanged if one is stored there
// already, and ErrUnavailable if the store can't take it.
func (s *Sessions) KeepForm(ctx context.Context, id ID, f *Form) error {
	return s.store.addForm(ctx, id, f)
}

// KeptForm returns a stored form. The error wraps ErrNotFound if it was taken or its time is over.
func (s *Sessions) KeptForm(ctx context.Context, id ID) (*Form, error) { return s.store.form(ctx, id) }

// TakeForm returns a stored form and deletes it: of concurrent callers one receives it. The error is that of KeptForm.
func (s *Sessions) TakeForm(ctx context.Context, id ID) (*Form, error) {
	return s.store.takeForm(ctx, id)
}
