package session

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// underWay is how long a listed session may be without a record: it is listed first, so that a logout from elsewhere that
// comes meanwhile finds it.
const underWay = 15 * time.Minute

// A member is how an index lists a session: its record's name and when it was listed, in Unix seconds.
func member(name string, s *Session) string {
	return name + " " + strconv.FormatInt(s.Issued.Unix(), 10)
}

// readMember returns the record's name, and when it was listed.
func readMember(m string) (name string, at time.Time) {
	name, text, _ := strings.Cut(m, " ")
	seconds, _ := strconv.ParseInt(text, 10, 64)
	return name, time.Unix(seconds, 0)
}

func (r *redisStore) index(name string) string { return r.prefix + "i:" + name }

// list adds a session to its indexes, before its record is there.
func (r *redisStore) list(ctx context.Context, e *entry, name string) (err error) {
	over := "inf"
	if end := r.timeouts.end(e.session); !end.IsZero() {
		over = strconv.FormatInt(end.UnixMilli(), 10)
	}
	e.session.indexed(func(key indexKey) {
		if err == nil {
			err = r.listIn(ctx, r.index(r.keyring.Names(key.parts()...)[0]), member(name, e.session), over)
		}
	})
	return err
}

func (r *redisStore) listIn(ctx context.Context, index, member, over string) error {
	endless, err := listScript.Run(ctx, r.client, []string{index}, member, over, strconv.FormatInt(r.now().UnixMilli(), 10)).StringSlice()
	if err != nil {
		return away(err)
	}
	for _, m := range endless {
		name, at := readMember(m)
		if r.now().Sub(at) < underWay {
			continue
		}
		if n, err := r.client.Exists(ctx, name).Result(); err == nil && n == 0 {
			r.client.ZRem(ctx, index, m) // if that fails a later write does it
		}
	}
	return nil
}

// unlist takes a session that has ended out of its indexes. If that fails it goes when its time is over.
func (r *redisStore) unlist(ctx context.Context, e *entry) {
	if e.session == nil {
		return
	}
	e.session.indexed(func(key indexKey) {
		for _, name := range r.keyring.Names(key.parts()...) {
			r.client.ZRem(ctx, r.index(name), member(r.record(e.id), e.session))
		}
	})
}

// remove deletes the records that the indexes list, and each entry once its record's deletion is confirmed.
func (r *redisStore) remove(ctx context.Context, key indexKey) (int, error) {
	removed := 0
	for _, name := range r.keyring.Names(key.parts()...) {
		members, err := r.client.ZRange(ctx, r.index(name), 0, -1).Result()
		if err != nil {
			return removed, away(err)
		}
		for _, m := range members {
			record, _ := readMember(m)
			n, err := r.client.Del(ctx, record).Result()
			if err != nil {
				return removed, away(err)
			}
			removed += int(n)
			if err := r.client.ZRem(ctx, r.index(name), m).Err(); err != nil {
				return removed, away(err)
			}
		}
	}
	return removed, nil
}
