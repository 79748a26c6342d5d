package session

import (
	"context"
	"time"
)

// A mark says that logins have ended: those that began in its second or before. It is a time in Unix seconds. Zero is no mark, and
// everyLogin ends all.
//
// A logout writes its marks before it reads the index. A login writes its index entries and its record before it reads the marks. So of a
// login and a logout at the same time, one sees the other.
type mark int64

const everyLogin mark = 1 << 52 // Lua computes with doubles, which hold it exactly

// markLife is how long a mark is stored. A login or a rotation that takes longer could miss a mark, so it fails.
const markLife = 15 * time.Minute

func (m mark) ends(l *Login) bool { return m > 0 && l.Began.Unix() <= int64(m) }

// marked reports whether a logout has ended a login.
func (s *Sessions) marked(ctx context.Context, l *Login) (bool, error) {
	var keys []indexKey
	l.eachMarkKey(func(key indexKey) { keys = append(keys, key) })
	latest, err := s.store.latestMark(ctx, keys)
	return latest.ends(l), err
}

// A target is the logins with an index key that a mark ends.
type target struct {
	key  indexKey
	mark mark
}

// endTargets marks the targets, and then ends the sessions that the index has for them.
func (s *Sessions) endTargets(ctx context.Context, targets []target) (ended int, err error) {
	for _, t := range targets {
		if err := s.store.mark(ctx, t.key, t.mark); err != nil {
			return 0, err
		}
	}
	for _, t := range targets {
		n, err := s.store.remove(ctx, t.key, t.mark)
		ended += n
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}
