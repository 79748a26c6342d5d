package authserver

import (
	"context"
	"errors"
	"time"
)

// Errors of what is kept.
var (
	// ErrUnknown says that nothing is kept under a token: it never was, has expired or was revoked.
	ErrUnknown = errors.New("no such token")
	// ErrUnavailable says that it can't be found out now: the store can't be reached.
	ErrUnavailable = errors.New("the token store can't be reached")

	// errChanged says that something is no longer what was loaded: somebody else was quicker.
	errChanged = errors.New("it has changed")
)

// A store keeps records by what names them. Its errors wrap ErrUnknown, ErrUnavailable or errChanged. All methods may be
// called at once, by any number of replicas; what spends something happens in one step.
type store interface {
	// keep stores a new access token or code until it expires.
	keep(ctx context.Context, h handle, r *record) error

	// load returns what an access token or a code stands for. Whether it has expired is for the caller to judge.
	load(ctx context.Context, h handle) (*record, error)

	// family returns what is kept of a family.
	family(ctx context.Context, id string) (*record, error)

	// redeem spends a code for its family and the first access token, unless it isn't any more what was loaded: errChanged.
	redeem(ctx context.Context, code handle, was *record, next issue) error

	// rotate puts a family's next state in the place of what was loaded, and adds an access token; or errChanged. Of a
	// family's access tokens the newest maxMembers stay, and older ones end.
	rotate(ctx context.Context, was *record, next issue) error

	// drop forgets an access token or a code.
	drop(ctx context.Context, h handle) error

	// end forgets a family and every access token of it.
	end(ctx context.Context, family string) error

	ping(ctx context.Context) error
}

// maxMembers is how many access tokens of one family are good at once. A client that refreshes in a loop replaces its own
// tokens, and neither fills the store nor makes each refresh cost more than the one before.
const maxMembers = 100

// An issue is what a code or a refresh token is exchanged for.
type issue struct {
	family *record
	token  handle
	access *record
}

// until is how long the family is known: as long as one of its tokens, so that a code that comes again still ends them.
func (i *issue) until() time.Time { return time.Unix(max(i.family.Expires, i.access.Expires), 0) }
