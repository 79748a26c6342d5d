package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/console"
	"sallyport/internal/session"
)

const (
	usualSessions = 100  // on a page
	maxSessions   = 1000 // on a page
)

// endable says which selections end as a whole, together with the logins that are under way.
const endable = "expected sub or sid, alone or with iss or client_id or both; client_id alone; or route alone"

// A sessionRecord is the JSON of a session. It has no token, and no claim besides iss, sub and sid.
type sessionRecord struct {
	Issuer   string     `json:"iss"`
	Subject  string     `json:"sub"`
	SID      string     `json:"sid,omitempty"`
	ClientID string     `json:"client_id"`
	Route    string     `json:"route,omitempty"`  // where the user logged in
	Address  netip.Addr `json:"address,omitzero"` // of the user's client then
	Since    time.Time  `json:"since"`            // when the user logged in
	LastUsed time.Time  `json:"last_used"`
	Storage  string     `json:"storage"` // "memory": only this process has the session
}

func newSessionRecord(l storedSession) sessionRecord {
	return sessionRecord{
		Issuer: l.Issuer, Subject: l.Subject, SID: l.SID, ClientID: l.ClientID, Route: l.Route, Address: l.Client,
		Since: l.Created.UTC().Truncate(time.Second), LastUsed: l.Used.UTC().Truncate(time.Second), Storage: l.storage,
	}
}

// sessionFields returns the fields of a selection by the names of their parameters.
func sessionFields(q *session.Selection) map[string]*string {
	return map[string]*string{"iss": &q.Issuer, "client_id": &q.ClientID, "sub": &q.Subject, "sid": &q.SID, "route": &q.Route}
}

// sessionQuery returns the selection of a request, and its parameters with the names in more. A parameter that is unknown, empty or
// doubled is an error: without it, the request would be about more sessions than its sender means.
func sessionQuery(r *http.Request, more ...string) (q session.Selection, rest map[string]string, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, nil, errors.New("the query can't be parsed")
	}
	fields := sessionFields(&q)
	rest = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values.Get(name)
		switch {
		case fields[name] == nil && !slices.Contains(more, name):
			known := append(slices.Sorted(maps.Keys(fields)), more...)
			return q, nil, fmt.Errorf("unknown parameter %.40q, expected some of %s", name, strings.Join(known, ", "))
		case len(values[name]) > 1 || value == "":
			return q, nil, fmt.Errorf("%s: expected one value", name)
		case fields[name] != nil:
			*fields[name] = value
		default:
			rest[name] = value
		}
	}
	return q, rest, nil
}

// pageLimit returns the number of sessions on a page.
func pageLimit(text string) (int, error) {
	if text == "" {
		return usualSessions, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || n == 0 {
		return 0, errors.New("limit: expected a positive number")
	}
	return int(min(n, maxSessions)), nil // out of range, n is the largest number
}

func (s *server) getSessions(w http.ResponseWriter, r *http.Request) {
	q, rest, err := sessionQuery(r, "limit", "page")
	var limit int
	if err == nil {
		limit, err = pageLimit(rest["limit"])
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	stores, ok := s.indexedStores(w)
	if !ok {
		return
	}
	found, next, err := listIn(r.Context(), stores, q, rest["page"], limit)
	switch {
	case errors.Is(err, session.ErrPage):
		http.Error(w, "there is no such page, or the stores have changed: begin without page", http.StatusBadRequest)
		return
	case err != nil:
		s.log.Warn("the sessions can't be listed", "error", err)
		s.storeUnavailable(w, "the sessions can't be listed: see the log")
		return
	}
	records := make([]sessionRecord, 0, len(found))
	for _, l := range found {
		records = append(records, newSessionRecord(l))
	}
	writeAdminJSON(w, map[string]any{"sessions": records, "next": next})
}

func (s *server) endSessions(w http.ResponseWriter, r *http.Request) {
	q, _, err := sessionQuery(r)
	if err == nil && !isEndable(q) {
		err = errors.New(endable)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	stores, ok := s.indexedStores(w)
	if !ok {
		return
	}
	ended, err := s.endSelected(r.Context(), stores, console.Ending{Query: consoleQuery(q), By: console.Actor{Client: r.RemoteAddr}})
	if err != nil {
		s.storeUnavailable(w, "not all sessions are known to have ended: repeat the request, which is safe; see the log")
		return
	}
	writeAdminJSON(w, map[string]int{"ended": ended})
}

// endSelected ends the selected sessions, or one of them, for an administrator. It logs and audits that.
func (s *server) endSelected(ctx context.Context, stores []*sessionStore, e console.Ending) (ended int, err error) {
	q, by := selectionOf(e.Query), selectedBy(selectionOf(e.Query))
	if e.Key == "" {
		ended, err = endIn(ctx, stores, q)
	} else {
		ended, err = endOneIn(ctx, stores, q, e.Key)
		by = append(by, "session")
	}
	attributes := []any{"client", e.By.Client, "by", strings.Join(by, " "), "ended", ended}
	s.state.audit.Write(audit.Event{
		Event: audit.Logout, How: audit.ByAdministration, Client: e.By.Client, Issuer: q.Issuer, Subject: q.Subject, ClientID: q.ClientID,
		Route: q.Route, By: strings.Join(by, " "), Ended: &ended, Actor: e.By.Subject, ActorIssuer: e.By.Issuer,
	})
	if err != nil {
		s.log.Warn("sessions are ended on request, but perhaps not all", append(attributes, "error", err)...)
		return ended, err
	}
	s.log.Info("sessions are ended on request", attributes...)
	return ended, nil
}

const noStores = "no route has sessions in memory or redis, and those in cookies can't be listed or ended"

// indexedStores returns the stores that can list their sessions and end them. Without one it answers 404: an empty list would say that
// there are no sessions, though browsers may have some in cookies.
func (s *server) indexedStores(w http.ResponseWriter) (stores []*sessionStore, ok bool) {
	stores = s.builder.Load().sessionStores
	if len(stores) == 0 {
		http.Error(w, noStores, http.StatusNotFound)
	}
	return stores, len(stores) > 0
}

// isEndable reports whether a selection is one that endable describes.
func isEndable(q session.Selection) bool {
	switch {
	case q.Subject != "" || q.SID != "":
		return (q.Subject == "" || q.SID == "") && q.Route == ""
	case q.ClientID != "":
		return q == session.Selection{ClientID: q.ClientID}
	}
	return q.Route != "" && q == session.Selection{Route: q.Route}
}

// selectedBy returns the names of the parameters that a selection has. Their values stay out of the log.
func selectedBy(q session.Selection) (names []string) {
	fields := sessionFields(&q)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if *fields[name] != "" {
			names = append(names, name)
		}
	}
	return names
}
