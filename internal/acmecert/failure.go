package acmecert

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/crypto/acme"
)

// A failure is the record of the last orders for a host, if they failed. Replicas share it, and it outlives a restart, so that a host whose
// name doesn't lead here doesn't use up the limits of the ACME server.
type failure struct {
	Count int       `json:"count"` // of orders that failed since the last certificate
	Next  time.Time `json:"next"`  // the next order isn't begun before
	Text  string    `json:"text"`  // why the last one failed

	unsaved bool // the store doesn't have it
}

const (
	orderPause   = 5 * time.Minute  // after the first order that the server has taken: Let's Encrypt allows 5 failures of a host in an hour
	contactPause = 10 * time.Second // after the first attempt that made no order, such as one without a network
	longestPause = 12 * time.Hour
)

// failed returns the failure after another order. ordered reports whether the server has taken it.
func (f failure) failed(err error, ordered bool, now time.Time) failure {
	pause := contactPause
	if ordered {
		pause = orderPause
	}
	for range min(f.Count, 20) {
		pause = min(2*pause, longestPause)
	}
	pause += rand.N(pause / 10)
	if wait, limited := limitOf(err); limited {
		pause = max(pause, min(max(wait, orderPause), 2*longestPause))
	}
	return failure{Count: f.Count + 1, Next: now.Add(pause), Text: err.Error()}
}

var errInterrupted = errors.New("the process that ordered ended, or lost the lease, before the order did")

// limitOf reports whether the server has refused a request because there were too many, and for how long.
func limitOf(err error) (time.Duration, bool) {
	var problem *acme.Error
	if !errors.As(err, &problem) {
		return 0, false
	}
	return acme.RateLimit(problem)
}

// problemOf returns the type and the detail of the problem that the ACME server has reported (RFC 8555 §6.7); empty if it has reported
// none.
func problemOf(err error) (kind, detail string) {
	var problem *acme.Error
	var authorization *acme.AuthorizationError
	var order *acme.OrderError
	switch {
	case errors.As(err, &problem):
	case errors.As(err, &authorization):
		problem = firstProblem(authorization.Errors)
	case errors.As(err, &order):
		problem = order.Problem
	}
	if problem == nil {
		return "", ""
	}
	return problem.ProblemType, problem.Detail
}

func firstProblem(all []error) (problem *acme.Error) {
	for _, err := range all {
		if errors.As(err, &problem) {
			return problem
		}
	}
	return nil
}

// failureLife is how long a failure counts after the time of the next order.
const failureLife = 24 * time.Hour

// storeFailure stores a host's failure. If that fails, this process alone knows it.
func (c *Certifier) storeFailure(ctx context.Context, host string, f *failure) {
	data, err := json.Marshal(f)
	if err == nil {
		err = c.store.put(ctx, host+failureSuffix, data, f.Next.Sub(c.now())+failureLife)
	}
	f.unsaved = err != nil
	c.storeWorks(err)
}

// readFailure returns the host's failure in the store. Without one it returns an empty failure, or the known one if the store doesn't have
// that.
func (c *Certifier) readFailure(ctx context.Context, host string, known failure) (f failure, err error) {
	data, err := c.store.get(ctx, host+failureSuffix)
	switch {
	case errors.Is(err, errAbsent) && known.unsaved:
		return known, nil
	case errors.Is(err, errAbsent):
		return f, nil
	case err != nil:
		return known, err
	}
	if json.Unmarshal(data, &f) != nil || f.Next.After(c.now().Add(3*longestPause)) {
		return failure{}, nil // not ours
	}
	return f, nil
}
