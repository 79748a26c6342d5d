package authserver

import (
	"context"
	"errors"
	"time"
)

// Errors of the token store.
var (
	// ErrUnknown means that the store has no record of a token: it was never issued, has expired or was revoked.
	ErrUnknown = errors.New("no such token")
	// ErrUnavailable means that the store can't be reached.
	ErrUnavailable = errors.New("the token store can't be reached")

	// errChanged means that another request has changed a record since it was loaded.
	errChanged = errors.New("the record has changed")
)

// A store stores records. Its errors wrap ErrUnknown, ErrUnavailable or errChanged. All methods are safe for concurrent use, by any
// number of replicas, and a code or a refresh token is spent atomically.
type store interface {
	// add stores a new access token or code until it expires.
	add(ctx context.Context, h handle, r *record) error

	// load returns the record of an access token or a code. It may have expired: the caller compares its expiry.
	load(ctx context.Context, h handle) (*record, error)

	// family returns the record of a family.
	family(ctx context.Context, id string) (*record, error)

	// redeem replaces a code, as it was loaded, with its family and first access token. Otherwise it returns errChanged.
	redeem(ctx context.Context, code handle, was *record, next issuance) error

	// rotate replaces a family, as it was loaded, and adds an access token. Otherwise it returns errChanged. Of a family's access
	// tokens it deletes all but the newest maxMembers.
	rotate(ctx context.Context, was *record, next issuance) error

	// replace replaces a family, as it was loaded, by another record. Otherwise it returns errChanged.
	replace(ctx context.Context, was, next *record) error

	// use marks a login as used until a time. It reports false if the login was used before. used reports whether it is.
	use(ctx context.Context, login digest, until time.Time) (first bool, err error)
	used(ctx context.Context, login digest) (bool, error)

	// drop deletes an access token or a code.
	drop(ctx context.Context, h handle) error

	// end deletes a family and all its access tokens.
	end(ctx context.Context, family string) error

	ping(ctx context.Context) error
}

// maxMembers is how many access tokens of one family are valid at once. A client that refreshes in a loop replaces its own tokens:
// it doesn't fill the store, and no refresh costs more than the one before.
const maxMembers = 100

// An issuance is what a code or a refresh token is exchanged for.
type issuance struct {
	family *record
	token  handle
	access *record
}

// until returns how long the family is stored: until the last of its tokens expires, so that a replayed code still ends them.
func (i *issuance) until() time.Time { return time.Unix(max(i.family.Expires, i.access.Expires), 0) }
