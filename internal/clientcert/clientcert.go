// Package clientcert has connections with a client certificate whose files are read again when they change.
package clientcert

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files are the PEM files of a client certificate, the leaf first, and its private key.
type Files struct{ Cert, Key string }

// Load reads the files.
func (f Files) Load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	return &pair, err
}

// Use makes connections of a configuration send a certificate, also to a server that doesn't name its authority.
func Use(c *tls.Config, pair *tls.Certificate) {
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
}

// Transports are connections with one certificate, such as an http.Transport.
type Transports interface{ CloseIdleConnections() }

// A Pool has the transports of the current certificate. A changed certificate gets new transports, because a connection keeps the
// certificate of its handshake: one over HTTP/2 that is always in use would keep it for ever. It is safe for concurrent use.
type Pool[T Transports] struct {
	files Files
	make  func(*tls.Certificate) (T, error)
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex // guards the fields below
	current T
	read    [2]os.FileInfo // of the files when they were read; nil if they changed meanwhile
	looked  time.Time      // when the files were last looked at
}

// lookEvery is the time between two looks at the files.
const lookEvery = time.Second

// New returns a pool whose transports make returns. Its error is that of the first certificate. A nil log is slog.Default.
func New[T Transports](f Files, make func(*tls.Certificate) (T, error), log *slog.Logger) (*Pool[T], error) {
	if log == nil {
		log = slog.Default()
	}
	p := &Pool[T]{files: f, make: make, now: time.Now, log: log}
	err := p.renew(p.look())
	p.looked = p.now()
	return p, err
}

// Get returns the transports of the certificate that is in the files now, or of the last one that could be read. Idle connections of the
// certificate before are closed; the others end with their last request.
func (p *Pool[T]) Get() T {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now.Sub(p.looked) < lookEvery && !now.Before(p.looked) {
		return p.current
	}
	p.looked = now
	seen := p.look()
	if same(seen[0], p.read[0]) && same(seen[1], p.read[1]) {
		return p.current
	}
	before := p.current
	if err := p.renew(seen); err != nil {
		p.log.Error("a client certificate can't be read again: the one before is used", "file", p.files.Cert, "error", err)
		return p.current
	}
	before.CloseIdleConnections()
	return p.current
}

// look returns what the file system says of the files.
func (p *Pool[T]) look() (seen [2]os.FileInfo) {
	seen[0], _ = os.Stat(p.files.Cert)
	seen[1], _ = os.Stat(p.files.Key)
	return seen
}

// renew makes transports of the certificate that is in the files. seen is what the file system said of them before: if they change while
// they are read, the next look sees it.
func (p *Pool[T]) renew(seen [2]os.FileInfo) error {
	pair, err := p.files.Load()
	if err != nil {
		return fmt.Errorf("the client certificate: %w", err)
	}
	next, err := p.make(pair)
	if err == nil {
		p.current, p.read = next, seen
	}
	return err
}

// same reports whether a file is unchanged.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
