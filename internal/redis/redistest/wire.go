package redistest

import (
	"net"
	"sync"
	"testing"
)

// stranger is the source address of the connections that a Wire holds: all of 127.0.0.0/8 is this machine.
const stranger = "127.0.0.2"

// A Wire forwards TCP connections to a port of this machine.
type Wire struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	away  bool
	pass  chan struct{} // closed while nothing is held
	conns map[net.Conn]struct{}
	all   sync.WaitGroup
}

// NewWire returns a wire to an address. It ends with the test.
func NewWire(t testing.TB, target string) *Wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{listener: l, target: target, pass: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(w.pass)
	w.all.Go(w.accept)
	t.Cleanup(func() { l.Close(); w.Cut(); w.Mend(); w.all.Wait() })
	return w
}

// Port returns the port of the wire.
func (w *Wire) Port() int { return w.listener.Addr().(*net.TCPAddr).Port }

func (w *Wire) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.all.Go(func() { w.forward(c) })
	}
}

func (w *Wire) forward(c net.Conn) {
	defer c.Close()
	to, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer to.Close()
	w.mu.Lock()
	if w.away {
		w.mu.Unlock()
		return
	}
	w.conns[c], w.conns[to] = struct{}{}, struct{}{}
	w.mu.Unlock()
	strange := c.RemoteAddr().(*net.TCPAddr).IP.String() == stranger
	var both sync.WaitGroup
	both.Go(func() { w.copy(to, c, strange) })
	both.Go(func() { w.copy(c, to, strange) })
	both.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
	delete(w.conns, to)
}

// copy copies from one connection to another until one of them ends.
func (w *Wire) copy(to, from net.Conn, strange bool) {
	defer to.(*net.TCPConn).CloseWrite()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if strange {
			w.mu.Lock()
			pass := w.pass
			w.mu.Unlock()
			<-pass
		}
		if _, failed := to.Write(b[:n]); err != nil || failed != nil {
			return
		}
	}
}

// Cut closes all connections. Further ones are closed at once until Mend is called.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = true
	for c := range w.conns {
		c.Close()
	}
}

// Hold holds back, until Mend is called, what is sent over the connections of strangers. They stay open, as in a partition of the network.
func (w *Wire) Hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass = make(chan struct{})
}

// Mend ends Cut and Hold.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = false
	select {
	case <-w.pass:
	default:
		close(w.pass)
	}
}
