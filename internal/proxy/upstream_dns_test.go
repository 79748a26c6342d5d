package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A nameServer answers each question for an IPv4 address with its addresses.
type nameServer struct {
	net.PacketConn

	mu        sync.Mutex
	addresses []string
	asked     int
}

func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	n := &nameServer{PacketConn: conn}
	go func() {
		for p := make([]byte, 512); ; {
			length, from, err := conn.ReadFrom(p)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(p[:length]); err == nil && len(m.Questions) == 1 {
				answer, _ := n.answer(m)
				conn.WriteTo(answer, from)
			}
		}
	}()
	return n
}

func (n *nameServer) answer(m dnsmessage.Message) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		n.asked++
		for _, a := range n.addresses {
			header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 3600}
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: header, Body: &dnsmessage.AResource{A: [4]byte(net.ParseIP(a).To4())},
			})
		}
	}
	return m.Pack()
}

// set sets the addresses.
func (n *nameServer) set(addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = addresses
}

func (n *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", n.LocalAddr().String())
	}}
}

// TestNames checks that a name is resolved again for each new connection, and that all its addresses are tried.
func TestNames(t *testing.T) {
	names := startNameServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	second, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]net.Listener{"one": l, "two": second} {
		server := &http.Server{Handler: answerer(name)}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
	}
	up, err := NewUpstream(UpstreamSettings{
		URL: "http://app.test:" + port, ConnectTimeout: 5 * time.Second, ResponseHeaderTimeout: 5 * time.Second, resolver: names.resolver(),
	})
	if err != nil {
		t.Fatal(err)
	}
	front, _ := start(t, nil, func(r *Route, _ *Config) { r.Upstream = up })
	for n, c := range []struct {
		addresses []string
		want      string
	}{
		{[]string{"127.0.0.1"}, "one"}, {[]string{"127.0.0.2"}, "two"}, {[]string{"127.0.0.3", "127.0.0.2"}, "two"},
		{[]string{"127.0.0.3", "127.0.0.4", "127.0.0.1"}, "one"},
	} {
		names.set(c.addresses...)
		status, body := ask(t, front, "POST", "/off", fmt.Sprint(n))
		if status != 200 || !strings.HasPrefix(body, c.want+" app.test:") {
			t.Errorf("with %v: %d %q, expected %s", c.addresses, status, body, c.want)
		}
	}
	names.mu.Lock()
	defer names.mu.Unlock()
	if names.asked != 4 {
		t.Errorf("the name server was asked %d times for 4 connections", names.asked)
	}
}
