package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// ErrRefused is wrapped by errors by which the authorization server refuses the credential of a request: a wrong password, a used refresh
// token, a wrong secret of the caller's own client. A refusal of the gate's own client is ErrNotSetUp.
var ErrRefused = errors.New("grant_refused")

// ErrNotSetUp is wrapped by errors that only the operator can correct, here or at the authorization server: a later attempt fails in the
// same way. It wraps ErrUnavailable, because it says nothing about the credential either.
var ErrNotSetUp error = notSetUp{}

type notSetUp struct{}

func (notSetUp) Error() string { return "the configuration and the authorization server disagree" }
func (notSetUp) Unwrap() error { return ErrUnavailable }

// IsOutage reports whether a later attempt may succeed without a change of the configuration.
func IsOutage(err error) bool {
	return errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotSetUp)
}

// isRefusal reports whether the error of a call is about what the caller sent, and not about an outage.
func isRefusal(err error) bool { return err != nil && !IsOutage(err) }

// outageStatus reports whether a status says that a later attempt may succeed.
func outageStatus(status int) bool {
	return status >= 500 || slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}, status)
}

// statusError returns the error of a response with an unexpected status and no error code: an outage, or an endpoint that the setting
// names wrongly.
func statusError(endpoint string, status int, setting string) error {
	if outageStatus(status) {
		return fmt.Errorf("%w: its %s answered %d", ErrUnavailable, endpoint, status)
	}
	return fmt.Errorf("%w: its %s answered %d: see that %s names the right address, and that the issuer lets client_id use it",
		ErrNotSetUp, endpoint, status, setting)
}
