package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sallyport/internal/keyring"
)

// A Listed is what an administrator sees of a session: never a token, and no other claim.
type Listed struct {
	Issuer   string     `json:"iss"`
	ClientID string     `json:"client_id"`
	Subject  string     `json:"sub"`
	SID      string     `json:"sid,omitempty"`
	Route    string     `json:"route,omitempty"`
	Client   netip.Addr `json:"client,omitzero"` // the address of the user's client at the login
	Created  time.Time  `json:"created"`         // when the user logged in, or last resumed the session
	Began    time.Time  `json:"began"`           // iat of the ID token that began the login
	Issued   time.Time  `json:"issued"`          // when the session got its current ID
	Used     time.Time  `json:"-"`               // when the session was last used, to the minute

	id   ID     // in the store in memory
	name string // of the record, in Redis
}

func listed(s *Session) Listed {
	l := &s.Login
	return Listed{
		Issuer: l.Issuer, ClientID: l.ClientID, Subject: l.Subject, SID: l.SID, Route: l.Route, Client: l.Client,
		Created: s.Created, Began: l.Began, Issued: s.Issued,
	}
}

// Key returns a name of the login for administrators. It gives no access to the session, and stays the same when that gets another ID or
// another sid.
func (l *Listed) Key() string {
	login := *l
	login.Issued, login.SID = time.Time{}, ""
	text, _ := json.Marshal(login)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// login returns the login, as far as it is listed.
func (l *Listed) login() *Login {
	return &Login{Issuer: l.Issuer, ClientID: l.ClientID, Subject: l.Subject, SID: l.SID, Route: l.Route, Began: l.Began}
}

const listedUse = "session details"

// seal returns the stored form of a Listed. Its key is derived from the secret alone, because an administrator has no session ID.
func (l *Listed) seal(k *keyring.Keyring, name string) (string, error) {
	return k.SealJSON(listedUse, name, "", l)
}

func openListed(k *keyring.Keyring, name, record string) (l Listed, err error) {
	return l, k.OpenJSON(listedUse, name, "", record, &l)
}

// A Selection selects logins: those for which all its fields that are set are equal.
type Selection struct{ Issuer, ClientID, Subject, SID, Route string }

func (q *Selection) selects(l *Listed) bool {
	equal := func(want, have string) bool { return want == "" || want == have }
	return equal(q.Issuer, l.Issuer) && equal(q.ClientID, l.ClientID) && equal(q.Subject, l.Subject) &&
		equal(q.SID, l.SID) && equal(q.Route, l.Route)
}

// indexKey returns the index key of the selected logins. It reports false if the index can't find them.
func (q *Selection) indexKey() (key indexKey, ok bool) {
	switch {
	case q.Issuer == "" || q.ClientID == "":
		return key, false
	case q.SID != "":
		return indexKey{kindSID, q.Issuer, q.ClientID, q.SID}, true
	case q.Subject != "":
		return indexKey{kindSubject, q.Issuer, q.ClientID, q.Subject}, true
	}
	return key, false
}

// List returns selected sessions, and the name of the next page, which is empty after the last. The first page is "". A page has about
// limit sessions and may have none; a selection by issuer, client_id and sub or sid has one page. Sessions that begin or end while the
// pages are read may be missing, and a session may be on two pages. The error wraps ErrPage or ErrUnavailable.
func (s *Sessions) List(ctx context.Context, q Selection, page string, limit int) (sessions []Listed, next string, err error) {
	var all []Listed
	key, ok := q.indexKey()
	switch {
	case !ok:
		all, next, err = s.store.list(ctx, page, limit)
	case page == "":
		all, err = s.store.find(ctx, key)
	default:
		err = ErrPage
	}
	if err != nil {
		return nil, "", err
	}
	for _, l := range all {
		if q.selects(&l) {
			sessions = append(sessions, l)
		}
	}
	return sessions, next, nil
}

// ErrPage means that a page's name isn't one that List returned, or that Redis has changed since: another server is a master now. The
// caller begins with the first page again.
var ErrPage = errors.New("there is no such page")

// ErrSelection means that EndSelected can't end a selection as a whole.
var ErrSelection = errors.New("select by issuer, client_id and sub or sid; by client_id alone; or by route alone")

// walkPage is the number of sessions in a page of a walk.
const walkPage = 1000

// EndSelected ends the selected logins for an administrator, and those that are under way, and returns the number of ended sessions. It
// ends logins that began until now: the user may log in again. After an error it must be called again, which is safe. The error wraps
// ErrSelection or ErrUnavailable.
func (s *Sessions) EndSelected(ctx context.Context, q Selection) (ended int, err error) {
	now := mark(s.now().Unix())
	if key, ok := q.indexKey(); ok {
		if q.Route != "" || q.SID != "" && q.Subject != "" {
			return 0, ErrSelection
		}
		return s.endTargets(ctx, []target{{key, now}})
	}
	var key indexKey
	switch q {
	case Selection{ClientID: q.ClientID}:
		key = indexKey{kind: kindClient, value: q.ClientID}
	case Selection{Route: q.Route}:
		key = indexKey{kind: kindRoute, value: q.Route}
	}
	if key.value == "" {
		return 0, ErrSelection
	}
	if err := s.store.mark(ctx, key, now); err != nil {
		return 0, err
	}
	for changes := 0; changes < attempts; {
		n, err := s.endWalk(ctx, q, now)
		ended += n
		switch {
		case errors.Is(err, ErrPage):
			changes++ // a walk over other masters could miss sessions
		case err != nil || n == 0:
			return ended, err
		}
	}
	return ended, fmt.Errorf("%w: the masters of redis kept changing", ErrUnavailable)
}

// EndOne ends the login with a key among the selected ones, and returns the number of ended sessions: 0 if it has ended already. The
// selection has issuer, client_id and sub. The error wraps ErrSelection or ErrUnavailable.
func (s *Sessions) EndOne(ctx context.Context, q Selection, key string) (ended int, err error) {
	index, ok := q.indexKey()
	if !ok {
		return 0, ErrSelection
	}
	for range attempts {
		all, err := s.store.find(ctx, index)
		if err != nil {
			return ended, err
		}
		all = slices.DeleteFunc(all, func(l Listed) bool { return !q.selects(&l) || l.Key() != key })
		if len(all) == 0 {
			return ended, nil // no request has given the session a new ID meanwhile
		}
		n, err := endEach(ctx, all, s.store.dropListed)
		ended += n
		if err != nil {
			return ended, err
		}
	}
	return ended, fmt.Errorf("%w: the session keeps getting new IDs", ErrUnavailable)
}

// endWalk ends the selected sessions that one walk over the store finds.
func (s *Sessions) endWalk(ctx context.Context, q Selection, m mark) (ended int, err error) {
	for page := ""; ; {
		all, next, err := s.store.list(ctx, page, walkPage)
		if err != nil {
			return ended, err
		}
		all = slices.DeleteFunc(all, func(l Listed) bool { return !q.selects(&l) || !m.ends(l.login()) })
		n, err := endEach(ctx, all, s.store.dropListed)
		ended += n
		if page = next; err != nil || page == "" {
			return ended, err
		}
	}
}
