package session

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// listedFirst is how long a listed session may have no record: a session is listed before its record is stored, so that a
// concurrent back-channel logout finds it.
const listedFirst = 15 * time.Minute

// member returns the member of an index that stands for a session: the name of its record, and when it was listed in Unix
// seconds.
func member(name string, s *Session) string {
	return name + " " + strconv.FormatInt(s.Issued.Unix(), 10)
}

// readMember returns the name of the record, and when it was listed.
func readMember(m string) (name string, at time.Time) {
	name, text, _ := strings.Cut(m, " ")
	seconds, _ := strconv.ParseInt(text, 10, 64)
	return name, time.Unix(seconds, 0)
}

func (r *redisStore) index(name string) string { return r.prefix + "i:" + name }

// list adds a session to its indexes, before its record is stored.
func (r *redisStore) list(ctx context.Context, e *entry, name string) (err error) {
	over := "inf"
	if end := r.timeouts.end(e.session); !end.IsZero() {
		if r.notes.Load() { // a logout must find the note
			end = end.Add(noteLife)
		}
		over = strconv.FormatInt(end.UnixMilli(), 10)
	}
	e.session.eachIndexKey(func(key indexKey) {
		if err == nil {
			err = r.listIn(ctx, r.index(r.keyring.Names(key.parts()...)[0]), member(name, e.session), over)
		}
	})
	return err
}

// listIn adds a member to one index. It also removes some members whose records are gone.
func (r *redisStore) listIn(ctx context.Context, index, member, over string) error {
	now := strconv.FormatInt(r.now().UnixMilli(), 10)
	endless, err := listScript.Run(ctx, r.client, []string{index}, member, over, now).StringSlice()
	if err != nil {
		return storeError(err)
	}
	for _, m := range endless {
		name, at := readMember(m)
		if r.now().Sub(at) < listedFirst {
			continue
		}
		if n, err := r.client.Exists(ctx, name).Result(); err == nil && n == 0 {
			r.client.ZRem(ctx, index, m) // on an error a later login removes it
		}
	}
	return nil
}

// unlist removes a session that has ended from its indexes. On an error its member is removed when its time has passed.
func (r *redisStore) unlist(ctx context.Context, e *entry) {
	if e.session == nil {
		return
	}
	e.session.eachIndexKey(func(key indexKey) {
		for _, name := range r.keyring.Names(key.parts()...) {
			r.client.ZRem(ctx, r.index(name), member(r.record(e.id), e.session))
		}
	})
}

// remove deletes the records that an index lists, and each member after its record.
func (r *redisStore) remove(ctx context.Context, key indexKey) (int, error) {
	removed := 0
	for _, name := range r.keyring.Names(key.parts()...) {
		members, err := r.client.ZRange(ctx, r.index(name), 0, -1).Result()
		if err != nil {
			return removed, storeError(err)
		}
		for _, m := range members {
			record, _ := readMember(m)
			n, err := r.client.Del(ctx, record).Result()
			if err != nil {
				return removed, storeError(err)
			}
			removed += int(n)
			r.dropNoteOf(ctx, record)
			if err := r.client.ZRem(ctx, r.index(name), m).Err(); err != nil {
				return removed, storeError(err)
			}
		}
	}
	return removed, nil
}
