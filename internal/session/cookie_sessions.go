package session

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/cache"
	"sallyport/internal/keyring"
	"sallyport/internal/telemetry"
)

// CookieSessions has the sessions of storage cookie: each is sealed in cookies of its browser, and any process with the same secret opens
// it. A process remembers a few things about logins for a while: what it sealed last, so that concurrent requests get equal cookies and one
// refresh, and which logins ended here. It is safe for concurrent use.
type CookieSessions struct {
	timeouts timeouts
	keyring  *keyring.Keyring
	now      func() time.Time
	log      *slog.Logger
	decoded  decodedSessions
	running  sync.WaitGroup // updates

	refreshes *telemetry.Refreshes

	mu      sync.Mutex // guards the fields below
	logins  *cache.ExpiringMap[lineage, loginNote]
	latest  *cache.ExpiringMap[lineage, latestSession]
	updates map[lineage]*update
	closed  bool
	swept   time.Time
	warned  time.Time // when long cookies were last logged
}

// A lineage is what the IDs of one login have in common: their first half. A rotation changes the second.
type lineage [len(ID{}) / 2]byte

func (id ID) lineage() lineage { return lineage(id[:len(lineage{})]) }

// A loginNote is what a process remembers of a login.
type loginNote struct {
	version  uint64 // the highest version that it sealed
	ended    bool
	replaced bool // by another login of the same browser
	until    time.Time
}

// A latestSession is the newest version of a session, for requests that still carry an older one.
type latestSession struct {
	session *Session
	until   time.Time
}

const (
	maxLoginNotes = 200_000 // when there are more, the one that would be forgotten first goes
	maxLatest     = 10_000
	loginNoteLife = time.Hour      // longer than an answer takes that could bring an older version
	endedLife     = 24 * time.Hour // of an ended login without session_absolute_timeout
	refreshedLife = time.Minute    // how long requests with the old cookie get the refreshed tokens
)

func newCookieSessions(t timeouts, k *keyring.Keyring, now func() time.Time, log *slog.Logger) *CookieSessions {
	return &CookieSessions{
		timeouts: t, keyring: k, now: now, log: log, updates: map[lineage]*update{},
		logins: cache.NewExpiringMap[lineage](maxLoginNotes, func(n loginNote) time.Time { return n.until }),
		latest: cache.NewExpiringMap[lineage](maxLatest, func(l latestSession) time.Time { return l.until }),
	}
}

// Cookies returns the sessions of storage cookie; nil with another storage.
func (s *Sessions) Cookies() *CookieSessions { return s.cookies }

// close waits for running updates.
func (c *CookieSessions) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.running.Wait()
}

// Read returns the session in the cookies of a request whose name is name or one of its chunks. Of several it takes the one with the
// highest version that opens.
func (c *CookieSessions) Read(name string, cookies []*http.Cookie) *Carried {
	sets, sent := chunksOf(name, cookies)
	for i := range sets {
		if s := c.open(name, &sets[i]); s != nil {
			return &Carried{sessions: c, session: s, sent: sent, chunks: sets[i].head.count}
		}
	}
	return &Carried{sessions: c, sent: sent}
}

// open returns the session of a set of chunks; nil if it doesn't open.
func (c *CookieSessions) open(name string, set *chunkSet) *Session {
	if !set.complete() {
		return nil
	}
	if s := c.decoded.get(name, set); s != nil {
		return s
	}
	record, err := set.record()
	if err != nil {
		return nil
	}
	plain, err := c.keyring.OpenRecord(cookieUse, set.head.name(name), string(set.head.id[:]), record)
	if err != nil {
		return nil
	}
	s, size, err := unpack(plain, set.head)
	if err != nil {
		return nil
	}
	c.decoded.put(name, set, s, size)
	return s
}

// Seal returns the values of the cookies of a session that Start, Open or Update of a Carried returned: see ChunkName. Each has at most
// room bytes. The error wraps ErrTooLarge if they are too long for browsers.
func (c *CookieSessions) Seal(name string, room int, s *Session) ([]string, error) {
	plain, err := pack(s)
	if err != nil {
		return nil, err
	}
	h := head{id: s.carried.id, version: s.carried.version}
	if h.count, err = countChunks(len(plain)+keyring.RecordOverhead, room); err != nil {
		return nil, err
	}
	record, err := c.keyring.SealRepeatably(cookieUse, h.name(name), string(h.id[:]), plain)
	if err != nil {
		return nil, err
	}
	values := split(record, h, room)
	size := cookieSize(name, values)
	if size > maxCookies {
		return nil, fmt.Errorf("%w: they have %d bytes of at most %d: write session_storage: redis", ErrTooLarge, size, maxCookies)
	}
	c.warnLong(size)
	set := &chunkSet{head: h}
	copy(set.values[:], values)
	c.decoded.put(name, set, s, len(plain))
	return values, nil
}

