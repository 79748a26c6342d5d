//go:build unix

package http1

import (
	"net"
	"syscall"
)

// A peeker looks whether a connection has bytes to read.
type peeker struct {
	raw  syscall.RawConn // nil: the connection is no socket
	look func(fd uintptr) bool
	err  error
	byte [1]byte
}

func (p *peeker) init(c net.Conn) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return
	}
	p.raw = raw
	p.look = func(fd uintptr) bool {
		_, _, p.err = syscall.Recvfrom(int(fd), p.byte[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}
}

// silent reports whether the connection is open and has nothing to read. Bytes that come without a request would be taken for the response
// to the next one.
func (p *peeker) silent() bool {
	if p.raw == nil {
		return false
	}
	for {
		if err := p.raw.Read(p.look); err != nil {
			return false
		}
		if p.err != syscall.EINTR {
			return p.err == syscall.EAGAIN || p.err == syscall.EWOULDBLOCK
		}
	}
}
