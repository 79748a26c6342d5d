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
	"sync/atomic"
	"syscall"

	"sallyport/internal/config"
	"sallyport/internal/proxy"
)

// A door is one listener and its HTTP server. It outlives reloads, which replace its certificates.
type door struct {
	name     string // "clients" or "admin"
	listener net.Listener
	http     *http.Server
	tls      *atomic.Pointer[tls.Config] // of new connections; nil: without TLS
}

// open opens all listeners. If one of them can't be opened, it closes the others and returns the error.
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

// timeouts returns how long the gate waits for a client.
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
	d := &door{name: name, http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: limits.ReadHeaderTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.MaxHeaderBytes,
		ErrorLog:          log.New(debugWriter{s.log}, "", 0),
		Protocols:         new(http.Protocols),
		// closes the connection of a client that reads nothing, to which not even RST_STREAM can be written
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

// listenError returns the error for an address that can't be listened on. It names the setting, and what to write or do.
func listenError(door, address string, err error) error {
	key, other := "listen", "another address"
	if door == "admin" {
		key, other = "admin.listen", "another address, or off"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is in use by another process, perhaps another sallyport: stop it, or write %s", key, address, other)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: this user may not listen on %s: write a port above 1023, or grant CAP_NET_BIND_SERVICE", key, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: %s isn't an address of this machine: write one of its addresses, or :PORT for all", key, address)
	}
	return fmt.Errorf("%s: %w", key, err)
}

// newTLS returns the configuration of a listener's TLS. It reads the files that the settings name.
func newTLS(t *config.TLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("listen: tls: %w", err)
	}
	c := &tls.Config{
		MinVersion:   map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[t.MinVersion],
		CipherSuites: t.SuiteIDs(),
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

// reloadTLS reads the TLS files of the listeners. The returned function makes new connections use them. If the addresses differ from those
// of the open listeners, the listeners keep their TLS until a restart.
func (s *server) reloadTLS(file *config.File) (use func(), err error) {
	if !sameListeners(s.started, file) {
		return func() {}, nil
	}
	configs := map[*door]*tls.Config{}
	for i, l := range file.Listen {
		if l.TLS == nil {
			continue
		}
		if configs[s.doors[i]], err = newTLS(l.TLS); err != nil {
			return nil, err
		}
	}
	return func() {
		for d, c := range configs {
			d.tls.Store(c)
		}
	}, nil
}

// A debugWriter logs net/http's messages about broken connections and handshakes at the level debug, because any client can cause them.
type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(b []byte) (int, error) {
	w.log.Debug("connection", "error", string(b))
	return len(b), nil
}
