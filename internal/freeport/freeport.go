// Package freeport finds ports for what the tests start.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
)

var handedOut sync.Map

// Port returns a loopback port on which nobody listens: below the range from which the kernel takes ports for outgoing
// connections, and never twice in this process. It finds out by connecting: a listener for a look would live on for a moment
// in any child that is just being started.
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
