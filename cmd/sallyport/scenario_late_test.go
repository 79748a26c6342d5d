package main

import (
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// A lateAnswer is what a request in the background got.
type lateAnswer struct {
	res *http.Response
	err error
}

// cookie puts a cookie of the jar into a variable, as a browser sends it.
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

// late sends a request that doesn't see what the jar gets meanwhile. It goes on once the upstream has it, which doesn't answer
// before arrives.
func (s *scene) late(_ bool, args []string) {
	r := s.written("GATE", args)
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

// hold keeps the upstream's answer to a late request back.
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

// arrives lets the upstream answer the late request.
func (s *scene) arrives(bool, []string) {
	s.mu.Lock()
	close(s.held)
	s.held, s.heldPath = nil, ""
	s.mu.Unlock()
	a := <-s.answers
	s.ts.Check(a.err)
	s.keep(a.res)
}
