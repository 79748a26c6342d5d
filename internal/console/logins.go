package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"sync"
	"time"
)

const (
	loginLife = 15 * time.Minute
	maxLogins = 100
)

// logins are the logins with the admin token. They are in memory only, by the hashes of their IDs.
type logins struct {
	now func() time.Time

	mu  sync.Mutex
	all map[[sha256.Size]byte]tokenLogin
}

// A tokenLogin is a login with the admin token.
type tokenLogin struct {
	until time.Time
	token [sha256.Size]byte // the hash of the token: a login ends when the token changes
}

func newLogins(now func() time.Time) *logins {
	return &logins{now: now, all: map[[sha256.Size]byte]tokenLogin{}}
}

// begin returns the ID of a new login with a token. If there are too many, it ends the oldest.
func (l *logins) begin(token string) (id string) {
	random := make([]byte, 32)
	rand.Read(random)
	id = hex.EncodeToString(random)
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.all) >= maxLogins {
		l.endOldest()
	}
	l.all[sha256.Sum256([]byte(id))] = tokenLogin{l.now().Add(loginLife), sha256.Sum256([]byte(token))}
	return id
}

// endOldest ends the login that would end next. The caller holds mu.
func (l *logins) endOldest() {
	var oldest [sha256.Size]byte
	first := time.Time{}
	for id, login := range l.all {
		if first.IsZero() || login.until.Before(first) {
			oldest, first = id, login.until
		}
	}
	delete(l.all, oldest)
}

// is reports whether an ID is that of a login with this token.
func (l *logins) is(id, token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := sha256.Sum256([]byte(id))
	login, found := l.all[key]
	sum := sha256.Sum256([]byte(token))
	if !found {
		return false
	}
	if !l.now().Before(login.until) || subtle.ConstantTimeCompare(sum[:], login.token[:]) != 1 {
		delete(l.all, key)
		return false
	}
	return true
}

// end ends a login.
func (l *logins) end(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, sha256.Sum256([]byte(id)))
}
