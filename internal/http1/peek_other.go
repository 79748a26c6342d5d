//go:build !unix

package http1

import "net"

// A peeker looks whether a connection has bytes to read. It can't on this system, so no connection is used again.
type peeker struct{}

func (*peeker) init(net.Conn) {}

func (*peeker) silent() bool { return false }
