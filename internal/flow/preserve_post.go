package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/keyring"
	"sallyport/internal/session"
)

// PreservePostSettings say what happens to a form that meets a session that has timed out.
type PreservePostSettings struct {
	PreservePost bool `yaml:"preserve_post" default:"false"` // keep it across the login
}

const (
	maxKeptForm    = 64 << 10 // bytes of the body
	maxShownPath   = 100      // bytes of the path on the page
	formSuffix     = "form"   // the end of the name of the cookie that names the kept form
	formCookieLife = 15 * 60  // seconds: the store doesn't keep the form for longer
)

// keptForms keep a form that meets a session that has timed out, until its user has logged in again and wants it to be sent. The form is in
// the store, under the ID of that session; the browser has the ID in a sealed cookie.
type keptForms struct {
	sessions *sessions
	cookie   cookie // of logins; its own has another suffix
	keyring  *keyring.Keyring
	path     string // of the endpoint that shows and sends a form
	link     string // the same, escaped
	home     string
}

// newKeptForms returns nil if preserve_post is off.
func newKeptForms(b *base, s *sessions) *keptForms {
	if !of[PreservePostSettings](b.view).PreservePost {
		return nil
	}
	b.Sessions.KeepNotes()
	path := resumePath(b.Base)
	return &keptForms{s, wholeSiteCookie(newLoginCookie(b)), b.Keyring, path, (&url.URL{Path: path}).EscapedPath(), b.Base}
}

func resumePath(base string) string { return PathBelow(base, "oauth2/resume") }

// check reports where preserve_post has no effect.
func (s *PreservePostSettings) check(c check.Checker, storage string, logsIn bool) {
	c.Must("preserve_post", !s.PreservePost || storage == "memory" || storage == "redis",
		"the form is kept in the session store: write session_storage: redis, or memory")
	c.Must("preserve_post", !s.PreservePost || logsIn, "no login begins here: add authorization_code to auth_methods, or take it out")
}

// A formToKeep is a form that keptForms may keep.
type formToKeep struct {
	id     session.ID // of the session that has timed out
	client int        // the index of the session's client
	*session.Form
}

// find returns the form of a request that may be kept, or nil. Each condition is one of these: the browser sends a form of the site itself,
// to be shown as a page, without files and of at most 64 KiB, with the cookie of a login that has timed out, and not ended otherwise.
func (f *keptForms) find(r *auth.Request, want auth.Login) *formToKeep {
	if f == nil || !want.Form || !isOwnForm(r) {
		return nil
	}
	for n := range f.sessions.cookies {
		id, ok := f.sessions.id(r, n)
		if !ok {
			continue
		}
		issuer, subject, ok := f.sessions.store.TimedOut(r.Context(), id)
		if !ok || issuer != f.sessions.clients.list[n].Issuer().URL() {
			continue
		}
		body, err := r.ReadBody(maxKeptForm)
		if err != nil || !isPlainForm(r.Header.Get("Content-Type"), body) {
			return nil
		}
		return &formToKeep{id, n, &session.Form{
			Issuer: issuer, Subject: subject, Origin: r.Origin, Target: r.Target(), ContentType: r.Header.Get("Content-Type"), Body: body,
		}}
	}
	return nil
}

// isOwnForm reports whether a browser sends a form of the site itself (Fetch, Fetch Metadata), and shows the answer as a page.
func isOwnForm(r *auth.Request) bool {
	h, target := r.Header, r.Target()
	_, err := url.ParseRequestURI(target)
	return r.Method == http.MethodPost && fromOwnPage(r) && r.Opened() && r.WantsHTML() && !isScript(r) &&
		len(h["Content-Type"]) == 1 && h.Get("Content-Encoding") == "" && h.Get("Upgrade") == "" && r.ContentLength <= maxKeptForm &&
		err == nil && safeReturn(target)
}

// fromOwnPage reports whether a request with an unsafe method comes from a page of its own origin. Without Origin it doesn't: all browsers
// send that with a form.
func fromOwnPage(r *auth.Request) bool {
	origin, site := r.Header["Origin"], r.Header.Values("Sec-Fetch-Site")
	return len(origin) == 1 && origin[0] == r.Origin && (len(site) == 0 || len(site) == 1 && site[0] == "same-origin")
}

// isPlainForm reports whether a body is a form without files.
func isPlainForm(contentType string, body []byte) bool {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return false
	case kind == "application/x-www-form-urlencoded":
		return true
	case kind != "multipart/form-data" || params["boundary"] == "":
		return false
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
		_, disposition, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		if _, isFile := disposition["filename"]; err != nil || isFile {
			return false
		}
	}
}

// keep stores a form, and adds the cookie that names it to h. It reports false if the store can't take it.
func (f *keptForms) keep(h http.Header, r *auth.Request, form *formToKeep) bool {
	name := f.cookieName(r)
	sealed, err := f.keyring.Seal(name, form.id[:])
	if err != nil || f.sessions.store.KeepForm(r.Context(), form.id, form.Form) != nil {
		return false
	}
	f.cookie.set(h, r, name, sealed, formCookieLife)
	return true
}

