package auth

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An Error refuses a request. Code and Description are for the client, Reason and Err for the log.
type Error struct {
	Status      int           // of the response
	Scheme      string        // of the challenge that has the error; empty: that of the request's credential, or Bearer
	Code        string        // the standard's word, such as invalid_token (RFC 6750 §3.1); may be empty
	Title       string        // of the page; default the status's own words
	Description string        // one sentence, without internal details
	Reason      string        // a short stable code for the log, such as token_expired
	Scope       string        // for insufficient_scope: the required scope (RFC 6750 §3)
	RetryAfter  time.Duration // for 503; zero means no header
	StepUp      *StepUp       // for insufficient_user_authentication: the login that is required (RFC 9470 §3)
	Allow       string        // for 405: the allowed methods
	Header      http.Header   // more headers for the response, such as cookies that are cleared
	Flow        string        // the name of the flow that refused, for the log; empty: no flow did
	Issuer      string        // the issuer of the refused credential, if the route has several; empty: unknown
	Link        string        // a page on which a person can continue; empty for none
	Action      string        // the words on the link; default "Go on"
	NewTab      bool          // the link opens a new tab, so that a form on the page isn't lost
	Login       string        // for 401: the address at which a browser can log in, for scripts; empty for none
	Err         error         // the cause, for the client only with display_errors
}

// A StepUp is the strength and the age that a login must have.
type StepUp struct {
	ACRValues []string       // one of them
	MaxAge    *time.Duration // nil: any age
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Reason, e.Err)
	}
	return e.Reason
}

func (e *Error) Unwrap() error { return e.Err }

// OfIssuer returns err with Issuer set, if it is an *Error without one.
func OfIssuer(issuer string, err error) error { return (&Entry{Issuer: issuer}).refusal(err) }

// A headerError is an error that is no *Error and carries headers for the response.
type headerError struct {
	error
	header http.Header
}

func (e *headerError) Unwrap() error { return e.error }

// WithHeader returns a copy of err with more headers for the response. The error itself may be shared by many refusals.
func WithHeader(err error, h http.Header) error {
	if len(h) == 0 || err == nil {
		return err
	}
	h = MergeHeader(h.Clone(), HeaderOf(err))
	switch e := err.(type) {
	case *Error:
		with := *e
		with.Header = h
		return &with
	case *headerError:
		return &headerError{e.error, h}
	}
	return &headerError{err, h}
}

// HeaderOf returns the headers that an error carries for the response; nil if it carries none.
func HeaderOf(err error) http.Header {
	switch e := err.(type) {
	case *Error:
		return e.Header
	case *headerError:
		return e.header
	}
	return nil
}

// InvalidToken returns the refusal of a credential that a flow has read and that isn't valid: 401 invalid_token (RFC 6750 §3.1).
func InvalidToken(reason string, err error) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "The access token is invalid or expired.",
		Reason: reason, Err: err}
}

// InvalidRequest returns the refusal of a malformed request: 400 invalid_request (RFC 6750 §3.1).
func InvalidRequest(reason string, err error) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: "The request is malformed.",
		Reason: reason, Err: err}
}

// Unavailable returns the refusal for a service that can't be reached, such as the issuer or Redis: 503 with Retry-After.
func Unavailable(reason string, err error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "A service that is needed to check this request can't be reached. Please try again.",
		Reason:      reason, RetryAfter: 5 * time.Second, Err: err}
}

// ReasonNotSetUp is the Reason of NotSetUp.
const ReasonNotSetUp = "not_set_up"

// NotSetUp returns the refusal for a mistake that only the operator can correct: 500, without Retry-After. Err names the setting and what
// to write.
func NotSetUp(err error) *Error {
	return &Error{Status: http.StatusInternalServerError, Code: "server_error", Title: "Not set up correctly",
		Description: "This service isn't set up correctly, which only its operator can mend. Please tell them the reference below.",
		Reason:      "not_set_up", Err: err}
}

// Forbidden returns the refusal of an identity that the policy doesn't authorize: 403.
func Forbidden(reason string, err error) *Error {
	return &Error{Status: http.StatusForbidden, Description: "You don't have access to this.", Reason: reason, Err: err}
}

// AsError returns err's *Error, or a 500 whose cause is err.
func AsError(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Status: http.StatusInternalServerError, Description: "Something unexpected happened.", Reason: "unexpected", Err: err}
}
