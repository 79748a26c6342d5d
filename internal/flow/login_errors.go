package flow

import (
	"net/http"

	"sallyport/internal/auth"
)

// staleLogin answers to a response that no login waits for: a way back to the page, where a new login begins if need be.
func staleLogin(r *auth.Request, back string, err error) error {
	return &auth.Error{Status: http.StatusBadRequest, Reason: "login_stale", Title: "Login not completed", Link: r.Origin + back, Err: err,
		Description: "This login has ended already, took too long, or was begun in another browser. You can go on to the page and log in anew if asked."}
}

// tooLong is the answer to a request for a page whose address is too long to come back to: the person logs in at the route's first
// page, and opens the address anew.
func returnTooLong(r *auth.Request, home string) error {
	return &auth.Error{Status: http.StatusUnauthorized, Reason: "login_return_too_long", Title: "Please log in first", Err: errReturnTooLong,
		Description: "The address of this page is too long to come back to it after the login. Log in in a new tab, then reload this page.",
		Link:        r.Origin + home, Action: "Log in in a new tab", NewTab: true}
}
