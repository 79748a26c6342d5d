// Package redistest runs real Redis servers for tests.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/freeport"
	"sallyport/internal/redis"
)

// ACL is what the gate's ACL user may do: the commands, the keys and the channels that it needs. The page configs/redis.md has the same
// text. Each server that is started here has a user with it, and Settings has the user's name and password.
const ACL = "~sallyport:* resetchannels &sallyport:* -@all " +
	"+get +getex +set +del +exists +pexpire +pttl +persist +scan +hget +hmget +getdel +hset +hgetall " +
	"+zadd +zrem +zrange +zcard +zrandmember +zremrangebyscore +eval +evalsha +multi +exec " +
	"+publish +subscribe +unsubscribe +wait +ping +select +info +asking +cluster|slots"

// The name and the password of the user with ACL.
const (
	username = "limited"
	password = "a-password"
)

// A Server is a Redis process with a loopback port, a Unix socket and a directory of its own.
type Server struct {
	Port     int
	Password string // of the default user, for Client

	once      sync.Once
	own       *goredis.Client // see admin
	dir       string
	limited   bool // it has the user with ACL
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
	s.limited = !slices.Contains(arguments("0"), "--aclfile") // Redis doesn't start with users of both kinds
	return s.startOn(t, func(port string) []string {
		own := []string{"--bind", "127.0.0.1", "--dir", s.dir, "--unixsocket", s.Socket(), "--daemonize", "no"}
		if s.limited {
			own = append(append(own, "--user", username, "on", ">"+password), strings.Fields(ACL)...)
		}
		return append(own, arguments(port)...)
	})
}

// startFile starts a process that rewrites its configuration file when its role changes, so that a restart goes on with the new role.
func startFile(t testing.TB, s *Server, mode []string, lines func(port int) []string) *Server {
	t.Helper()
	s.dir = t.TempDir()
	file := filepath.Join(s.dir, "redis.conf")
	return s.startOn(t, func(string) []string {
		own := []string{fmt.Sprintf("port %d", s.Port), "bind 127.0.0.1", "dir " + s.dir, "unixsocket " + s.Socket()}
		text := strings.Join(append(own, lines(s.Port)...), "\n") + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return append([]string{file}, mode...)
	})
}

// startOn starts the process with the arguments for a free port.
func (s *Server) startOn(t testing.TB, arguments func(port string) []string) *Server {
	t.Helper()
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
	s.process = exec.Command(program, s.arguments...)
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
			if open != nil && isReady(strings.ToLower(lines.Text())) {
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

// isReady reports whether a line of the log says that a server or a Sentinel accepts connections.
func isReady(line string) bool {
	return strings.Contains(line, "ready to accept connections") || strings.Contains(line, "sentinel id is")
}

// Kill kills the server with SIGKILL.
func (s *Server) Kill() {
	s.process.Process.Kill()
	<-s.ended
}

// Pause stops the process without ending it, as a partition of the network would, until Resume.
func (s *Server) Pause() { s.process.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *Server) Resume() { s.process.Process.Signal(syscall.SIGCONT) }

// Restart starts a killed server again, on the same port and directory.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if !s.run(t) {
		t.Fatal("redis-server doesn't start again")
	}
}

// Socket returns the path of the Unix socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "s") }

// Settings returns the settings of a client of the server, which is the user with ACL.
func (s *Server) Settings() redis.Settings {
	settings := defaults()
	settings.Host, settings.Port = "127.0.0.1", s.Port
	if !s.limited {
		settings.Username, settings.Password = "", ""
	}
	return settings
}

// defaults returns settings without an address.
func defaults() redis.Settings {
	return redis.Settings{
		Prefix: "sallyport:", Username: username, Password: password, SSLVerify: true, KeepalivePoolSize: 64,
		ClusterMaxRedirections: 5, WaitTimeout: 500 * time.Millisecond,
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

// admin returns the client with which this package manages the server.
func (s *Server) admin(t testing.TB) *goredis.Client {
	s.once.Do(func() {
		s.own = goredis.NewClient(&goredis.Options{
			Network: "unix", Addr: s.Socket(), Protocol: 2, DisableIdentity: true, DialerRetries: 1, MaxRetries: -1,
		})
		t.Cleanup(func() { s.own.Close() })
	})
	return s.own
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
