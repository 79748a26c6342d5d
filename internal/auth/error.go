package auth

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An Error is a refusal with two audiences: Code and Description are for the client, Reason and Err for the log.
type Error struct {
	Status      int           // of the response
	Code        string        // the standard's word, such as invalid_token (RFC 6750 §3.1); may be empty
	Title       string        // of the page; default the status's own words
	Description string        // one calm sentence, without inner detail
	Reason      string        // a short stable code for the log, such as token_expired
	Scope       string        // for insufficient_scope: what was required (RFC 6750 §3)
	RetryAfter  time.Duration // for 503; zero means no header
	StepUp      *StepUp       // for insufficient_user_authentication: what a login must be (RFC 9470 §3)
	Allow       string        // for 405: the methods that are taken
	Header      http.Header   // for the response, besides what the status asks for: cookies that are cleared, DPoP-Nonce
	Flow        string        // the name of the flow that refused, for the log; empty: no flow did
	Issuer      string        // whose credential was refused, where a route has several issuers; empty: of no issuer
	Link        string        // a page on which a person can go on; empty for nowhere
	Action      string        // the words on the link; default "Go on"
	NewTab      bool          // the link opens a new tab: what the person has before them stays
	Err         error         // the cause, never shown to the client unless display_errors is on
}

// A StepUp is what a login must be for a request.
type StepUp struct {
	ACRValues []string       // one of them
	MaxAge    *time.Duration // nil: as old as it likes
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Reason, e.Err)
	}
	return e.Reason
}

func (e *Error) Unwrap() error { return e.Err }

// OfIssuer returns err as the refusal of an issuer's credential, if it is an *Error that names no issuer.
func OfIssuer(issuer string, err error) error { return (&Entry{Issuer: issuer}).refusal(err) }

// A headerError is an error that is no *Error and carries headers for the response.
type headerError struct {
	error
	header http.Header
}

func (e *headerError) Unwrap() error { return e.error }

// WithHeader returns err with headers for the response, besides those that it carries already. err itself isn't changed: it may be
// shared by many refusals.
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

// InvalidToken is the refusal of a credential that is ours and bad: 401 invalid_token (RFC 6750 §3.1).
func InvalidToken(reason string, err error) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "The access token is invalid or expired.",
		Reason: reason, Err: err}
}

// InvalidRequest is the refusal of a malformed request: 400 invalid_request (RFC 6750 §3.1).
func InvalidRequest(reason string, err error) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: "The request is malformed.",
		Reason: reason, Err: err}
}

// Unavailable says that what has to be asked can't be asked now: 503 with Retry-After.
func Unavailable(reason string, err error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "A service that is needed to check this request can't be reached. Please try again.",
		Reason:      reason, RetryAfter: 5 * time.Second, Err: err}
}

// ReasonNotSetUp is the Reason of NotSetUp.
const ReasonNotSetUp = "not_set_up"

// NotSetUp says that only the operator can mend what is wrong: 500, without Retry-After. Err names the setting and what to write.
func NotSetUp(err error) *Error {
	return &Error{Status: http.StatusInternalServerError, Code: "server_error", Title: "Not set up correctly",
		Description: "This service isn't set up correctly, which only its operator can mend. Please tell them the reference below.",
		Reason:      "not_set_up", Err: err}
}

// Forbidden is the refusal of somebody who is known and may not: 403.
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
