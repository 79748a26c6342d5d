package app

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestNoHTTPOverAChallenge checks that a connection with the protocol of tls-alpn-01 is never served HTTP.
func TestNoHTTPOverAChallenge(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	pair, err := tls.LoadX509KeyPair(dir+"/cert.pem", dir+"/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	challenge := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"acme-tls/1"}}
	d := &door{doorSettings: doorSettings{name: "clients"}, socket: l.(*net.TCPListener), tls: new(atomic.Pointer[tls.Config])}
	d.tls.Store(&tls.Config{
		MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return challenge, nil },
	})
	served := false
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })
	d.accept, d.http = &acceptor{TCPListener: d.socket}, d.newHTTP(h, slog.New(slog.DiscardHandler))
	d.start(d.accept, func(err error) { t.Error(err) })
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if body, _ := io.ReadAll(c); c.ConnectionState().NegotiatedProtocol != "acme-tls/1" || len(body) > 0 {
		t.Errorf("the answer is %q over %q", body, c.ConnectionState().NegotiatedProtocol)
	}
	if err := d.shutdown(t.Context()); err != nil || served {
		t.Errorf("HTTP was served: %t; %v", served, err)
	}
}

// TestOtherPathsOfChallenges checks that a path below that of challenges goes to the route if no order is under way.
func TestOtherPathsOfChallenges(t *testing.T) {
	up := named(t, "the upstream")
	plain, folder := freeAddress(), filepath.Join(t.TempDir(), "acme")
	storeCertificate(t, folder, "a.example")
	r := newReloading(t, fmt.Sprintf("admin: {listen: off}\nlisten:\n  - %s\n  - {address: '127.0.0.1:0', tls: {acme: {directory: %q, "+
		"agree_tos: true, challenge: http-01, folder: %s, hosts: [a.example]}}}", plain, noServer, folder))
	r.upstream = up
	r.reload(mustRead(t, r.name, "watch: false"))
	mustGet(t, "http://"+plain+"/.well-known/acme-challenge/token", "200 the upstream")
}

// mustRead returns the text of a file up to a word.
func mustRead(t *testing.T, name, word string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(data), word)
	return text
}
