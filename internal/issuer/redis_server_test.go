package issuer

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/redis"
)

func isUnknown(err error) bool { return errors.Is(err, ErrUnknown) }

// A redisServer is a real Redis on a port of its own.
type redisServer struct {
	dir, port string
	arguments []string
	process   *exec.Cmd
	ended     chan struct{}
}

func startRedis(t testing.TB, arguments ...string) *redisServer {
	t.Helper()
	s := &redisServer{dir: t.TempDir(), arguments: arguments}
	for range 5 { // somebody else may take the port between our look and Redis's
		s.port = freePort(t)
		if s.start(t) {
			t.Cleanup(s.kill)
			return s
		}
	}
	t.Fatal("redis-server doesn't start")
	return nil
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// start runs Redis on its port and its files, and waits until it accepts connections; false if it doesn't come to that.
func (s *redisServer) start(t testing.TB) bool {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this test needs the real Redis: %v (apt-get install redis-server)", err)
	}
	s.process = exec.Command(program, append([]string{
		"--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--unixsocket", s.socket(), "--daemonize", "no",
	}, s.arguments...)...)
	out, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	process, ended := s.process, make(chan struct{})
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

// kill ends Redis as kill -9 does.
func (s *redisServer) kill() {
	s.process.Process.Kill()
	<-s.ended
}

func (s *redisServer) socket() string { return filepath.Join(s.dir, "s") }

func (s *redisServer) settings() redis.Settings {
	port, _ := strconv.Atoi(s.port)
	return redis.Settings{
		Host: "127.0.0.1", Port: port, Prefix: "sallyport:", SSLVerify: true, KeepalivePoolSize: 64,
		ConnectTimeout: 2 * time.Second, SendTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second,
	}
}

// client is the test's own view of what is in Redis.
func (s *redisServer) client(t testing.TB) *goredis.Client {
	c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: s.socket(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { c.Close() })
	return c
}

// pass takes that much of every key's life.
func (s *redisServer) pass(t testing.TB, d time.Duration) {
	c, ctx := s.client(t), context.Background()
	for _, key := range c.Keys(ctx, "*").Val() {
		if left := c.PTTL(ctx, key).Val(); left > 0 {
			c.PExpire(ctx, key, left-d)
		}
	}
}

// calls is how often Redis has run a command.
func (s *redisServer) calls(t testing.TB, command string) int {
	t.Helper()
	for line := range strings.Lines(s.client(t).Info(context.Background(), "commandstats").Val()) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			n, _ := strconv.Atoi(rest[:strings.IndexByte(rest, ',')])
			return n
		}
	}
	return 0
}
