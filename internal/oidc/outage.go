package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
)

// An outage records whether the last call to the authorization server failed. It is safe for concurrent use.
type outage struct{ err atomic.Pointer[error] }

// load returns why the last call failed; nil if it succeeded.
func (o *outage) load() error {
	if err := o.err.Load(); err != nil {
		return *err
	}
	return nil
}

// record takes the response or the error of a call. A gateway's error counts as a failure; a call that its caller cancelled doesn't count.
func (o *outage) record(res *http.Response, err error) {
	gateway := []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	if err == nil && slices.Contains(gateway, res.StatusCode) {
		err = fmt.Errorf("%s answered %s", res.Request.URL.Path, res.Status)
	}
	switch {
	case err == nil:
		o.err.Store(nil)
	case !errors.Is(err, context.Canceled):
		err = withoutQuery(err)
		o.err.Store(&err)
	}
}
