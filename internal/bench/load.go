package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const connections = 50 // persistent connections, each with one request in flight

// A load is a list of requests that are sent repeatedly.
type load struct {
	address  string
	requests [][]byte      // sent in turn
	fresh    func() []byte // makes each request, in place of requests; nil: requests are sent
	want     answer
}

// An answer is the part of a response that is checked.
type answer struct {
	status int
	size   int // of the body, in bytes, or anySize
}

const anySize = -1

// clients are the open connections of a load.
type clients []*client

type client struct {
	*load
	conn net.Conn
	r    *bufio.Reader
	next int // index of the next request
}

// open connects all clients. They are closed when ctx ends, or by close. Each starts with another of the requests, so that they
// don't send the same request at the same time.
func (l *load) open(ctx context.Context) (clients, error) {
	var all clients
	for n := range connections {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.address)
		if err != nil {
			all.close()
			return nil, err
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		all = append(all, &client{l, conn, bufio.NewReaderSize(conn, 8<<10), n * len(l.requests) / connections})
	}
	return all, nil
}

func (all clients) close() {
	for _, c := range all {
		c.conn.Close()
	}
}

// A sample is the result of a measurement.
type sample struct {
	requests int64
	cpu      time.Duration // of the proxy's process, user and system
}

// perRequest returns the CPU time of a request in microseconds.
func (s sample) perRequest() float64 { return float64(s.cpu) / 1e3 / float64(s.requests) }

func (s sample) plus(t sample) sample { return sample{s.requests + t.requests, s.cpu + t.cpu} }

// measure makes all clients send requests, and counts responses and CPU time for the duration lasting after warmUp. It fails on
// the first response that differs from load.want.
func (all clients) measure(ctx context.Context, warmUp, lasting time.Duration, cpu func() (time.Duration, error)) (sample, error) {
	group, ctx := errgroup.WithContext(ctx)
	var answered atomic.Int64
	var done atomic.Bool
	for _, c := range all {
		group.Go(func() error { return c.send(&answered, &done) })
	}
	var s sample
	group.Go(func() error {
		defer done.Store(true)
		if err := sleep(ctx, warmUp); err != nil {
			return err
		}
		before, err := cpu()
		if err != nil {
			return err
		}
		requests := answered.Load()
		if err := sleep(ctx, lasting); err != nil {
			return err
		}
		after, err := cpu()
		s = sample{answered.Load() - requests, after - before}
		return err
	})
	err := group.Wait()
	return s, err
}

// send sends requests until done is set.
func (c *client) send(answered *atomic.Int64, done *atomic.Bool) error {
	for !done.Load() {
		if err := c.sendNext(); err != nil {
			return err
		}
		answered.Add(1)
	}
	return nil
}

// sendNext sends the next request and checks the response.
func (c *client) sendNext() error {
	request := c.requests[c.next]
	if c.fresh != nil {
		request = c.fresh()
	}
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	got, err := readAnswer(c.r)
	if err != nil {
		return fmt.Errorf("%s: response: %w", c.address, err)
	}
	if got.status != c.want.status || c.want.size != anySize && got.size != c.want.size {
		return fmt.Errorf("%s: expected status %d and %d bytes, got %d and %d", c.address, c.want.status, c.want.size, got.status, got.size)
	}
	c.next = (c.next + 1) % len(c.requests)
	return nil
}

// once sends each request once, to fill the proxy's caches before the measurement.
func (l *load) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	all, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer all.close()
	group, _ := errgroup.WithContext(ctx)
	for n, c := range all {
		group.Go(func() error {
			for range (n+1)*len(l.requests)/connections - c.next {
				if err := c.sendNext(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

var contentLength = []byte("Content-Length:")

// readAnswer reads an HTTP/1.1 response with a Content-Length. It is simpler than http.ReadResponse, because it shares a core with
// the upstream and Redis.
func readAnswer(r *bufio.Reader) (answer, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return answer{}, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return answer{}, fmt.Errorf("expected an HTTP/1.1 status line, got %q", line)
	}
	a := answer{size: -1}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, err
	}
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return a, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		if n := len(contentLength); len(line) > n && bytes.EqualFold(line[:n], contentLength) {
			if a.size, err = strconv.Atoi(string(bytes.TrimSpace(line[n:]))); err != nil {
				return a, err
			}
		}
	}
	if a.size < 0 {
		return a, fmt.Errorf("expected a Content-Length with status %d", a.status)
	}
	_, err = r.Discard(a.size)
	return a, err
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
