package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

func (s *scene) status(_ bool, args []string) {
	if got := fmt.Sprint(s.answer.StatusCode); got != args[0] {
		s.ts.Fatalf("%s %s: status %s, expected %s\n%v\n%s", s.answer.Request.Method, s.answer.Request.URL, got, args[0], s.answer.Header,
			s.answerBody)
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

func (s *scene) capture(_ bool, args []string) {
	var b bytes.Buffer
	s.answer.Header.Write(&b)
	text := strings.ReplaceAll(b.String(), "\r\n", "\n") + s.answerBody
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(text)
	if len(m) < 2 {
		s.ts.Fatalf("nothing matches %s in\n%s", args[1], text)
	}
	s.ts.Setenv(args[0], m[1])
}
