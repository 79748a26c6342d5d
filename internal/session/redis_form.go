package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/redis"
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

// keepNote stores the note of a session whose record was stored or touched, for as long as the record and noteLife, unless the record has
// changed meanwhile: the scripts that end a session delete the note with the record. No request depends on a note, so keepNote returns no
// error and waits for no replica.
func (r *redisStore) keepNote(ctx context.Context, e *entry, now time.Time) {
	ttl := e.ttl(&r.timeouts, now)
	if !r.notes.Load() || e.session == nil || ttl <= 0 { // a record without an end never times out
		return
	}
	l, name := e.session.Login, r.noteOf(e.id)
	l.Identity = nil // no token and no claim
	sealed, err := r.keyring.SealJSON(noteUse, name, string(e.id[:]), l)
	if err == nil {
		keys := []string{r.record(e.id), name}
		err = noteScript.Run(ctx, r.client, keys, e.record, sealed, milliseconds(ttl+noteLife)).Err()
	}
	if err != nil {
		r.log.Debug("the note of a session could not be stored", "error", err)
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

// forgetNote is acknowledged even if there is no note: WAIT covers all that the master has written before.
func (r *redisStore) forgetNote(ctx context.Context, id ID) error {
	name := r.noteOf(id)
	return storeError(r.client.MustWrite(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		return c.Del(ctx, name).Err()
	}))
}

func (r *redisStore) addForm(ctx context.Context, id ID, f *Form) error {
	name := r.formOf(id)
	sealed, err := r.keyring.SealJSON(formUse, name, string(id[:]), f)
	if err != nil {
		return err
	}
	_, err = r.client.Write(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		return changed(redis.LeaseScript.Run(ctx, c, []string{name}, sealed, milliseconds(formLife)))
	})
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

// takeForm loses the form if Redis has deleted it and the answer didn't arrive, or if that isn't acknowledged: a form that may not have
// been sent is better than one that is sent twice.
func (r *redisStore) takeForm(ctx context.Context, id ID) (*Form, error) {
	name, sealed := r.formOf(id), ""
	err := r.client.MustWrite(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		found, err := c.GetDel(ctx, name).Result()
		switch {
		case sealed == "":
			sealed = found
		case errors.Is(err, goredis.Nil): // an earlier run has deleted it
			return nil
		}
		return err
	})
	if err != nil {
		return nil, storeError(err)
	}
	return openValue[Form](r, formUse, name, id, sealed)
}

// openValue opens what is sealed under name. What doesn't open doesn't count as stored.
func openValue[T any](r *redisStore, use, name string, id ID, sealed string) (*T, error) {
	v := new(T)
	if err := r.keyring.OpenJSON(use, name, string(id[:]), sealed, v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return v, nil
}
