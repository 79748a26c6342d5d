package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

func (s *scene) forget(bool, []string) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	s.client = &http.Client{Jar: jar,
		Transport:     &http.Transport{}, // not http.DefaultTransport, whose idle connections httptest closes
		Timeout:       9 * time.Second,   // less than the gate's default timeout for issuers
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.trust()
}

// trust makes the scenario's client trust the certificate of a secure provider.
func (s *scene) trust() {
	if s.roots != nil {
		s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}}
	}
}

func (s *scene) request(_ bool, args []string) { s.ask(s.newRequest("GATE", args)) }

// newRequest returns the request of the arguments METHOD PATH [NAME: VALUE]... to the address in a variable.
func (s *scene) newRequest(address string, args []string) *http.Request {
	r, err := http.NewRequest(args[0], "http://"+s.ts.Getenv(address)+args[1], nil)
	s.ts.Check(err)
	for _, line := range args[2:] {
		name, value, _ := strings.Cut(line, ":")
		if name == "Host" {
			r.Host = strings.TrimSpace(value)
			continue
		}
		r.Header[name] = append(r.Header[name], strings.TrimSpace(value)) // keeps the spelling
	}
	return r
}

func (s *scene) browser(_ bool, args []string) {
	s.request(false, append([]string{"GET", args[0], "Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"},
		args[1:]...))
}

func (s *scene) callback(_ bool, args []string) {
	asked, err := url.Parse(s.answer.Header.Get("Location"))
	s.ts.Check(err)
	if s.lastState == "" || asked.Query().Has("state") {
		s.lastState = asked.Query().Get("state")
	}
	q := url.Values{"state": {s.lastState}, "iss": {s.ts.Getenv("ISSUER")}, "code": {"x"}}
	if name, value, found := strings.Cut(args[0], "="); found {
		q.Set(name, value)
		if value == "" {
			q.Del(name)
		}
	}
	s.browser(false, []string{"/oauth2/callback?" + q.Encode()})
}

func (s *scene) raw(_ bool, args []string) {
	s.mu.Lock()
	s.got = ""
	s.mu.Unlock()
	c, err := net.Dial("tcp", s.ts.Getenv("GATE"))
	s.ts.Check(err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	target := strings.ReplaceAll(args[0], `\x00`, "\x00")
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\n", target, strings.Join(append(args[1:], ""), "\r\n"))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	s.ts.Check(err)
	res.Request = &http.Request{Method: "GET", URL: &url.URL{Path: args[0]}}
	s.keep(res)
}

func (s *scene) stall(_ bool, args []string) {
	s.mu.Lock()
	s.got = ""
	s.mu.Unlock()
	c, err := net.Dial("tcp", s.ts.Getenv(args[0]))
	s.ts.Check(err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second)) // less than the default of limits.body_timeout
	header := map[string]string{"Host": "gate", "Content-Type": "application/x-www-form-urlencoded"}
	if args[0] == "ADMIN" {
		header["Host"] = "localhost"
	}
	for _, line := range args[3:] {
		name, value, _ := strings.Cut(line, ": ")
		header[name] = value
	}
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nContent-Length: 1000\r\n", args[1], args[2])
	for name, value := range header {
		fmt.Fprintf(c, "%s: %s\r\n", name, value)
	}
	io.WriteString(c, "\r\na=bcd")
	b := bufio.NewReader(c)
	res, err := http.ReadResponse(b, nil)
	s.ts.Check(err)
	res.Request = &http.Request{Method: args[1], URL: &url.URL{Path: args[2]}}
	s.keep(res)
	if _, err := b.ReadByte(); err != io.EOF {
		s.ts.Fatalf("after the answer: %v, expected the connection's end", err)
	}
}

func (s *scene) awaitStatus(_ bool, args []string) {
	s.await("status "+args[0], func() bool {
		s.request(false, append([]string{"GET"}, args[1:]...))
		return fmt.Sprint(s.answer.StatusCode) == args[0]
	})
}

func (s *scene) post(_ bool, args []string) {
	s.send(false, append([]string{http.MethodPost}, args...))
}

func (s *scene) send(_ bool, args []string) {
	r, err := http.NewRequest(args[0], "http://"+s.ts.Getenv("GATE")+args[1], strings.NewReader(args[3]))
	s.ts.Check(err)
	r.Header.Set("Content-Type", args[2])
	for _, line := range args[4:] {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	s.ask(r)
}

func (s *scene) admin(_ bool, args []string) {
	res, err := http.DefaultClient.Do(s.newRequest("ADMIN", args))
	s.ts.Check(err)
	s.keep(res)
}

func (s *scene) login(_ bool, args []string) {
	following := *s.client
	following.CheckRedirect = nil
	address := args[1]
	if strings.HasPrefix(address, "/") {
		address = "http://" + s.ts.Getenv("GATE") + address
	}
	issuer := s.provider
	if len(args) > 2 && args[2] == "other" {
		issuer = s.other
	}
	res, err := issuer.LogIn(&following, address, args[0], "doe")
	s.ts.Check(err)
	s.keep(res)
}

func (s *scene) follow(bool, []string) {
	following := *s.client
	following.CheckRedirect = nil
	r, err := http.NewRequest(http.MethodGet, s.answer.Header.Get("Location"), nil)
	s.ts.Check(err)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	res, err := following.Do(r)
	s.ts.Check(err)
	s.keep(res)
}

func (s *scene) ask(r *http.Request) {
	s.mu.Lock()
	s.got = ""
	s.mu.Unlock()
	res, err := s.client.Do(r)
	s.ts.Check(err)
	s.keep(res)
}

func (s *scene) keep(res *http.Response) {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.ts.Check(err)
	s.answer, s.answerBody = res, string(body)
}
