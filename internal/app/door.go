package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"syscall"

	"sallyport/internal/config"
	"sallyport/internal/proxy"
)

// A door is one listener and the server behind it. It outlives reloads; what its TLS is made of is read anew by them.
type door struct {
	name     string // "clients" or "admin"
	address  string // as configured
	listener net.Listener
	http     *http.Server
	tls      *atomic.Pointer[tls.Config] // of new connections; nil: plain
}

// open opens all listeners, or none.
func (s *server) open() (err error) {
	defer func() {
		if err != nil {
			s.closeDoors()
		}
	}()
	for _, l := range s.running().Listen {
		if err := s.openDoor("clients", l, s); err != nil {
			return err
		}
	}
	if s.running().Admin.Listen != "off" {
		return s.openDoor("admin", config.Listen{Address: s.running().Admin.Listen}, s.admin())
	}
	return nil
}

// timeouts are how long the gate waits for a client.
func timeouts(file *config.File) proxy.Timeouts {
	return proxy.Timeouts{Body: file.Limits.BodyTimeout, Answer: file.Limits.AnswerTimeout}
}

func (s *server) closeDoors() {
	for _, d := range s.doors {
		d.listener.Close()
	}
}

func (s *server) openDoor(name string, l config.Listen, h http.Handler) error {
	limits := s.running().Limits
	d := &door{name: name, address: l.Address, http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: limits.ReadHeaderTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.MaxHeaderBytes,
		ErrorLog:          log.New(debugWriter{s.log}, "", 0),
		Protocols:         new(http.Protocols),
		// a client that reads nothing can't be told that its stream ends
		HTTP2: &http.HTTP2Config{WriteByteTimeout: limits.IdleTimeout},
	}}
	d.http.Protocols.SetHTTP1(true)
	d.http.Protocols.SetHTTP2(true)
	d.http.Protocols.SetUnencryptedHTTP2(true)
	if l.TLS != nil {
		c, err := newTLS(l.TLS)
		if err != nil {
			return err
		}
		d.tls = new(atomic.Pointer[tls.Config])
		d.tls.Store(c)
		current := func(*tls.ClientHelloInfo) (*tls.Config, error) { return d.tls.Load(), nil }
		d.http.TLSConfig = &tls.Config{MinVersion: c.MinVersion, GetConfigForClient: current}
	}
	listener, err := net.Listen("tcp", l.Address)
	if err != nil {
		return listenError(name, l.Address, err)
	}
	d.listener = listener
	s.doors = append(s.doors, d)
	return nil
}

// listenError says which setting holds an address that can't be listened on.
func listenError(door, address string, err error) error {
	key, other := "listen", "another address"
	if door == "admin" {
		key, other = "admin.listen", "another address, or off"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is in use by another process, perhaps another sallyport: stop it, or write %s", key, address, other)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: the system doesn't let this user listen on %s: write a port above 1023, or grant CAP_NET_BIND_SERVICE",
			key, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: this machine doesn't have the address of %s: write an address of its own, or :PORT for all", key, address)
	}
	return fmt.Errorf("%s: %w", key, err)
}

// newTLS reads the files of a listener's TLS.
func newTLS(t *config.TLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("listen: tls: %w", err)
	}
	c := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"h2", "http/1.1"},
		ClientAuth: map[string]tls.ClientAuthType{
			"none": tls.NoClientCert, "request": tls.RequestClientCert, "require": tls.RequireAnyClientCert,
			"verify_if_given": tls.VerifyClientCertIfGiven, "require_and_verify": tls.RequireAndVerifyClientCert,
		}[t.ClientAuth],
	}
	if t.ClientCAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("client_ca_file: %w", err)
	}
	if c.ClientCAs = x509.NewCertPool(); !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client_ca_file: %s holds no PEM certificate", t.ClientCAFile)
	}
	return c, nil
}

func (d *door) serve() error {
	var err error
	if d.tls != nil {
		err = d.http.ServeTLS(d.listener, "", "")
	} else {
		err = d.http.Serve(d.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%s: %w", d.name, err)
}

// reloadDoors reads what the listeners' TLS is made of again, and returns what lets new connections have it. Listeners stay as
// they are: other addresses, and TLS that comes or goes, need a restart, and that is said.
func (s *server) reloadDoors(file *config.File) (take func(), err error) {
	addresses := func(f *config.File) (all []string) {
		for _, l := range f.Listen {
			all = append(all, fmt.Sprint(l.Address, l.TLS != nil))
		}
		return append(all, f.Admin.Listen)
	}
	if !slices.Equal(addresses(file), addresses(s.running())) {
		s.log.Warn("listen and admin.listen can't change on reload: restart for that")
		return func() {}, nil
	}
	fresh := map[*door]*tls.Config{}
	for i, l := range file.Listen {
		if l.TLS == nil {
			continue
		}
		if fresh[s.doors[i]], err = newTLS(l.TLS); err != nil {
			return nil, err
		}
	}
	return func() {
		for d, c := range fresh {
			d.tls.Store(c)
		}
	}, nil
}

// debugWriter passes on what net/http prints of broken connections and handshakes: strangers cause it, so it is no more
// than a debug line.
type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(b []byte) (int, error) {
	w.log.Debug("connection", "error", string(b))
	return len(b), nil
}
