package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
)

func (s *scene) gate(_ bool, args []string) {
	s.file = ""
	if len(args) > 0 {
		s.file = s.ts.MkAbs(args[0])
	}
	s.start(false, nil)
}

func (s *scene) start(bool, []string) {
	self, err := exec.LookPath("sallyport")
	s.ts.Check(err)
	s.process = exec.Command(self, "run")
	if s.file != "" {
		s.process.Args = append(s.process.Args, "-c", s.file)
	}
	s.process.Env, s.process.Dir = s.environment(), s.ts.MkAbs(".")
	s.process.Stdout, s.process.Stderr = s.output, s.output
	s.ts.Check(s.process.Start())
	ended := make(chan struct{})
	go func() { s.process.Wait(); close(ended) }()
	s.ended = ended
	s.await("the gate to answer", func() bool {
		select {
		case <-ended:
			s.ts.Fatalf("the gate ended; its output:\n%s", s.output)
		default:
		}
		res, err := http.Get("http://" + s.ts.Getenv("ADMIN") + "/healthz") // not /readyz, because the issuer may be down
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
}

func (s *scene) kill() {
	if s.process != nil {
		s.process.Process.Kill()
		<-s.ended
	}
}

func (s *scene) terminate(bool, []string) {
	s.ts.Check(s.process.Process.Signal(syscall.SIGTERM))
	<-s.ended
	if !s.process.ProcessState.Success() {
		s.ts.Fatalf("the gate ended with %v; the log:\n%s", s.process.ProcessState, s.output)
	}
}

func (s *scene) reload(_ bool, args []string) {
	b, err := os.ReadFile(s.ts.MkAbs(args[0]))
	s.ts.Check(err)
	s.ts.Check(os.WriteFile(s.file, b, 0o600))
	for range 2 { // the first that is logged may be of the file's watcher, and have read the file before it was written
		before := s.reloads()
		s.ts.Check(s.process.Process.Signal(syscall.SIGHUP))
		s.await("a reload", func() bool { return s.reloads() > before })
	}
}

func (s *scene) reloads() int {
	return strings.Count(s.output.String(), `"msg":"reloaded"`) + strings.Count(s.output.String(), `"msg":"reload refused`)
}

// environment returns the variables of the scenario that the gate's process gets.
func (s *scene) environment() (all []string) {
	for _, name := range []string{
		"ISSUER", "OTHER_ISSUER", "UPSTREAM", "GATE", "ADMIN", "SECRET", "CA", "CERT", "KEY", "MTLS", "PROXY", "REDIS_PORT", "REDIS_SOCKET",
		"ACTOR", "OIDC_CLIENT_SECRET",
		"SALLYPORT_LISTEN", "SALLYPORT_ADMIN_LISTEN", "SALLYPORT_UPSTREAM", "SALLYPORT_ISSUER", "SALLYPORT_CLIENT_ID",
		"SALLYPORT_CLIENT_SECRET_FILE", "SALLYPORT_SCOPES", "SALLYPORT_ISUER",
	} {
		if value := s.ts.Getenv(name); value != "" {
			all = append(all, name+"="+value)
		}
	}
	return all
}

func (s *scene) log(neg bool, args []string) {
	if neg {
		if strings.Contains(s.output.String(), args[0]) {
			s.ts.Fatalf("the log holds %s:\n%s", args[0], s.output)
		}
		return
	}
	expression := regexp.MustCompile(args[0])
	s.await("the log to say "+args[0], func() bool { return expression.MatchString(s.output.String()) })
}

// explained runs sallyport explain for the last request and compares its reason with that in the gate's log.
func (s *scene) explained(bool, []string) {
	r := s.answer.Request
	self, err := exec.LookPath("sallyport")
	s.ts.Check(err)
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	args := []string{"explain", "-c", s.file, "-request", r.Method + " http://" + host + r.URL.RequestURI()}
	for name, values := range r.Header {
		for _, v := range values {
			args = append(args, "-header", name+": "+v)
		}
	}
	cmd := exec.Command(self, args...)
	cmd.Env = s.environment()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		s.ts.Fatalf("explain: %v, expected the status 1; its output:\n%s", err, out)
	}
	logged := regexp.MustCompile(`"request_id":"` + regexp.QuoteMeta(s.answer.Header.Get("X-Request-Id")) + `".*"reason":"([^"]+)"`)
	var reason []string
	s.await("the refusal in the log", func() bool { reason = logged.FindStringSubmatch(s.output.String()); return reason != nil })
	want := fmt.Sprintf("refused: %d %s", s.answer.StatusCode, reason[1])
	if !strings.Contains(string(out), want) {
		s.ts.Fatalf("the log says %s, and explain:\n%s", want, out)
	}
}
