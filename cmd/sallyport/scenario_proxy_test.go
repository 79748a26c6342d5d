package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
)

// A forwardProxy is an HTTP proxy that records its requests.
type forwardProxy struct {
	mu    sync.Mutex
	asked int
	all   bytes.Buffer
}

func (p *forwardProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	fmt.Fprintf(&p.all, "%s %s\r\n", r.Method, r.RequestURI)
	r.Header.Write(&p.all)
	p.mu.Unlock()
	if r.Method != http.MethodConnect {
		(&httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}).ServeHTTP(w, r)
		return
	}
	server, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		server.Close()
		return
	}
	io.WriteString(client, "HTTP/1.1 200 Connected\r\n\r\n")
	go func() { io.Copy(server, client); server.Close() }()
	io.Copy(client, server)
	client.Close()
}

func (s *scene) proxy(_ bool, args []string) {
	if args[0] == "start" {
		s.via = &forwardProxy{}
		server := httptest.NewServer(s.via)
		s.ts.Defer(server.Close)
		s.ts.Setenv("PROXY", server.URL)
		return
	}
	s.via.mu.Lock()
	asked, all := s.via.asked, strings.ReplaceAll(s.via.all.String(), "\r\n", "\n")
	s.via.mu.Unlock()
	switch args[0] {
	case "asked":
		if got := fmt.Sprint(asked); got != args[1] {
			s.ts.Fatalf("the proxy was asked %s times, expected %s:\n%s", got, args[1], all)
		}
	case "sent":
		s.match(all, args[1], "what the proxy was sent")
	default:
		s.ts.Fatalf("proxy %s isn't known", args[0])
	}
}
