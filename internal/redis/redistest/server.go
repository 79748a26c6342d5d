// Package redistest runs real Redis servers for tests.
package redistest

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/freeport"
	"sallyport/internal/redis"
)

// A Server is a Redis process with a loopback port, a Unix socket and a directory of its own.
type Server struct {
	Port     int
	Password string // of the default user, for Client

	dir       string
	arguments []string
	process   *exec.Cmd
	ended     chan struct{}
}

// Start starts a server that is killed when the test ends. Without arguments it writes nothing to disk.
func Start(t testing.TB, arguments ...string) *Server {
	t.Helper()
	if len(arguments) == 0 {
		arguments = []string{"--save", "", "--appendonly", "no"}
	}
	return start(t, &Server{}, func(port string) []string { return append([]string{"--port", port}, arguments...) })
}

// StartTLS starts a server whose port accepts only TLS.
func StartTLS(t testing.TB, certFile, keyFile string, arguments ...string) *Server {
	t.Helper()
	return start(t, &Server{}, func(port string) []string {
		return append([]string{
			"--port", "0", "--tls-port", port, "--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-auth-clients", "no",
			"--save", "",
		}, arguments...)
	})
}

func start(t testing.TB, s *Server, arguments func(port string) []string) *Server {
	t.Helper()
	s.dir = t.TempDir()
	for range 5 { // another process may take the port before Redis does
		s.Port = freeport.Port()
		s.arguments = arguments(strconv.Itoa(s.Port))
		if s.run(t) {
			t.Cleanup(s.Kill)
			return s
		}
	}
	t.Fatal("redis-server doesn't start")
	return nil
}

// run starts the process and waits until it accepts connections. It reports false if the process exits before.
func (s *Server) run(t testing.TB) bool {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this test needs the real Redis: %v (apt-get install redis-server)", err)
	}
	own := []string{"--bind", "127.0.0.1", "--dir", s.dir, "--unixsocket", s.Socket(), "--daemonize", "no"}
	s.process = exec.Command(program, slices.Concat(own, s.arguments)...)
	out, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, ready, ended := s.process, make(chan struct{}), make(chan struct{})
	s.ended = ended
	go func() {
		open := ready
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if open != nil && strings.Contains(strings.ToLower(lines.Text()), "ready to accept connections") {
				close(open)
				open = nil
			}
		}
		process.Wait()
		close(ended)
	}()
	select {
	case <-ready:
		return true
	case <-ended:
		return false
	}
}

// Kill kills the server with SIGKILL.
func (s *Server) Kill() {
	s.process.Process.Kill()
	<-s.ended
}

// Restart starts a killed server again, on the same port and directory.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if !s.run(t) {
		t.Fatal("redis-server doesn't start again")
	}
}

// Socket returns the path of the Unix socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "s") }

// Settings returns the settings of a client of the server.
func (s *Server) Settings() redis.Settings {
	return redis.Settings{
		Host: "127.0.0.1", Port: s.Port, Prefix: "sallyport:", SSLVerify: true, KeepalivePoolSize: 64,
		ConnectTimeout: 2 * time.Second, SendTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second,
	}
}

// Client returns a client of a database, which is closed when the test ends.
func (s *Server) Client(t testing.TB, database int) *goredis.Client {
	c := goredis.NewClient(&goredis.Options{
		Network: "unix", Addr: s.Socket(), Protocol: 2, DisableIdentity: true, DB: database, Password: s.Password,
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// Pass shortens the TTL of every key by d.
func (s *Server) Pass(t testing.TB, d time.Duration) {
	c, ctx := s.Client(t, 0), context.Background()
	for _, key := range c.Keys(ctx, "*").Val() {
		if left := c.PTTL(ctx, key).Val(); left > 0 {
			c.PExpire(ctx, key, left-d)
		}
	}
}

// Calls returns how many times the server has run a command.
func (s *Server) Calls(t testing.TB, command string) int {
	t.Helper()
	for line := range strings.Lines(s.Client(t, 0).Info(context.Background(), "commandstats").Val()) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			n, _ := strconv.Atoi(rest[:strings.IndexByte(rest, ',')])
			return n
		}
	}
	return 0
}
