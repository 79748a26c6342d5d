package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/forwardauth"
	"sallyport/internal/proxy"
)

// A door is a listening socket and the HTTP server of its connections. Reloads keep the socket; they replace the server if settings that
// shape it have changed.
type door struct {
	doorSettings
	socket *net.TCPListener
	tls    *atomic.Pointer[tls.Config] // of new connections; nil: without TLS
	http   *http.Server
	accept *acceptor
	served chan struct{} // closed when the server accepts no more connections
}

// The doorSettings are the settings that shape a door's HTTP server.
type doorSettings struct {
	name          string // "clients" or "admin"
	address       string // as it is configured
	overTLS       bool
	proxyProtocol bool
	forwardAuth   forwardauth.Settings // zero: the gate forwards requests itself

	readHeaderTimeout, idleTimeout time.Duration
	maxHeaderBytes                 int
}

// newDoorSettings returns the settings of all doors of a configuration, those of clients first.
func newDoorSettings(file *config.File) (all []doorSettings) {
	common := doorSettings{
		readHeaderTimeout: file.Limits.ReadHeaderTimeout, idleTimeout: file.Limits.IdleTimeout, maxHeaderBytes: file.Limits.MaxHeaderBytes,
	}
	for _, l := range file.Listen {
		d := common
		d.name, d.address, d.overTLS, d.proxyProtocol = "clients", l.Address, l.TLS != nil, l.ProxyProtocol
		if l.ForwardAuth != nil {
			d.forwardAuth = *l.ForwardAuth
		}
		all = append(all, d)
	}
	if file.Admin.Listen != "off" {
		d := common
		d.name, d.address = "admin", file.Admin.Listen
		all = append(all, d)
	}
	return all
}

// newHTTP returns an HTTP server of the door's settings and TLS.
func (d *door) newHTTP(h http.Handler, logger *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: d.readHeaderTimeout,
		IdleTimeout:       d.idleTimeout,
		MaxHeaderBytes:    d.maxHeaderBytes,
		ErrorLog:          log.New(debugWriter{logger}, "", 0),
		Protocols:         new(http.Protocols),
		// closes the connection of a client that reads nothing, to which not even RST_STREAM can be written
		HTTP2: &http.HTTP2Config{WriteByteTimeout: d.idleTimeout},
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	if d.tls != nil {
		current := d.tls
		s.TLSConfig = &tls.Config{
			MinVersion:         current.Load().MinVersion,
			GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return configFor(hello, current.Load()) },
		}
	}
	return s
}

// start makes the door accept connections of l, which is made of its acceptor. fail is called if it can't any more.
func (d *door) start(l net.Listener, fail func(error)) {
	served := make(chan struct{})
	d.served = served
	server, name := d.http, d.name
	go func() {
		defer close(served)
		var err error
		if server.TLSConfig != nil {
			err = server.ServeTLS(l, "", "")
		} else {
			err = server.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
}

// An acceptor accepts connections of a socket for one HTTP server. Close ends that and leaves the socket open, so that the next server
// accepts the connections that wait there.
type acceptor struct {
	*net.TCPListener
	closed atomic.Bool
}

func (a *acceptor) Accept() (net.Conn, error) {
	c, err := a.TCPListener.Accept()
	if a.closed.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, net.ErrClosed
	}
	return c, err
}

// Close makes a call of Accept return. It may be called again.
func (a *acceptor) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	return a.SetDeadline(time.Unix(1, 0))
}

// handOver ends the acceptance of connections by the door's server, for the next server of the socket, and returns the server. Its
// connections go on.
func (d *door) handOver() *http.Server {
	d.accept.Close()
	<-d.served
	d.socket.SetDeadline(time.Time{})
	return d.http
}

// shutdown closes the socket and waits for the requests in flight until ctx ends.
func (d *door) shutdown(ctx context.Context) error {
	d.accept.Close() // before the socket, which has no deadline to set once it is closed
	d.socket.Close()
	return shutdown(ctx, d.name, d.http)
}

func shutdown(ctx context.Context, name string, s *http.Server) error {
	if err := s.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("%s: requests were still in flight: %w", name, err), s.Close())
	}
	return nil
}

// timeouts returns how long the gate waits for a client.
func timeouts(file *config.File) proxy.Timeouts {
	return proxy.Timeouts{Body: file.Limits.BodyTimeout, Answer: file.Limits.AnswerTimeout}
}

// A debugWriter logs net/http's messages about broken connections and handshakes at the level debug, because any client can cause them.
type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(b []byte) (int, error) {
	w.log.Debug("connection", "error", string(b))
	return len(b), nil
}
