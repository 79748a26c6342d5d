package http1

import (
	"sync"
	"time"
)

// A pool has the idle connections of a client. The one that was used last is used next, so that others time out.
type pool struct {
	timeout time.Duration // 0: no limit
	max     int

	mu     sync.Mutex
	idle   []*conn // by the time at which they became idle
	timer  *time.Timer
	closed bool
}

// get returns an idle connection, or nil. A read of it ends at the deadline.
func (p *pool) get(deadline time.Time) *conn {
	for {
		c := p.take()
		if c == nil {
			return nil
		}
		if c.Conn.SetReadDeadline(deadline) == nil && c.peeker.silent() {
			return c
		}
		c.Close()
	}
}

// take removes the youngest idle connection that hasn't timed out.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put adds an idle connection, or closes it if there are enough.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.max {
		c.Close()
		return
	}
	if p.timeout > 0 {
		c.idleSince = time.Now()
		if p.timer == nil {
			p.timer = time.AfterFunc(p.timeout, p.sweep)
		}
	}
	c.pooled = true
	p.idle = append(p.idle, c)
}

// sweep closes the connections that have been idle for too long, and comes back when the next one will have been.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	now, old := time.Now(), 0
	for old < len(p.idle) && now.Sub(p.idle[old].idleSince) >= p.timeout {
		p.idle[old].Close()
		old++
	}
	p.idle = append(p.idle[:0], p.idle[old:]...)
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(p.timeout-now.Sub(p.idle[0].idleSince), p.sweep)
	}
}

// close closes the idle connections, and those that become idle later.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for _, c := range p.idle {
		c.Close()
	}
	p.idle = nil
}
