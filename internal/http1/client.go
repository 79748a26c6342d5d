// Package http1 is a client of HTTP/1.1 over plain TCP for a proxy: it sends a request and reads the header of its response in the
// goroutine of its caller. http.Transport has two goroutines for each connection, which costs a proxy more than the rest of its work.
//
// Upgrades, TLS and HTTP/2 are left to http.Transport. Parsing and framing are net/http's. Before net/http sees a response, its header is
// checked for what intermediaries have read in different ways: see headerGuard.
package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// Settings are the settings of a Client.
type Settings struct {
	Address       string // host:port
	Dial          func(ctx context.Context, network, address string) (net.Conn, error)
	HeaderTimeout time.Duration // from the end of the request to the header of the response; 0: no limit
	IdleTimeout   time.Duration // of pooled connections; 0: no limit
	MaxIdle       int           // the most connections that are pooled; 0: each request has a connection of its own
	MaxHeader     int           // the most bytes of a response's header, with those of the 1xx responses before it
}

// A Client sends requests without Upgrade and without Expect to one server. It is safe for concurrent use.
type Client struct {
	Settings
	pool pool
}

// New returns a client. It doesn't connect yet.
func New(s Settings) *Client {
	c := &Client{Settings: s}
	c.pool.timeout, c.pool.max = s.IdleTimeout, s.MaxIdle
	return c
}

// Close closes the idle connections. The others are closed when their requests end.
func (c *Client) Close() error {
	c.pool.close()
	return nil
}

// An Outcome says how far an attempt to send a request came.
type Outcome struct {
	Connected bool // there was a connection: the server may have received the request
	Reused    bool // the connection had served a request before
	Received  bool // bytes of a response came
}

// Attempt sends a request once, on a pooled connection or, if fresh is true, on a new one. It returns the response, whose body the caller
// must close. If there was no connection, the request's body wasn't read.
func (c *Client) Attempt(r *http.Request, fresh bool) (*http.Response, Outcome, error) {
	conn, err := c.connection(r.Context(), fresh)
	if err != nil {
		closeBody(r)
		return nil, Outcome{}, err
	}
	o := Outcome{Connected: true, Reused: conn.pooled, Received: true}
	res, err := conn.roundTrip(r)
	if err != nil {
		o.Received = conn.guard.received > 0
	}
	return res, o, err
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}

// connection returns a pooled connection unless fresh is true, or a new one.
func (c *Client) connection(ctx context.Context, fresh bool) (*conn, error) {
	if !fresh {
		if pooled := c.pool.get(c.headerDeadline()); pooled != nil {
			return pooled, nil
		}
	}
	dialed, err := c.Dial(ctx, "tcp", c.Address)
	if err != nil {
		return nil, err
	}
	dialed.SetReadDeadline(c.headerDeadline())
	return newConn(c, dialed), nil
}

// headerDeadline returns the time until which the header of a response may come, if its request ends now; zero for no limit.
func (c *Client) headerDeadline() (t time.Time) {
	if c.HeaderTimeout > 0 {
		t = time.Now().Add(c.HeaderTimeout)
	}
	return t
}

// errTooMuch refuses a response with too long a header.
var errTooMuch = errors.New("the header of the upstream's response is too long")

// errServerClosed says that a server closed the connection instead of sending a response.
var errServerClosed = errors.New("the upstream closed the connection without a response")

// failure returns the error of an attempt: why its context ended, or else err.
func failure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errServerClosed
	}
	return err
}
