package acmecert

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testlog"
)

// A memory is a store that replicas of a test share.
type memory struct {
	mu      sync.Mutex
	records map[string][]byte
	holder  string
	until   time.Time
	gets    int
	err     error // of each request
	full    error // of put
}

func newMemory() *memory { return &memory{records: map[string][]byte{}} }

func (m *memory) get(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets++
	if data, found := m.records[name]; found || m.err != nil {
		return data, m.err
	}
	return nil, errAbsent
}

func (m *memory) put(_ context.Context, name string, value []byte, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil && m.full == nil {
		m.records[name] = value
	}
	return cmp.Or(m.err, m.full)
}

func (m *memory) remove(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, name)
	return m.err
}

func (m *memory) lease(_ context.Context, holder string, life time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return false, m.err
	}
	if m.holder != holder && time.Now().Before(m.until) {
		return false, nil
	}
	m.holder, m.until = holder, time.Now().Add(life)
	return true, nil
}

func (m *memory) release(_ context.Context, holder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holder == holder {
		m.until = time.Time{}
	}
	return nil
}

func (m *memory) shared() bool { return true }
func (m *memory) close() error { return nil }

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// has reports whether the store has a record.
func (m *memory) has(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[name] != nil
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gets
}

// An authority issues certificates at once, or fails.
type authority struct {
	life   time.Duration
	before time.Duration // that the certificates are dated back
	took   time.Duration // of an order

	mu     sync.Mutex
	err    error
	serial int64
	orders []time.Time
}

var errOrder = errors.New("the name doesn't lead here")

func (a *authority) order(ctx context.Context, host string) (*tls.Certificate, bool, error) {
	a.mu.Lock()
	a.orders = append(a.orders, time.Now())
	a.serial++
	serial, life, err := a.serial, a.life, a.err
	a.mu.Unlock()
	select {
	case <-time.After(a.took):
	case <-ctx.Done():
		return nil, true, ctx.Err()
	}
	if err != nil {
		return nil, true, err
	}
	pair, err := certify(host, serial, time.Now().Add(-a.before), life)
	return pair, true, err
}

func (a *authority) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *authority) times() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.orders
}

// certify returns a self-signed certificate.
func certify(host string, serial int64, from time.Time, life time.Duration) (*tls.Certificate, error) {
	key, err := makeKey("ecdsa")
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{host}, NotBefore: from, NotAfter: from.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func mustCertify(t *testing.T, host string, serial int64, from time.Time, life time.Duration) *tls.Certificate {
	t.Helper()
	pair, err := certify(host, serial, from, life)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

const day = 24 * time.Hour

// newReplica returns a certifier over a store, which orders of an authority. It is closed when the test ends.
func newReplica(t *testing.T, s store, a *authority) (*Certifier, *testlog.Buffer) {
	t.Helper()
	log := &testlog.Buffer{}
	settings := Settings{Directory: "https://ca.example", RenewBefore: 30 * day, KeyType: "ecdsa", Challenge: tlsALPN01}
	c := newCertifier(settings, s, time.Now, slog.New(slog.NewTextHandler(log, nil)))
	c.order = a.order
	t.Cleanup(func() { c.Close() })
	return c, log
}

// serial returns the serial number of the certificate that a certifier serves for a host; 0: none.
func serial(c *Certifier, host string) int64 {
	pair, err := c.certificate(host)
	if err != nil {
		return 0
	}
	return pair.Leaf.SerialNumber.Int64()
}
