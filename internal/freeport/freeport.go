// Package freeport returns free ports for servers that tests start.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// The ports are below the kernel's range for outgoing connections. They are divided into blocks. A process takes a block for itself by a
// lock on a file, which ends with the process: tests of several packages run at once, and restart servers on ports that are free meanwhile.
const (
	first     = 12000
	blocks    = 90
	blockSize = 200
)

var (
	mu    sync.Mutex // guards the variables below
	left  []int      // ports of the process's blocks that Port has not returned
	locks []*os.File // open until the process ends
)

// Port returns a loopback port without a listener. It returns a port once, and never one of another process that calls it, as long as both
// run. It tests a port by connecting to it: a child process that starts at the same moment could inherit a listener and keep the port in
// use.
func Port() int {
	mu.Lock()
	defer mu.Unlock()
	for {
		if len(left) == 0 {
			takeBlock()
		}
		port := left[0]
		left = left[1:]
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, syscall.ECONNREFUSED) {
			return port
		}
		if err == nil {
			c.Close()
		}
	}
}

// takeBlock takes a block that no process has. It panics if there is none.
func takeBlock() {
	dir := filepath.Join(os.TempDir(), "sallyport-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		panic(err)
	}
	for _, block := range rand.Perm(blocks) {
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(block)), os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			panic(err)
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			f.Close()
			continue
		}
		locks = append(locks, f)
		for _, n := range rand.Perm(blockSize) {
			left = append(left, first+block*blockSize+n)
		}
		return
	}
	panic("freeport: all blocks of ports are taken by other processes")
}
