package main

import (
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// A lateAnswer is the result of a request in the background.
type lateAnswer struct {
	res *http.Response
	err error
}

// cookie sets a variable to a cookie of the jar, in the form NAME=VALUE.
func (s *scene) cookie(_ bool, args []string) {
	u, err := url.Parse("http://" + s.ts.Getenv("GATE"))
	s.ts.Check(err)
	for _, c := range s.client.Jar.Cookies(u) {
		if regexp.MustCompile(args[1]).MatchString(c.Name) {
			s.ts.Setenv(args[0], c.Name+"="+c.Value)
			return
		}
	}
	s.ts.Fatalf("the jar has no cookie %s: %v", args[1], s.client.Jar.Cookies(u))
}

// late sends a request without the cookie jar in the background and waits until the upstream receives it. The upstream doesn't
// respond before the command arrives.
func (s *scene) late(_ bool, args []string) {
	r := s.newRequest("GATE", args)
	held, has := make(chan struct{}), make(chan struct{})
	s.mu.Lock()
	s.got, s.heldPath, s.held, s.has = "", r.URL.Path, held, has
	s.mu.Unlock()
	done := make(chan lateAnswer, 1)
	s.answers = done
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: s.client.CheckRedirect}
	go func() {
		res, err := client.Do(r)
		done <- lateAnswer{res, err}
	}()
	select {
	case <-has:
	case a := <-done:
		s.ts.Fatalf("the upstream wasn't asked: %v, %v", a.res, a.err)
	case <-time.After(10 * time.Second):
		s.ts.Fatalf("the upstream wasn't asked; the log:\n%s", s.output)
	}
}

// hold blocks the upstream's response to the request of late.
func (s *scene) hold(r *http.Request) {
	s.mu.Lock()
	held, has := s.held, s.has
	if r.URL.Path != s.heldPath {
		held = nil
	}
	s.mu.Unlock()
	if held == nil {
		return
	}
	close(has)
	select {
	case <-held:
	case <-r.Context().Done():
	}
}

// arrives unblocks the upstream's response to the request of late and waits for it.
func (s *scene) arrives(bool, []string) {
	s.mu.Lock()
	close(s.held)
	s.held, s.heldPath = nil, ""
	s.mu.Unlock()
	a := <-s.answers
	s.ts.Check(a.err)
	s.keep(a.res)
}
