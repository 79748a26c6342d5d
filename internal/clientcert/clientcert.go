// Package clientcert has connections with a client certificate whose files are read again when they change.
package clientcert

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
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

// Thumbprint returns the thumbprint of a DER certificate to which a token may be bound (x5t#S256, RFC 8705 §3.1).
func Thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Transports are connections with one certificate, such as an http.Transport.
type Transports interface{ CloseIdleConnections() }

// A Pool has the transports of the current certificate, and of the one before. A changed certificate gets new transports, because a
// connection keeps the certificate of its handshake: one over HTTP/2 that is always in use would keep it for ever. It is safe for
// concurrent use.
type Pool[T Transports] struct {
	files Files
	make  func(*tls.Certificate) (T, error)
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex // guards the fields below
	current certified[T]
	before  *certified[T]  // nil until the certificate has changed
	unknown string         // the last thumbprint that For looked for and didn't find
	read    [2]os.FileInfo // of the files when they were read; nil if they changed meanwhile
	looked  time.Time      // when the files were last looked at
}

// A certified has the transports of a certificate.
type certified[T Transports] struct {
	thumbprint string
	expires    time.Time
	transports T
}

// lookEvery is the time between two looks at the files.
const lookEvery = time.Second

// New returns a pool whose transports make returns. Its error is that of the first certificate. A nil log is slog.Default.
func New[T Transports](f Files, make func(*tls.Certificate) (T, error), log *slog.Logger) (*Pool[T], error) {
	if log == nil {
		log = slog.Default()
	}
	p := &Pool[T]{files: f, make: make, now: time.Now, log: log}
	seen := p.look()
	p.looked = p.now()
	var err error
	p.current, err = p.load()
	p.read = seen
	return p, err
}

// Get returns the transports of the certificate that is in the files now, or of the last one that could be read.
func (p *Pool[T]) Get() T {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refresh(lookEvery)
	return p.current.transports
}

// Thumbprint returns the thumbprint of the certificate of Get.
func (p *Pool[T]) Thumbprint() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refresh(lookEvery)
	return p.current.thumbprint
}

// Expires returns when the certificate of Get expires.
func (p *Pool[T]) Expires() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refresh(lookEvery)
	return p.current.expires
}

// For returns the transports of the certificate with this thumbprint, to which a token is bound, if that is the current certificate or the
// one before, and else those of the current one.
func (p *Pool[T]) For(thumbprint string) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := lookEvery
	if thumbprint != "" && thumbprint != p.unknown && !p.has(thumbprint) {
		every = 0 // another pool may have read the files since
	}
	p.refresh(every)
	switch {
	case p.before != nil && p.before.thumbprint == thumbprint:
		return p.before.transports
	case thumbprint != "" && thumbprint != p.current.thumbprint:
		p.unknown = thumbprint
	}
	return p.current.transports
}

// has reports whether the pool has transports of a certificate. The caller holds mu.
func (p *Pool[T]) has(thumbprint string) bool {
	return thumbprint == p.current.thumbprint || p.before != nil && thumbprint == p.before.thumbprint
}

// CloseIdleConnections closes the idle connections of all transports.
func (p *Pool[T]) CloseIdleConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.transports.CloseIdleConnections()
	if p.before != nil {
		p.before.transports.CloseIdleConnections()
	}
}

// refresh reads files that have changed, unless they were looked at less than a time ago. Idle connections of the certificate before are
// closed; the others end with their last request. The caller holds mu.
func (p *Pool[T]) refresh(every time.Duration) {
	now := p.now()
	if now.Sub(p.looked) < every && !now.Before(p.looked) {
		return
	}
	p.looked = now
	seen := p.look() // before the files are read: if they change meanwhile, the next look sees it
	if same(seen[0], p.read[0]) && same(seen[1], p.read[1]) {
		return
	}
	next, err := p.load()
	if err != nil {
		p.log.Error("a client certificate can't be read again: the one before is used", "file", p.files.Cert, "error", err)
		return
	}
	p.read = seen
	p.current.transports.CloseIdleConnections()
	if next.thumbprint != p.current.thumbprint { // else the same certificate was written again
		if p.before != nil {
			p.before.transports.CloseIdleConnections()
		}
		before := p.current
		p.before = &before
	}
	p.current = next
}

// look returns what the file system says of the files.
func (p *Pool[T]) look() (seen [2]os.FileInfo) {
	seen[0], _ = os.Stat(p.files.Cert)
	seen[1], _ = os.Stat(p.files.Key)
	return seen
}

// load reads the certificate in the files and makes its transports.
func (p *Pool[T]) load() (c certified[T], err error) {
	pair, err := p.files.Load()
	if err != nil {
		return c, fmt.Errorf("the client certificate: %w", err)
	}
	c.thumbprint, c.expires = Thumbprint(pair.Certificate[0]), pair.Leaf.NotAfter
	c.transports, err = p.make(pair)
	return c, err
}

// same reports whether a file is unchanged.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
