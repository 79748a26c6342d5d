package authz

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/auth"
)

// now is the time by which the age of a login is judged.
var now = time.Now

// stepUp demands a login that was strong and recent enough (RFC 9470). A claim that isn't there proves neither.
func stepUp(want *auth.StepUp) check {
	state := func(s *subject) (acr string, age time.Duration, known bool) {
		v, _ := s.identity.Lookup([]string{"acr"})
		acr, _ = auth.Scalar(v)
		at, _ := s.identity.LookupTime("auth_time")
		return acr, now().Sub(at), !at.IsZero()
	}
	return check{
		name: "step_up",
		judge: func(s *subject) error {
			acr, age, known := state(s)
			switch {
			case len(want.ACRValues) > 0 && !slices.Contains(want.ACRValues, acr):
				return insufficient(want, fmt.Errorf("acr: expected one of %q, got %q", want.ACRValues, acr))
			case want.MaxAge != nil && (!known || age > *want.MaxAge):
				return insufficient(want, fmt.Errorf("auth_time: the login is %s old (known: %t), max_age is %s", age.Round(time.Second), known, *want.MaxAge))
			}
			return nil
		},
		seen: func(s *subject) string {
			acr, age, known := state(s)
			text := fmt.Sprintf("acr is %q", acr)
			if len(want.ACRValues) > 0 {
				text += fmt.Sprintf(", required is one of %q", want.ACRValues)
			}
			if want.MaxAge != nil {
				text += fmt.Sprintf("; the login is %s old (known: %t), at most %s", age.Round(time.Second), known, *want.MaxAge)
			}
			return text
		},
	}
}

// insufficient is RFC 9470 §3: the client is told what a login must be.
func insufficient(want *auth.StepUp, err error) error {
	return &auth.Error{
		Status: http.StatusUnauthorized, Code: "insufficient_user_authentication", Reason: "step_up_required", StepUp: want, Err: err,
		Description: "A different login is needed for this: a stronger one, or a more recent one.",
	}
}
