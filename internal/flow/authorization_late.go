package flow

import (
	"net/http"
	"net/url"

	"sallyport/internal/auth"
)

// goOn answers an authorization response that is of no use: its login is unknown, was used already or took too long. That happens to users
// who are logged in, by the back button, a bookmark or a form that was submitted twice. Their browser goes on to the page of the login, or
// to the route's first page if the login is unknown. All others receive the page of the refusal.
//
// No session begins, changes or ends here, and the address is that of the login's sealed cookie or of the settings, never one of the
// response: a stranger's link to the redirection endpoint only leads to a page of the route. l is nil if the login is unknown.
func (f *authorizationCode) goOn(r *auth.Request, l *login, header http.Header, refused error) (*auth.Result, error) {
	count, _ := f.loop.recentLogins(r)
	if count >= maxRepeatedLogins || !f.sessions.isLoggedIn(r) { // a page that needs a stronger login could lead here again and again
		return nil, auth.WithHeader(refused, header)
	}
	if err := f.loop.countLogin(header, r, ""); err != nil {
		return nil, err
	}
	target := (&url.URL{Path: f.home}).EscapedPath()
	switch {
	case l == nil:
	case f.forms.follows(l):
		target = f.forms.link
	default:
		target = f.action.target(l)
	}
	answer := seeOther(r, target)
	answer.Reason = "login_stale"
	return &auth.Result{Header: header, Answer: answer}, nil
}

// landing returns the address at which the browser must send the session's cookie after a login; empty if no session begins, or no page
// follows.
func (f *authorizationCode) landing(l *login) string {
	if f.beginsSession && f.forms.follows(l) {
		return f.forms.link
	}
	if !f.beginsSession || f.action.LoginAction != "redirect" {
		return ""
	}
	return f.action.target(l)
}