func (f *keptForms) cookieName(r *auth.Request) string { return f.cookie.fullName(r) + formSuffix }

// named returns the ID of the form that the request's cookie names.
func (f *keptForms) named(r *auth.Request) (id session.ID, ok bool) {
	name := f.cookieName(r)
	values := r.CookieValues(name)
	for _, value := range values[:min(len(values), maxCookies)] {
		if plain, ok := f.keyring.Unseal(name, value); ok && len(plain) == len(id) {
			return session.ID(plain), true
		}
	}
	return id, false
}

// follows reports whether a login ends at the page that asks about a form.
func (f *keptForms) follows(l *login) bool { return f != nil && l.Return == f.link }

func (f *keptForms) endpoint() auth.Endpoint {
	return auth.Endpoint{Name: "resume", Path: f.path, Serve: f.serve}
}

// endpointPath returns the path of the endpoint; empty if preserve_post is off.
func (f *keptForms) endpointPath() string {
	if f == nil {
		return ""
	}
	return f.path
}

// serve asks the user whether to send the form, or with POST sends it.
func (f *keptForms) serve(r *auth.Request) (*auth.Result, error) {
	posts := r.Method == http.MethodPost
	if !posts && r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, methodNotAllowed("GET, POST")
	}
	if posts && !fromOwnPage(r) {
		return nil, f.notSent(r, &auth.Error{Status: http.StatusForbidden, Reason: "form_from_elsewhere",
			Description: "The button was not pressed on the page of this service.",
			Err:         fmt.Errorf("Origin is %q, and Sec-Fetch-Site %q", r.Header["Origin"], r.Header["Sec-Fetch-Site"])})
	}
	user, err := f.sessions.Authenticate(r)
	if err != nil {
		return nil, err
	}
	form, err := f.open(r, user.Identity, posts)
	if err != nil {
		return nil, auth.WithHeader(err, user.Header)
	}
	if !posts {
		path, _, _ := strings.Cut(form.Target, "?")
		return &auth.Result{Header: user.Header, Answer: &auth.Answer{Status: http.StatusOK, Page: &auth.Page{
			Kind: auth.PageResume, Title: "Send your form?", Link: f.link, Action: "Send the form", Post: true,
			Text: fmt.Sprintf("Your form for %s was not sent yet, because you had to log in again. It can be sent once.", path[:min(len(path), maxShownPath)]),
		}}}, nil
	}
	header := http.Header{}
	f.cookie.set(header, r, f.cookieName(r), "", -1)
	return &auth.Result{Header: header, Resume: resumed(r, form)}, nil
}

// open returns the form that the request's cookie names, if it is the user's. With take the store has it no more, so it can't be sent twice.
func (f *keptForms) open(r *auth.Request, user *auth.Identity, take bool) (*session.Form, error) {
	id, ok := f.named(r)
	if !ok {
		return nil, f.gone(r, errors.New("the request has no cookie of a form"))
	}
	get := f.sessions.store.KeptForm
	if take {
		get = f.sessions.store.TakeForm
	}
	form, err := get(r.Context(), id)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return nil, f.gone(r, err)
	case err != nil:
		return nil, auth.Unavailable("session_store_unavailable", err)
	case form.Issuer == user.Issuer && form.Subject == user.Subject && form.Origin == r.Origin:
		return form, nil
	}
	f.sessions.store.TakeForm(context.WithoutCancel(r.Context()), id) // on an error it expires by itself
	return nil, f.notSent(r, &auth.Error{Status: http.StatusForbidden, Reason: "form_of_another",
		Description: "It was written by another user than the one who is logged in now, so it was deleted.",
		Err:         errors.New("the issuer, the subject or the origin of the form is another")})
}

// gone refuses a request for a form that the store doesn't have.
func (f *keptForms) gone(r *auth.Request, err error) error {
	return f.notSent(r, &auth.Error{Status: http.StatusNotFound, Reason: "form_gone", Err: err,
		Description: "There is none: it was sent already, or it waited for longer than 15 minutes. Please look whether it has arrived."})
}

// notSent adds to the refusal to send a form the title of its page and the link.
func (f *keptForms) notSent(r *auth.Request, e *auth.Error) error {
	e.Title, e.Link = "No form was sent", r.Origin+f.home
	return e
}

// resumed returns the request with which the browser sent the form, as the browser would send it now.
func resumed(r *auth.Request, form *session.Form) *http.Request {
	q := r.Request.Clone(r.Context())
	q.RequestURI = form.Target
	q.URL, _ = url.ParseRequestURI(form.Target) // isOwnForm has parsed it
	for _, name := range []string{"Content-Encoding", "Content-Length", "Transfer-Encoding", "Trailer", "Expect"} {
		q.Header.Del(name)
	}
	q.Header.Set("Content-Type", form.ContentType)
	q.Body, q.ContentLength = io.NopCloser(bytes.NewReader(form.Body)), int64(len(form.Body))
	q.TransferEncoding, q.Trailer, q.GetBody = nil, nil, nil
	return q
}
