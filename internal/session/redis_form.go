package session

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// The uses of the keyring for notes and forms. Both are salted with the ID of the session, as its record is.
const (
	noteUse = "session note"
	formUse = "session form"
)

// noteOf and formOf have the digest of the ID in braces, as its record has.
func (r *redisStore) noteOf(id ID) string { return r.key("n:", id.digest()) }
func (r *redisStore) formOf(id ID) string { return r.key("f:", id.digest()) }

func (r *redisStore) keepNotes() { r.notes.Store(true) }

// keepNote stores the note of a session whose record was stored or touched, for as long as the record and noteLife. If the record has
// changed meanwhile it removes the note again: a logout may have removed an earlier one just before. No request depends on a note, so
// keepNote returns no error.
func (r *redisStore) keepNote(ctx context.Context, e *entry, now time.Time) {
	ttl := e.ttl(&r.timeouts, now)
	if !r.notes.Load() || e.session == nil || ttl <= 0 { // a record without an end never times out
		return
	}
	l, name := e.session.Login, r.noteOf(e.id)
	l.Identity = nil // no token and no claim
	sealed, err := r.sealValue(noteUse, name, e.id, l)
	if err == nil {
		err = r.client.Set(ctx, name, sealed, ttl+noteLife).Err()
	}
	if record, errNow := r.client.Get(ctx, r.record(e.id)).Result(); errNow != nil || record != e.record {
		r.dropNote(ctx, e.id.digest())
	}
	if err != nil {
		r.log.Debug("the note of a session could not be stored", "error", err)
	}
}

// dropNote removes the note of an ID whose session was ended or has another ID. An error doesn't matter: a mark ends the note too, and the
// form of its user is only sent if the same user logs in and wants that.
func (r *redisStore) dropNote(ctx context.Context, digest string) {
	if r.notes.Load() {
		r.client.Del(ctx, r.key("n:", digest))
	}
}

func (r *redisStore) note(ctx context.Context, id ID) (*Login, error) {
	name := r.noteOf(id)
	sealed, err := r.client.Get(ctx, name).Result()
	if err != nil {
		return nil, storeError(err)
	}
	return openValue[Login](r, noteUse, name, id, sealed)
}

func (r *redisStore) forgetNote(ctx context.Context, id ID) error {
	return storeError(r.client.Del(ctx, r.noteOf(id)).Err())
}

func (r *redisStore) addForm(ctx context.Context, id ID, f *Form) error {
	name := r.formOf(id)
	sealed, err := r.sealValue(formUse, name, id, f)
	if err != nil {
		return err
	}
	added, err := r.client.SetNX(ctx, name, sealed, formLife).Result()
	if err == nil && !added {
		return ErrChanged
	}
	return storeError(err)
}

func (r *redisStore) form(ctx context.Context, id ID) (*Form, error) {
	name := r.formOf(id)
	sealed, err := r.client.Get(ctx, name).Result()
	if err != nil {
		return nil, storeError(err)
	}
	return openValue[Form](r, formUse, name, id, sealed)
}

// takeForm loses the form if Redis has deleted it and the answer didn't arrive: a form that may not have been sent is better than one that
// is sent twice.
func (r *redisStore) takeForm(ctx context.Context, id ID) (*Form, error) {
	name := r.formOf(id)
	sealed, err := r.client.GetDel(ctx, name).Result()
	if err != nil {
		return nil, storeError(err)
	}
	return openValue[Form](r, formUse, name, id, sealed)
}

func (r *redisStore) sealValue(use, name string, id ID, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return r.keyring.SealRecord(use, name, string(id[:]), plain)
}

// openValue opens what sealValue sealed under name. What doesn't open doesn't count as stored.
func openValue[T any](r *redisStore, use, name string, id ID, sealed string) (*T, error) {
	v := new(T)
	plain, err := r.keyring.OpenRecord(use, name, string(id[:]), sealed)
	if err == nil {
		err = json.Unmarshal(plain, v)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return v, nil
}