// warnLong logs, at most once a minute, that cookies are long.
func (c *CookieSessions) warnLong(size int) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if size <= longCookies || now.Sub(c.warned) < time.Minute {
		return
	}
	c.warned = now
	c.log.Warn("the cookies of a session are long, and nginx and others refuse a Cookie header over 8 KiB: write session_storage: redis",
		"bytes", size)
}

// MaySet reports whether the cookie with a chunk of a session may still be set: the process hasn't set a newer version since then, and the
// login hasn't ended here.
func (c *CookieSessions) MaySet(value string) bool {
	h, _, ok := parseHead(value)
	if !ok {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, known := c.logins.Get(h.id.lineage())
	return !known || !n.ended && h.version >= n.version
}

// current returns the newest version of a session that is known here, with a new use or a new ID if that is due.
func (c *CookieSessions) current(s *Session) (*Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	s, err := c.live(s, now)
	if err != nil {
		return nil, err
	}
	second := now.UTC().Truncate(time.Second)
	rotates := c.timeouts.rotationDue(s, now)
	if !rotates && (c.timeouts.idling == 0 || second.Sub(s.carried.used) < c.timeouts.touchAfter()) {
		return s, nil
	}
	next, id := *s, s.carried.id
	if rotates {
		next.Issued = second
		after := c.keyring.Successor(id)
		copy(id[len(lineage{}):], after[:])
	}
	next.carried = &carriage{id: id, version: nextVersion(s, now), used: second}
	c.publish(&next, now, grace)
	return &next, nil
}

// peek returns the newest version of a session that is known here.
func (c *CookieSessions) peek(s *Session) (*Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live(s, c.now())
}

// live returns the newest version of a session that is known here, unless the login has ended. The caller holds the lock.
func (c *CookieSessions) live(s *Session, now time.Time) (*Session, error) {
	if n, known := c.logins.Get(s.carried.id.lineage()); known && n.replaced {
		return nil, ErrReplaced
	} else if known && n.ended {
		return nil, ErrNotFound
	}
	s = c.newest(s, now)
	if c.timeouts.over(s, now) || c.timeouts.idling > 0 && now.Sub(s.carried.used) >= c.timeouts.idling {
		return nil, fmt.Errorf("%w: timed out", ErrNotFound)
	}
	return s, nil
}

// newest returns the version that requests with an older one get, or s itself.
func (c *CookieSessions) newest(s *Session, now time.Time) *Session {
	l, known := c.latest.Get(s.carried.id.lineage())
	if known && now.Before(l.until) && newer(l.session, s) {
		return l.session
	}
	return s
}

// nextVersion returns the version that follows that of s. Versions are at least the time in seconds, so that a later login of a browser has
// a higher one than an earlier login, whatever process it is at.
func nextVersion(s *Session, now time.Time) uint64 {
	return max(s.carried.version+1, uint64(now.Unix()))
}

// publish makes a session the newest version of its login, for requests that still carry an older one during the given time. The caller
// holds the lock.
func (c *CookieSessions) publish(s *Session, now time.Time, life time.Duration) {
	c.sweep(now)
	key, until := s.carried.id.lineage(), now.Add(life)
	if l, known := c.latest.Get(key); known && l.until.After(until) {
		until = l.until // a refreshed session stays for requests with the tokens before
	}
	c.latest.Put(key, latestSession{s, until})
	n, _ := c.logins.Get(key)
	n.version, n.until = max(n.version, s.carried.version), now.Add(loginNoteLife)
	c.logins.Put(key, n)
}

// end ends a login in this process. The caller holds the lock.
func (c *CookieSessions) end(s *Session, replaced bool) {
	now, key := c.now(), s.carried.id.lineage()
	c.sweep(now)
	c.latest.Delete(key)
	n, _ := c.logins.Get(key)
	n.ended, n.replaced, n.until = true, n.replaced || replaced, now.Add(endedLife)
	if c.timeouts.absolute > 0 {
		n.until = now.Add(c.timeouts.absolute)
	}
	c.logins.Put(key, n)
}

// sweep forgets what is out of date, now and then. The caller holds the lock.
func (c *CookieSessions) sweep(now time.Time) {
	if now.Sub(c.swept) >= sweepEvery {
		c.swept = now
		c.latest.Sweep(now)
		c.logins.Sweep(now)
	}
}
