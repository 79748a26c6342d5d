package flow

import (
	"net/http"
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

// Review is the flow's own.
func (s stepped) Review(r *auth.Request, header http.Header, forwarded bool) http.Header {
	return auth.Chain{s.Flow}.Review(r, header, forwarded)
}

// Endpoints are the flow's own.
func (s stepped) Endpoints() []auth.Endpoint {
	if e, ok := s.Flow.(auth.Endpointer); ok {
		return e.Endpoints()
	}
	return nil
}

// withSteps adds to a flow what the settings let follow it.
func withSteps(k *Kind, f auth.Flow, s *Settings, d *Deps) auth.Flow {
	var steps []auth.Step
	if k.role == logsIn || k.role == guards {
		return f
	}
	resolve := (&distributed{d.clients, d.Log}).resolve
	if k.role == remembers {
		if s.ResolveDistributedClaims {
			return stepped{f, []auth.Step{resolve}}
		}
		return f
	}
	if s.IDTokenParamName != "" && len(k.judges) > 0 {
		steps = append(steps, newIDToken(s, d).accompany)
	}
	if search := d.search(s); search != nil && !k.asks.Userinfo {
		steps = append(steps, search.search)
	}
	if s.ResolveDistributedClaims {
		steps = append(steps, resolve)
	}
	if s.HasSessions() && !slices.Contains(s.DisableSession, k.Name) {
		steps = append(steps, newSession(s, d).(*sessions).start)
	}
	if after := newLoginAction(s, d); after.after(k.Name) {
		steps = append(steps, after.step)
	}
	if len(steps) == 0 {
		return f
	}
	return stepped{f, steps}
}
