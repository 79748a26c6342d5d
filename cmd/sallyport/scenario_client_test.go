package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

func (s *scene) request(_ bool, args []string) {
	r, err := http.NewRequest(args[0], "http://"+s.ts.Getenv("GATE")+args[1], nil)
	s.ts.Check(err)
	for _, line := range args[2:] {
		name, value, _ := strings.Cut(line, ":")
		if name == "Host" {
			r.Host = strings.TrimSpace(value)
			continue
		}
		r.Header[name] = append(r.Header[name], strings.TrimSpace(value)) // as it is spelled
	}
	s.ask(r)
}

func (s *scene) browser(_ bool, args []string) {
	s.request(false, append([]string{"GET", args[0], "Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, args[1:]...))
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

func (s *scene) awaitStatus(_ bool, args []string) {
	s.await("status "+args[0], func() bool {
		s.request(false, append([]string{"GET"}, args[1:]...))
		return fmt.Sprint(s.answer.StatusCode) == args[0]
	})
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

func (s *scene) status(_ bool, args []string) {
	if got := fmt.Sprint(s.answer.StatusCode); got != args[0] {
		s.ts.Fatalf("%s %s: status %s, expected %s\n%v\n%s", s.answer.Request.Method, s.answer.Request.URL, got, args[0], s.answer.Header, s.answerBody)
	}
}

func (s *scene) header(neg bool, args []string) {
	values := s.answer.Header.Values(args[0])
	if neg {
		if len(values) > 0 {
			s.ts.Fatalf("%s: %q, expected none", args[0], values)
		}
		return
	}
	s.match(strings.Join(values, "\n"), args[1], args[0])
}

func (s *scene) match(text, pattern, what string) {
	expression, err := regexp.Compile("(?m)" + pattern)
	s.ts.Check(err)
	if !expression.MatchString(text) {
		s.ts.Fatalf("%s: %q doesn't match %s", what, text, pattern)
	}
}

func (s *scene) body(neg bool, args []string) {
	if neg {
		if strings.Contains(s.answerBody, args[0]) {
			s.ts.Fatalf("the body holds %s: %s", args[0], s.answerBody)
		}
		return
	}
	s.match(s.answerBody, args[0], "the body")
}

func (s *scene) received(neg bool, args []string) {
	s.mu.Lock()
	got := s.got
	s.mu.Unlock()
	switch {
	case neg && len(args) == 0 && got != "":
		s.ts.Fatalf("the upstream was asked:\n%s", got)
	case neg && len(args) > 0 && regexp.MustCompile("(?im)"+args[0]).MatchString(got):
		s.ts.Fatalf("the upstream got what it should not:\n%s", got)
	case !neg:
		s.match(got, args[0], "what the upstream got")
	}
}
