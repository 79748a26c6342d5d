package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// overview shows the state of the process.
func (c *Console) overview(w http.ResponseWriter, _ *http.Request, v *visitor) {
	c.show(w, v, http.StatusOK, "overview", "Overview", c.Overview())
}

// routes shows the routes and their rules.
func (c *Console) routes(w http.ResponseWriter, _ *http.Request, v *visitor) {
	c.show(w, v, http.StatusOK, "routes", "Routes", c.Routes())
}

// keys shows the issuers and all keys.
func (c *Console) keys(w http.ResponseWriter, r *http.Request, v *visitor) {
	c.show(w, v, http.StatusOK, "keys", "Issuers and keys", c.Keys(r.Context()))
}

// A found is the data of the page of sessions.
type found struct {
	Query
	Sessions
	Asked bool   // the query selects some
	More  string // the address of the next page; empty: there is none
	Ended int    // how many sessions the form before has ended; -1: there was none
}

// sessions shows the sessions that the query selects.
func (c *Console) sessions(w http.ResponseWriter, r *http.Request, v *visitor) {
	values := r.URL.Query()
	f := found{Query: queryOf(values), Ended: -1}
	f.Asked = f.Query != Query{}
	if n, err := strconv.ParseUint(values.Get("ended"), 10, 31); err == nil {
		f.Ended = int(n)
	}
	var err error
	f.Sessions, err = c.Sessions(r.Context(), f.Query, values.Get("page"))
	switch {
	case errors.Is(err, ErrPage):
		c.message(w, v, http.StatusBadRequest, "No such page", "The sessions have changed since: begin with the first page.")
		return
	case err != nil:
		c.Log.Warn("the sessions can't be listed", "error", err)
		c.message(w, v, http.StatusServiceUnavailable, "Not available", "The sessions can't be listed at the moment: see the log.")
		return
	}
	if f.Next != "" {
		next := f.Values()
		next.Set("page", f.Next)
		f.More = "sessions?" + next.Encode()
	}
	c.show(w, v, http.StatusOK, "sessions", "Sessions", f)
}

// ErrPage means that a page of sessions doesn't exist.
var ErrPage = errors.New("there is no such page")

// fields returns the fields of a query by the names of their parameters.
func (q *Query) fields() map[string]*string {
	return map[string]*string{"sub": &q.Subject, "sid": &q.SID, "iss": &q.Issuer, "client_id": &q.ClientID, "route": &q.Route}
}

// queryOf returns the query in the parameters of a form.
func queryOf(values url.Values) (q Query) {
	for name, field := range q.fields() {
		*field = values.Get(name)
	}
	return q
}

// Values returns the parameters of the query.
func (q Query) Values() url.Values {
	values := url.Values{}
	for name, field := range q.fields() {
		if *field != "" {
			values.Set(name, *field)
		}
	}
	return values
}

// EndOne returns the address of the page that ends a session.
func (s Session) EndOne() string {
	values := Query{Subject: s.Subject, Issuer: s.Issuer, ClientID: s.ClientID}.Values()
	values.Set("key", s.Key)
	return "end?" + values.Encode()
}

// EndAll returns the address of the page that ends all sessions of a user.
func (s Session) EndAll() string {
	return "end?" + Query{Subject: s.Subject, Issuer: s.Issuer}.Values().Encode()
}

// A search is the data of the page of refusals.
type search struct {
	Text  string
	All   int
	Found []Refusal
}

// refusals shows the recent refusals, or those with a given property.
func (c *Console) refusals(w http.ResponseWriter, r *http.Request, v *visitor) {
	all := c.Refusals()
	s := search{Text: strings.TrimSpace(r.URL.Query().Get("find")), All: len(all)}
	for _, one := range all {
		if s.Text == "" || one.has(s.Text) {
			s.Found = append(s.Found, one)
		}
	}
	c.show(w, v, http.StatusOK, "refusals", "Recent refusals", s)
}

// has reports whether a refusal has a property that is the text.
func (r *Refusal) has(text string) bool {
	for _, own := range []string{r.RequestID, r.Subject, r.Route, r.Reason, r.Flow, strconv.Itoa(r.Status)} {
		if own == text {
			return true
		}
	}
	return false
}

// An explained is the data of the page of one refusal.
type explained struct {
	Refusal
	Explanation
}

// refusal shows one refusal with its explanation.
func (c *Console) refusal(w http.ResponseWriter, r *http.Request, v *visitor) {
	n, err := strconv.ParseUint(r.URL.Query().Get("n"), 10, 64)
	for _, one := range c.Refusals() {
		if err == nil && one.Number == n {
			c.show(w, v, http.StatusOK, "refusal", "Why this request was refused", explained{one, one.Explain()})
			return
		}
	}
	c.message(w, v, http.StatusNotFound, "Not found", "This refusal isn't kept any more: later ones have taken its place.")
}
