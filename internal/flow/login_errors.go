package flow

import (
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
