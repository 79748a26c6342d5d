package session

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A member is what an index has of a session.
type member struct {
	digest string    // of the session's ID
	began  int64     // Login.Began, in Unix seconds
	listed time.Time // when it was added; a session is added before its record is stored
}

func memberOf(digest string, s *Session) string {
	return digest + " " + strconv.FormatInt(s.Login.Began.Unix(), 10) + " " + strconv.FormatInt(s.Issued.Unix(), 10)
}

func parseMember(text string) (m member) {
	digest, rest, _ := strings.Cut(text, " ")
	began, listed, _ := strings.Cut(rest, " ")
	m.digest = digest
	m.began, _ = strconv.ParseInt(began, 10, 64)
	seconds, _ := strconv.ParseInt(listed, 10, 64)
	m.listed = time.Unix(seconds, 0)
	return m
}

// indexNames returns the names of the index of a key, under each secret, the newest first.
func (r *redisStore) indexNames(key indexKey) []string { return r.names("i:", key) }

func (r *redisStore) names(kind string, key indexKey) []string {
	names := r.keyring.Names(key.parts()...)
	for i := range names {
		names[i] = r.prefix + kind + names[i]
	}
	return names
}

func (r *redisStore) index(ctx context.Context, id ID, s *Session) (err error) {
	over := "inf"
	if end := r.timeouts.lastEnd(s); !end.IsZero() {
		if r.notes.Load() { // a logout must find the note
			end = end.Add(noteLife)
		}
		over = strconv.FormatInt(end.UnixMilli(), 10)
	}
	s.Login.eachIndexKey(func(key indexKey) {
		if err == nil {
			err = r.addToIndex(ctx, r.indexNames(key)[0], memberOf(id.digest(), s), over)
		}
	})
	return err
}

// addToIndex adds a member to one index, until it is acknowledged. It also removes some members of sessions that have ended.
func (r *redisStore) addToIndex(ctx context.Context, index, text, over string) error {
	now := strconv.FormatInt(r.now().UnixMilli(), 10)
	var some []string
	err := r.client.MustWrite(ctx, index, func(ctx context.Context, c goredis.Cmdable) (err error) {
		some, err = indexScript.Run(ctx, c, []string{index}, text, over, now).StringSlice()
		return err
	})
	if err != nil {
		return storeError(err)
	}
	r.prune(ctx, index, some)
	return nil
}

// prune removes from an index those of its members whose sessions have ended. On an error a later login removes them.
func (r *redisStore) prune(ctx context.Context, index string, members []string) {
	pipe, records := r.client.Pipeline(), map[string]*goredis.IntCmd{}
	for _, text := range members {
		if m := parseMember(text); r.now().Sub(m.listed) >= markLife { // else its login may be under way
			records[text] = pipe.Exists(ctx, r.key("s:", m.digest), r.key("r:", m.digest))
		}
	}
	if len(records) == 0 {
		return
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return
	}
	var ended []any
	for text, exists := range records {
		if exists.Val() == 0 {
			ended = append(ended, text)
		}
	}
	if len(ended) > 0 {
		r.client.ZRem(ctx, index, ended...)
	}
}

// unindex removes a session that has ended, or whose keys have changed, from the indexes of its keys but those of except. On an error a
// later login removes it.
func (r *redisStore) unindex(ctx context.Context, digest string, s *Session, except *Login) {
	still, pipe := map[indexKey]bool{}, r.client.Pipeline()
	if except != nil {
		except.eachIndexKey(func(key indexKey) { still[key] = true })
	}
	s.Login.eachIndexKey(func(key indexKey) {
		if still[key] {
			return
		}
		for _, index := range r.indexNames(key) {
			pipe.ZRem(ctx, index, memberOf(digest, s))
		}
	})
	pipe.Exec(ctx)
}

// mark writes the mark under all secrets: a replica that has only the older ones reads it, too.
func (r *redisStore) mark(ctx context.Context, key indexKey, m mark) error {
	for _, name := range r.names("m:", key) {
		err := r.client.MustWrite(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
			return markScript.Run(ctx, c, []string{name}, strconv.FormatInt(int64(m), 10), milliseconds(markLife)).Err()
		})
		if err != nil {
			return storeError(err)
		}
	}
	return nil
}

func (r *redisStore) latestMark(ctx context.Context, keys []indexKey) (latest mark, err error) {
	pipe := r.client.Pipeline()
	var marks []*goredis.StringCmd
	for _, key := range keys {
		for _, name := range r.names("m:", key) {
			marks = append(marks, pipe.Get(ctx, name))
		}
	}
	pipe.Exec(ctx) // each command has its own error
	for _, found := range marks {
		n, err := found.Int64()
		if err != nil && !errors.Is(err, goredis.Nil) {
			return 0, storeError(err)
		}
		latest = max(latest, mark(n))
	}
	return latest, nil
}

// remove deletes records, and each member after its record is deleted.
func (r *redisStore) remove(ctx context.Context, key indexKey, by mark) (removed int, err error) {
	for _, index := range r.indexNames(key) {
		members, err := r.client.ZRange(ctx, index, 0, -1).Result()
		if err != nil {
			return removed, storeError(err)
		}
		members = slices.DeleteFunc(members, func(text string) bool {
			return !by.ends(&Login{Began: time.Unix(parseMember(text).began, 0)})
		})
		n, err := endEach(ctx, members, func(ctx context.Context, text string) (int, error) {
			n, err := r.dropDigest(ctx, parseMember(text).digest)
			if err == nil {
				r.client.ZRem(ctx, index, text) // on an error a later login removes it
			}
			return n, err
		})
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// dropDigest deletes all that is stored under the digest of an ID, until it is acknowledged. It returns 1 if that was a session.
func (r *redisStore) dropDigest(ctx context.Context, digest string) (n int, err error) {
	record := r.key("s:", digest)
	err = r.client.MustWrite(ctx, record, func(ctx context.Context, c goredis.Cmdable) error {
		found, err := endScript.Run(ctx, c, r.keysOf(digest), r.channel(), digest).Int()
		n = max(n, found) // a second run finds nothing
		return err
	})
	r.changed(digest)
	return n, storeError(err)
}
