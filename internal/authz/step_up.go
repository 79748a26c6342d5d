package authz

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/auth"
)

// now returns the current time; tests replace it.
var now = time.Now

// stepUp returns a check that the login was strong and recent enough (RFC 9470). An identity without the claims fails it.
func stepUp(want *auth.StepUp) requirement {
	state := func(s *subject) (acr string, since age) {
		v, _ := s.identity.Lookup([]string{"acr"})
		acr, _ = auth.Scalar(v)
		if at, _ := s.identity.LookupTime("auth_time"); !at.IsZero() {
			since = age{now().Sub(at), true}
		}
		return acr, since
	}
	return requirement{
		name: "step_up",
		judge: func(s *subject) error {
			acr, since := state(s)
			switch {
			case len(want.ACRValues) > 0 && !slices.Contains(want.ACRValues, acr):
				return insufficient(want, fmt.Errorf("acr: expected one of %q, got %q", want.ACRValues, acr))
			case want.MaxAge != nil && (!since.known || since.Duration > *want.MaxAge):
				return insufficient(want, fmt.Errorf("auth_time: %s, max_age is %s", since, *want.MaxAge))
			}
			return nil
		},
		seen: func(s *subject) string {
			acr, since := state(s)
			text := fmt.Sprintf("acr is %q", acr)
			if len(want.ACRValues) > 0 {
				text += fmt.Sprintf(", required is one of %q", want.ACRValues)
			}
			if want.MaxAge != nil {
				text += fmt.Sprintf("; %s, at most %s", since, *want.MaxAge)
			}
			return text
		},
	}
}

// An age is the time since a login.
type age struct {
	time.Duration
	known bool
}

func (a age) String() string {
	if !a.known {
		return "the time of the login is unknown"
	}
	return fmt.Sprintf("the login is %s old", a.Round(time.Second))
}

// insufficient returns an error whose challenge has the requirements on the login (RFC 9470 §3).
func insufficient(want *auth.StepUp, err error) error {
	return &auth.Error{
		Status: http.StatusUnauthorized, Code: "insufficient_user_authentication", Reason: "step_up_required", StepUp: want, Err: err,
		Description: "A different login is needed for this: a stronger one, or a more recent one.",
	}
}
