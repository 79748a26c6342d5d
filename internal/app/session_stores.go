package app

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"sallyport/internal/cache"
	"sallyport/internal/session"
)

// A sessionStore is where the sessions of some routes are, for administrators. Routes with the same Redis keys and secrets share one, even
// if their timeouts differ.
type sessionStore struct {
	*sessionSet
	logins []session.Selection // the issuer and client_id of each login that the routes begin
}

// storeName returns the name of the store of settings. It is the same as long as the process runs.
func storeName(hashKey []byte, s session.Settings) string {
	if s.Storage == "redis" {
		s = session.Settings{Storage: s.Storage, Secret: s.Secret, Redis: s.Redis}
	}
	key := cache.KeyOfSettingsAndFiles(hashKey, s)
	return hex.EncodeToString(key[:8])
}

// addSessionStore adds the store of a set to sessionStores, with the logins of one issuer.
func (b *builder) addSessionStore(set *sessionSet, issuer string, clientIDs []string) {
	if set.storage != "memory" && set.storage != "redis" { // no other storage has an index
		return
	}
	n := slices.IndexFunc(b.sessionStores, func(s *sessionStore) bool { return s.name == set.name })
	if n < 0 {
		n = len(b.sessionStores)
		b.sessionStores = append(b.sessionStores, &sessionStore{sessionSet: set})
	}
	s := b.sessionStores[n]
	for _, id := range clientIDs {
		if l := (session.Selection{Issuer: issuer, ClientID: id}); !slices.Contains(s.logins, l) {
			s.logins = append(s.logins, l)
		}
	}
}

// indexed returns a selection by sub or sid as selections that the index of sessions finds: for each issuer and client_id that it leaves
// open, one for each of the configuration. It reports false for any other selection.
func (s *sessionStore) indexed(q session.Selection) (all []session.Selection, ok bool) {
	switch {
	case q.Subject == "" && q.SID == "":
		return nil, false
	case q.Issuer != "" && q.ClientID != "":
		return []session.Selection{q}, true
	}
	for _, l := range s.logins {
		if q.Issuer != "" && q.Issuer != l.Issuer || q.ClientID != "" && q.ClientID != l.ClientID {
			continue
		}
		one := q
		one.Issuer, one.ClientID = l.Issuer, l.ClientID
		all = append(all, one)
	}
	return all, true
}

// list returns a page of the selected sessions as Sessions.List does. All that the index finds is on one page.
func (s *sessionStore) list(
	ctx context.Context, q session.Selection, page string, limit int,
) (found []session.Listed, next string, err error) {
	all, ok := s.indexed(q)
	switch {
	case !ok:
		return s.List(ctx, q, page, limit)
	case page != "":
		return nil, "", session.ErrPage
	}
	for _, one := range all {
		more, _, err := s.List(ctx, one, "", limit)
		if err != nil {
			return nil, "", err
		}
		found = append(found, more...)
	}
	return found, "", nil
}

// end ends the selected logins and returns the number of ended sessions. The error is that of Sessions.EndSelected.
func (s *sessionStore) end(ctx context.Context, q session.Selection) (ended int, err error) {
	all, ok := s.indexed(q)
	if !ok {
		return s.EndSelected(ctx, q)
	}
	for _, one := range all {
		n, err := s.EndSelected(ctx, one)
		ended += n
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// A storedSession is a session and its storage.
type storedSession struct {
	session.Listed
	storage string
}

// maxStorePages is how many pages of the stores one page of listIn may have. Where few sessions are selected, it may have none.
const maxStorePages = 100

// listIn returns a page of the selected sessions of stores, and the name of the next page, which is empty after the last. The name has
// that of a store, and that of a page of the store. A page has about limit sessions.
func listIn(
	ctx context.Context, stores []*sessionStore, q session.Selection, page string, limit int,
) (all []storedSession, next string, err error) {
	name, inner, named := strings.Cut(page, ".")
	n := 0
	if page != "" {
		n = slices.IndexFunc(stores, func(s *sessionStore) bool { return s.name == name })
		if n < 0 || !named {
			return nil, "", session.ErrPage
		}
	}
	for range maxStorePages {
		if n == len(stores) {
			return all, "", nil
		}
		var found []session.Listed
		found, inner, err = stores[n].list(ctx, q, inner, limit)
		if err != nil {
			return nil, "", err
		}
		for _, l := range found {
			all = append(all, storedSession{l, stores[n].storage})
		}
		if inner == "" {
			n++
		}
		if len(all) >= limit {
			break
		}
	}
	if n == len(stores) {
		return all, "", nil
	}
	return all, stores[n].name + "." + inner, nil
}

// endIn ends the selected logins in all stores and returns the number of ended sessions. If a store fails, it goes on with the next.
func endIn(ctx context.Context, stores []*sessionStore, q session.Selection) (ended int, err error) {
	for _, s := range stores {
		n, failed := s.end(ctx, q)
		ended += n
		err = errors.Join(err, failed)
	}
	return ended, err
}

// endOneIn ends the session with a key among the selected ones, in whichever store it is.
func endOneIn(ctx context.Context, stores []*sessionStore, q session.Selection, key string) (ended int, err error) {
	for _, s := range stores {
		n, failed := s.EndOne(ctx, q, key)
		ended += n
		err = errors.Join(err, failed)
	}
	return ended, err
}
