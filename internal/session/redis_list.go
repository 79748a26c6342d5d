package session

import (
	"context"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Beside each record there is a hash, d:{digest}, for administrators: the field "l" has a sealed Listed, "u" has when the session was last
// used, in Unix seconds. It expires with the record.

// details returns the content of the hash of a session that is used now.
func (r *redisStore) details(digest string, s *Session) (sealed string, err error) {
	l := listed(s, &r.timeouts)
	return l.seal(r.keyring, r.key("d:", digest))
}

func (r *redisStore) seconds() string { return strconv.FormatInt(r.now().Unix(), 10) }

func (r *redisStore) find(ctx context.Context, key indexKey) (all []Listed, err error) {
	for _, index := range r.indexNames(key) {
		members, err := r.client.ZRange(ctx, index, 0, -1).Result()
		if err != nil {
			return nil, storeError(err)
		}
		for n, text := range members {
			members[n] = r.key("d:", parseMember(text).digest)
		}
		if all, err = r.appendListed(ctx, r.client, all, members); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// list walks the key space of each master. The name of a page is the number of the master, and the cursor of SCAN there.
func (r *redisStore) list(ctx context.Context, page string, limit int) (all []Listed, next string, err error) {
	first, cursor, err := parsePage(page)
	if err != nil {
		return nil, "", err
	}
	master := 0
	err = r.client.EachMaster(ctx, func(ctx context.Context, c *goredis.Client) error {
		defer func() { master++ }()
		if master < first || next != "" {
			return nil
		}
		if master > first {
			cursor = 0
		}
		if len(all) >= limit {
			next = pageName(master, 0)
			return nil
		}
		var err error
		if all, cursor, err = r.scan(ctx, c, all, cursor, limit); err == nil && cursor != 0 {
			next = pageName(master, cursor)
		}
		return err
	})
	return all, next, storeError(err)
}

func pageName(master int, cursor uint64) string {
	return strconv.Itoa(master) + "-" + strconv.FormatUint(cursor, 10)
}

func parsePage(page string) (master int, cursor uint64, err error) {
	if page == "" {
		return 0, 0, nil
	}
	first, second, _ := strings.Cut(page, "-")
	master, err1 := strconv.Atoi(first)
	cursor, err2 := strconv.ParseUint(second, 10, 64)
	if err1 != nil || err2 != nil || master < 0 {
		return 0, 0, ErrPage
	}
	return master, cursor, nil
}

// scan appends the sessions of a master, from a cursor on, until there are limit or more. It returns the cursor of the next call, or zero
// after the last session.
func (r *redisStore) scan(ctx context.Context, c *goredis.Client, all []Listed, cursor uint64, limit int) ([]Listed, uint64, error) {
	pattern := globQuote.Replace(r.prefix) + "d:{*"
	for {
		keys, next, err := c.Scan(ctx, cursor, pattern, int64(limit)).Result()
		if err == nil {
			all, err = r.appendListed(ctx, c, all, keys)
		}
		if cursor = next; err != nil || cursor == 0 || len(all) >= limit {
			return all, cursor, err
		}
	}
}

// globQuote quotes what is special in a pattern of Redis.
var globQuote = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// appendListed appends the sessions that the hashes with these keys describe. Those that have ended meanwhile are left out.
func (r *redisStore) appendListed(ctx context.Context, c goredis.Cmdable, all []Listed, keys []string) ([]Listed, error) {
	pipe := c.Pipeline()
	hashes := make([]*goredis.SliceCmd, len(keys))
	for n, key := range keys {
		hashes[n] = pipe.HMGet(ctx, key, "l", "u")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return all, storeError(err)
	}
	for n, key := range keys {
		fields := hashes[n].Val()
		sealed, _ := fields[0].(string)
		used, _ := fields[1].(string)
		if sealed == "" {
			continue
		}
		l, err := openListed(r.keyring, key, sealed)
		if err != nil {
			r.log.Warn("the details of a session in redis are not used", "error", err)
			continue
		}
		seconds, _ := strconv.ParseInt(used, 10, 64)
		l.Used, l.name = time.Unix(seconds, 0), key
		all = append(all, l)
	}
	return all, nil
}

func (r *redisStore) dropListed(ctx context.Context, l Listed) error {
	digest := l.name[strings.IndexByte(l.name, '{')+1 : len(l.name)-1]
	if _, err := r.dropDigest(ctx, digest); err != nil {
		return err
	}
	s := &Session{Issued: l.Issued, Login: *l.login()}
	s.Login.eachIndexKey(func(key indexKey) {
		for _, index := range r.indexNames(key) {
			r.client.ZRem(ctx, index, memberOf(digest, s)) // on an error a later login removes it
		}
	})
	return nil
}
