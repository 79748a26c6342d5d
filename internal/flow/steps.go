package flow

import (
	"slices"

	"sallyport/internal/auth"
)

// A stepped is a flow and what follows it.
type stepped struct {
	auth.Flow
	steps []auth.Step
}

func (s stepped) Authenticate(r *auth.Request) (*auth.Result, error) {
	res, err := s.Flow.Authenticate(r)
	for _, next := range s.steps {
		if err != nil {
			return res, err
		}
		res, err = next(r, res)
	}
	return res, err
}

// withSteps adds to a flow what the settings let follow it.
func withSteps(name string, f auth.Flow, s *Settings, d *Deps) auth.Flow {
	if name == "session" || name == "authorization_code" { // they have theirs at the login
		return f
	}
	var steps []auth.Step
	if s.IDTokenParamName != "" && slices.Contains([]string{"bearer", "introspection", "userinfo", "kong_oauth2"}, name) {
		steps = append(steps, newIDToken(s, d).accompany)
	}
	if search := d.search(s); search != nil && name != "userinfo" {
		steps = append(steps, search.search)
	}
	if s.on("session") && !slices.Contains(s.DisableSession, name) {
		steps = append(steps, newSession(s, d).(*sessions).start)
	}
	if after := newLoginAction(s, d); after.after(name) {
		steps = append(steps, after.step)
	}
	if len(steps) == 0 {
		return f
	}
	return stepped{f, steps}
}
