package e2e

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/internal/freeport"
)

// A pebble is an ACME server that validates challenges at the ports of a gate, and a DNS server that tells it where hosts are.
type pebble struct {
	directory string         // its URL
	caFile    string         // the CA of its own certificate, which no one else trusts
	roots     *x509.CertPool // of the certificates that it issues
	log       *logBuffer

	mu        sync.Mutex
	addresses [][4]byte // of all hosts; each question gets the next one
	questions int
}

// startPebble starts an ACME server whose certificates live for a time. It validates at the ports of tls-alpn-01 and http-01.
func startPebble(t *testing.T, life time.Duration, tlsPort, httpPort int) *pebble {
	t.Helper()
	dir, port, management, ca := t.TempDir(), freeport.Port(), freeport.Port(), newCA()
	if err := ca.keep(dir); err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := ca.serverPair(dir)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", port), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", management),
		"certificate": certFile, "privateKey": keyFile, "tlsPort": tlsPort, "httpPort": httpPort, "keyAlgorithm": "ecdsa",
		"profiles":   map[string]any{"default": map[string]any{"description": "", "validityPeriod": int(life.Seconds())}},
		"retryAfter": map[string]any{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &pebble{
		directory: fmt.Sprintf("https://localhost:%d/dir", port), caFile: ca.file, log: &logBuffer{}, addresses: [][4]byte{{127, 0, 0, 1}},
	}
	// pebble v2.10.1 takes the read lock of an order twice (wfe.Order, orderForDisplay). What issues the certificate between them waits
	// for ever, and so does pebble. On two processors it happened within 400 orders, on one it didn't.
	env := []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_VA_ALWAYS_VALID=0", "PEBBLE_AUTHZREUSE=0", "GOMAXPROCS=1"}
	process, err := startProcess(p.log, env, filepath.Join(root, ".cache/bin/pebble"), "-config", file, "-dnsserver", p.serveDNS(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.kill()
		if log := p.log.String(); t.Failed() {
			t.Logf("pebble's log ends:\n%s", log[max(0, len(log)-6000):])
		}
	})
	client := &http.Client{Transport: transportTrusting(ca.pool), Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	mustAwait(t, 20*time.Second, "pebble's root certificate", func() bool {
		p.roots = rootOf(client, fmt.Sprintf("https://localhost:%d/roots/0", management))
		return p.roots != nil && strings.Contains(p.log.String(), "Listening on")
	})
	return p
}

// rootOf returns a pool with the certificate at a URL, or nil.
func rootOf(client *http.Client, url string) *x509.CertPool {
	res, err := client.Get(url)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	pem, err := io.ReadAll(res.Body)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		return nil
	}
	return pool
}

// orders returns how many orders the server has taken.
func (p *pebble) orders() int { return strings.Count(p.log.String(), "Added order ") }

// point makes the hosts lead to other addresses, in turn.
func (p *pebble) point(addresses ...[4]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses = addresses
}

// serveDNS serves DNS over TCP until the test ends, and returns the server's address.
func (p *pebble) serveDNS(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serveQuestions(c)
		}
	}()
	return l.Addr().String()
}

// serveQuestions answers the questions of a connection: messages with their lengths in front (RFC 1035 §4.2.2).
func (p *pebble) serveQuestions(c net.Conn) {
	defer c.Close()
	for {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		b := make([]byte, int(length[0])<<8|int(length[1]))
		var m dnsmessage.Message
		if _, err := io.ReadFull(c, b); err != nil || m.Unpack(b) != nil || len(m.Questions) != 1 {
			return
		}
		answer, err := p.answer(&m).Pack()
		if err != nil {
			return
		}
		c.Write(append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...))
	}
}

// answer returns the answer to a question: the next address for one of type A, and none for others.
func (p *pebble) answer(m *dnsmessage.Message) *dnsmessage.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := m.Questions[0]
	a := &dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true}, Questions: m.Questions}
	if q.Type == dnsmessage.TypeA {
		address := p.addresses[p.questions%len(p.addresses)]
		p.questions++
		a.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: address},
		}}
	}
	return a
}
