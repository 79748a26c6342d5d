package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"

	"sallyport/internal/auth"
)

// errBodyOverLimit means that a request's body is longer than body_limit.
var errBodyOverLimit = errors.New("the body is longer than body_limit of the route")

func bodyTooLarge() *auth.Error {
	return &auth.Error{
		Status: http.StatusRequestEntityTooLarge, Reason: "body_too_large", Description: "The request is too large.", Err: errBodyOverLimit,
	}
}

// checkBodyLength refuses a request for the upstream that announces a body over body_limit, before anything else is done for it.
func (g *Gate) checkBodyLength(d *Decision) error {
	if limit := d.Route.BodyLimit; limit > 0 && d.ContentLength > limit {
		return bodyTooLarge()
	}
	return nil
}

// limitBody limits a body whose length the client didn't announce, while it is forwarded. The context that it returns ends when the body
// exceeds body_limit: then the connection to the upstream is closed, or the stream is reset, because a body that is only cut would be taken
// for the whole. The caller must call stop.
func (d *Decision) limitBody(ctx context.Context) (limited context.Context, stop func()) {
	r := d.Request.Request
	if d.Route.BodyLimit == 0 || r.Body == nil || r.Body == http.NoBody || r.ContentLength >= 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	body := &limitedBody{ReadCloser: r.Body, left: d.Route.BodyLimit, exceeded: func() { cancel(errBodyOverLimit) }}
	d.setContext(r.Context()) // a copy of the request: net/http needs the original with its own body
	d.Request.Body = body
	return ctx, func() { cancel(nil) }
}

// overLimit reports whether the body of a request that is being forwarded has exceeded its limit. ctx is that of limitBody.
func (d *Decision) overLimit(ctx context.Context) bool {
	return d.Route.BodyLimit > 0 && errors.Is(context.Cause(ctx), errBodyOverLimit)
}

// A limitedBody is a body that fails when it is longer than its limit.
type limitedBody struct {
	io.ReadCloser
	left     int64
	exceeded func()
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if int64(len(p))-1 > b.left {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.exceeded()
		return 0, errBodyOverLimit
	}
	return n, err
}
