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

	"sallyport/internal/config"
)

// A door is one listener and the server behind it. It outlives reloads; its certificate is read anew by them.
type door struct {
	name        string // "clients" or "admin"
	address     string // as configured
	listener    net.Listener
	http        *http.Server
	certificate *atomic.Pointer[tls.Certificate] // nil: plain
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
	}}
	d.http.Protocols.SetHTTP1(true)
	d.http.Protocols.SetHTTP2(true)
	d.http.Protocols.SetUnencryptedHTTP2(true)
	if l.TLS != nil {
		d.certificate = new(atomic.Pointer[tls.Certificate])
		if err := d.secure(l.TLS); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", l.Address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	d.listener = listener
	s.doors = append(s.doors, d)
	return nil
}

// secure prepares TLS: the certificate can be replaced while connections go on.
func (d *door) secure(t *config.TLS) error {
	if err := d.readCertificate(t); err != nil {
		return err
	}
	c := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.certificate.Load(), nil },
		ClientAuth: map[string]tls.ClientAuthType{
			"none": tls.NoClientCert, "request": tls.RequestClientCert, "require": tls.RequireAnyClientCert,
			"verify_if_given": tls.VerifyClientCertIfGiven, "require_and_verify": tls.RequireAndVerifyClientCert,
		}[t.ClientAuth],
	}
	if t.ClientCAFile != "" {
		pem, err := os.ReadFile(t.ClientCAFile)
		if err != nil {
			return fmt.Errorf("client_ca_file: %w", err)
		}
		if c.ClientCAs = x509.NewCertPool(); !c.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("client_ca_file: %s holds no PEM certificate", t.ClientCAFile)
		}
	}
	d.http.TLSConfig = c
	return nil
}

func (d *door) readCertificate(t *config.TLS) error {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return fmt.Errorf("listen: tls: %w", err)
	}
	d.certificate.Store(&pair)
	return nil
}

func (d *door) serve() error {
	var err error
	if d.certificate != nil {
		err = d.http.ServeTLS(d.listener, "", "")
	} else {
		err = d.http.Serve(d.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%s: %w", d.name, err)
}

// reloadDoors reads the certificates again. Listeners stay as they are: other addresses need a restart, and that is said.
func (s *server) reloadDoors(file *config.File) error {
	addresses := func(f *config.File) (all []string) {
		for _, l := range f.Listen {
			all = append(all, l.Address)
		}
		return append(all, f.Admin.Listen)
	}
	if !slices.Equal(addresses(file), addresses(s.running())) {
		s.log.Warn("listen and admin.listen can't change on reload: restart for that")
		return nil
	}
	for i, l := range file.Listen {
		if l.TLS != nil && s.doors[i].certificate != nil {
			if err := s.doors[i].readCertificate(l.TLS); err != nil {
				return err
			}
		}
	}
	return nil
}

// debugWriter passes on what net/http prints of broken connections and handshakes: strangers cause it, so it is no more
// than a debug line.
type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(b []byte) (int, error) {
	w.log.Debug("connection", "error", string(b))
	return len(b), nil
}
