// Package freeport returns free ports for servers that tests start.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
)

var handedOut sync.Map // all ports that Port has returned, as int keys

// Port returns a loopback port without a listener. The port is below the kernel's range for outgoing connections, and Port never
// returns it again in this process. It tests a port by connecting to it: a child process that starts at the same moment could
// inherit a listener and keep the port in use.
func Port() int {
	for {
		port := 12000 + rand.IntN(18000)
		if _, taken := handedOut.LoadOrStore(port, true); taken {
			continue
		}
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, syscall.ECONNREFUSED) {
			return port
		}
		if err == nil {
			c.Close()
		}
	}
}
