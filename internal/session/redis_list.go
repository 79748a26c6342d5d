package session

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Beside each record there is a hash, d:{digest}, for administrators: the field "l" has a sealed Listed, "u" has when the session was last
// used, in Unix seconds. It expires with the record.

// details returns the content of the hash of a session that is used now.
func (r *redisStore) details(digest string, s *Session) (sealed string, err error) {
	l := listed(s)
	return l.seal(r.keyring, r.key("d:", digest))
}

func (r *redisStore) seconds() string { return strconv.FormatInt(r.now().Unix(), 10) }

func (r *redisStore) find(ctx context.Context, key indexKey) (all []Listed, err error) {
	var hashes []string
	for _, index := range r.indexNames(key) {
		members, err := r.client.ZRange(ctx, index, 0, -1).Result()
		if err != nil {
			return nil, storeError(err)
		}
		for _, text := range members {
			hashes = append(hashes, r.key("d:", parseMember(text).digest))
		}
	}
	slices.Sort(hashes) // a session may be in the indexes of two secrets
	return r.appendListed(ctx, nil, slices.Compact(hashes))
}

// list walks the key space of each master, in the order of EachMaster.
func (r *redisStore) list(ctx context.Context, name string, limit int) (all []Listed, next string, err error) {
	from, err := parsePage(name)
	if err != nil {
		return nil, "", err
	}
	at := page{}
	err = r.client.EachMaster(ctx, func(ctx context.Context, c *goredis.Client) (err error) {
		defer func() { at.master++ }()
		if at.master < from.master || next != "" {
			return nil
		}
		conn := c.Conn() // one connection: a cursor means nothing to another server
		defer conn.Close()
		at.cursor = 0
		if at.run, err = runOf(ctx, conn); err != nil {
			return err
		}
		if at.master == from.master && name != "" {
			if at.run != from.run {
				return ErrPage
			}
			at.cursor = from.cursor
		}
		if len(all) < limit {
			if all, at.cursor, err = r.scan(ctx, conn, all, at.cursor, limit); err != nil || at.cursor == 0 {
				return err
			}
		}
		next = at.name()
		return nil
	})
	if err == nil && from.master >= at.master {
		err = ErrPage
	}
	return all, next, storeError(err)
}

// A page is where a walk goes on: the number of the master, the cursor of SCAN there, and what identifies the server. After a failover or a
// restart the cursor means nothing.
type page struct {
	master int
	cursor uint64
	run    string
}

func (p page) name() string {
	return strings.Join([]string{strconv.Itoa(p.master), strconv.FormatUint(p.cursor, 10), p.run}, "-")
}

func parsePage(name string) (p page, err error) {
	if name == "" {
		return p, nil
	}
	parts := strings.Split(name, "-")
	if len(parts) != 3 {
		return p, ErrPage
	}
	master, err1 := strconv.ParseUint(parts[0], 10, 16)
	cursor, err2 := strconv.ParseUint(parts[1], 10, 64)
	if err1 != nil || err2 != nil {
		return p, ErrPage
	}
	return page{int(master), cursor, parts[2]}, nil
}

var runID = regexp.MustCompile(`(?m)^run_id:([0-9a-f]{12})`)

// runOf returns the beginning of the run_id of a server, which is a new one after each start. It is empty if the ACL user may not run INFO.
func runOf(ctx context.Context, c *goredis.Conn) (string, error) {
	info, err := c.Info(ctx, "server").Result()
	if err != nil && !goredis.IsPermissionError(err) {
		return "", err
	}
	if found := runID.FindStringSubmatch(info); found != nil {
		return found[1], nil
	}
	return "", nil
}

// scan appends the sessions of a master, from a cursor on, until there are limit or more. It returns the cursor of the next call, or zero
// after the last session.
func (r *redisStore) scan(ctx context.Context, c *goredis.Conn, all []Listed, cursor uint64, limit int) ([]Listed, uint64, error) {
	pattern := globQuote.Replace(r.prefix) + "d:{*"
	for {
		keys, next, err := c.Scan(ctx, cursor, pattern, int64(limit)).Result()
		if err == nil {
			all, err = r.appendListed(ctx, all, keys)
		}
		if cursor = next; err != nil || cursor == 0 || len(all) >= limit {
			return all, cursor, err
		}
	}
}

// globQuote quotes what is special in a pattern of Redis.
var globQuote = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// appendListed appends the sessions that the hashes with these keys describe. Those that have ended meanwhile, and those of other secrets,
// are left out.
func (r *redisStore) appendListed(ctx context.Context, all []Listed, keys []string) ([]Listed, error) {
	if len(keys) == 0 {
		return all, nil
	}
	pipe := r.client.Pipeline() // not of a node: a slot may be moving
	hashes := make([]*goredis.SliceCmd, len(keys))
	for n, key := range keys {
		hashes[n] = pipe.HMGet(ctx, key, "l", "u")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return all, storeError(err)
	}
	var unread int
	var cause error
	for n, key := range keys {
		fields := hashes[n].Val()
		sealed, _ := fields[0].(string)
		used, _ := fields[1].(string)
		if sealed == "" {
			continue
		}
		l, err := openListed(r.keyring, key, sealed)
		if err != nil {
			unread, cause = unread+1, err
			continue
		}
		seconds, _ := strconv.ParseInt(used, 10, 64)
		l.Used, l.name = time.Unix(seconds, 0), key
		all = append(all, l)
	}
	if unread > 0 {
		r.log.Warn("sessions in redis are left out of the list: their details can't be opened", "sessions", unread, "error", cause)
	}
	return all, nil
}

func (r *redisStore) dropListed(ctx context.Context, l Listed) (int, error) {
	digest := l.name[strings.LastIndexByte(l.name, '{')+1 : len(l.name)-1]
	n, err := r.dropDigest(ctx, digest)
	if err != nil {
		return 0, err
	}
	s := &Session{Issued: l.Issued, Login: *l.login()}
	s.Login.eachIndexKey(func(key indexKey) {
		for _, index := range r.indexNames(key) {
			r.client.ZRem(ctx, index, memberOf(digest, s)) // on an error a later login removes it
		}
	})
	return n, nil
}
