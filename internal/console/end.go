package console

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxForm is the maximum length of a form, in bytes.
const maxForm = 16 << 10

// An ask is the data of the page that asks before sessions end.
type ask struct {
	Query
	Key   string
	Found []Session // some of those that end
	More  bool      // there are others
}

// end asks whether the sessions that the query selects should end.
func (c *Console) end(w http.ResponseWriter, r *http.Request, v *visitor) {
	values := r.URL.Query()
	a := ask{Query: queryOf(values), Key: values.Get("key")}
	if !v.MayEnd {
		c.mayNotEnd(w, v)
		return
	}
	if !a.endable() {
		c.message(w, v, http.StatusBadRequest, "Nothing selected", "Choose a session, or a user, on the page of sessions.")
		return
	}
	all, err := c.Sessions(r.Context(), a.Query, "")
	if err != nil {
		c.Log.Warn("the sessions can't be listed", "error", err)
		c.message(w, v, http.StatusServiceUnavailable, "Not available", "The sessions can't be listed at the moment: see the log.")
		return
	}
	if a.Key != "" {
		all.Found = slices.DeleteFunc(all.Found, func(s Session) bool { return s.Key != a.Key })
	}
	if len(all.Found) == 0 {
		c.message(w, v, http.StatusNotFound, "Not found", "No such session: it has ended already.")
		return
	}
	a.Found, a.More = all.Found, all.Next != ""
	c.show(w, v, http.StatusOK, "end", "End sessions?", a)
}

// endable reports whether the selection is one user's, or one session of one.
func (a *ask) endable() bool {
	one := a.Subject != "" && a.Issuer != "" && a.SID == "" && a.Route == ""
	return one && (a.Key == "" || a.ClientID != "")
}

// mayNotEnd says that the visitor may only read.
func (c *Console) mayNotEnd(w http.ResponseWriter, v *visitor) {
	text := "From this machine the console can be read without a login. To end sessions, log in with the admin token."
	if !v.Login {
		text = "From this machine the console can be read without a login. To end sessions, configure admin.token, and log in with it."
	}
	c.message(w, v, http.StatusForbidden, "Log in first", text)
}

// postEnd ends the sessions of the form.
func (c *Console) postEnd(w http.ResponseWriter, r *http.Request, v *visitor) {
	a := ask{Query: queryOf(r.PostForm), Key: r.PostForm.Get("key")}
	switch {
	case !v.MayEnd:
		c.mayNotEnd(w, v)
		return
	case !a.endable():
		c.message(w, v, http.StatusBadRequest, "Nothing selected", "Choose a session, or a user, on the page of sessions.")
		return
	}
	ended, err := c.End(r.Context(), Ending{Query: a.Query, Key: a.Key, By: v.actor})
	if err != nil {
		c.message(w, v, http.StatusServiceUnavailable, "Not all ended",
			"Not all sessions are known to have ended. Do it once more, which is safe. The log says why.")
		return
	}
	back := Query{Subject: a.Subject, Issuer: a.Issuer}.Values()
	back.Set("ended", strconv.Itoa(ended))
	redirect(w, "sessions?"+back.Encode())
}

// redirect sends the browser to another page of the console.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// acceptForm reports whether a form was sent by a page of this console, and parses it. Otherwise it answers.
func (c *Console) acceptForm(w http.ResponseWriter, r *http.Request, v *visitor) bool {
	if !fromOrigin(r, v.origins) {
		c.message(w, v, http.StatusForbidden, "Sent from elsewhere", "The form doesn't come from a page of this console.")
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		c.message(w, v, http.StatusBadRequest, "Not readable", "The form can't be read.")
		return false
	}
	sent := r.PostForm.Get("form")
	if v.MayEnd && subtle.ConstantTimeCompare([]byte(sent), []byte(v.Form)) != 1 {
		c.message(w, v, http.StatusForbidden, "Out of date",
			"The form belongs to another login, or the gate has started anew since. Go back to the page of sessions.")
		return false
	}
	return true
}

// fromOrigin reports whether a browser sent a form from a page of one of the origins, by Origin and Fetch Metadata. An entry without a
// scheme is a host. Every browser sends Origin with a form, so a request without it is refused.
func fromOrigin(r *http.Request, origins []string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	sent := r.Header.Values("Origin")
	if len(sent) != 1 {
		return false
	}
	_, host, found := strings.Cut(sent[0], "://")
	return found && slices.ContainsFunc(origins, func(o string) bool {
		return o != "" && (strings.EqualFold(o, sent[0]) || strings.EqualFold(o, host))
	})
}
