package flow

import (
	"errors"
	"net/http"

	"sallyport/internal/auth"
)

// staleLogin refuses an authorization response for which no login is pending. Its page links to the requested page, where a
// new login begins if one is required.
func staleLogin(r *auth.Request, back string, err error) error {
	return &auth.Error{Status: http.StatusBadRequest, Reason: "login_stale", Title: "Login not completed", Link: r.Origin + back, Err: err,
		Description: "This login was already used, took too long, or began in another browser. " +
			"You can go on to the page, and log in again if it asks for that."}
}

// returnTooLong refuses a login whose requested page has a URL too long for the cookie. Its page opens the first page of the
// route in a new tab, where the user can log in.
func returnTooLong(r *auth.Request, home string) error {
	return &auth.Error{Status: http.StatusUnauthorized, Reason: "login_return_too_long", Title: "Please log in first",
		Err: errReturnTooLong, Link: r.Origin + home, Action: "Log in in a new tab", NewTab: true,
		Description: "The address of this page is too long to come back to it after the login. Log in in a new tab, then reload this page."}
}

// noLoginCookie refuses an authorization response that came without any cookie. Either the browser keeps no cookies, or the login began in
// another one.
func noLoginCookie(r *auth.Request, home string) error {
	return &auth.Error{Status: http.StatusBadRequest, Reason: "login_without_cookie", Title: "Your browser didn't send the login's cookie",
		Link: r.Origin + home, Action: "Log in again", Err: errors.New("the authorization response came without cookies"),
		Description: "Logging in needs cookies. Please allow cookies for this site, then log in again. " +
			"If they are allowed, that login is over, or it began in another browser."}
}

// noSessionCookie refuses another login at the page that followed a successful one, because it would end there again. The cause is the
// browser's or the operator's.
func noSessionCookie(r *auth.Request) error {
	e := auth.NotSetUp(errors.New("a login has succeeded, and the browser came back without the session's cookie: " +
		"the browser refuses it, " + lostCookie))
	e.Title, e.Link, e.Action = "Your browser didn't send the session's cookie", r.Origin+r.Target(), "Try again"
	e.Description = "You have logged in, but this page can't know that without the cookie. Please allow cookies for this site, then try " +
		"again. If they are allowed, this service isn't set up correctly: please tell its operator the reference below."
	return e
}
