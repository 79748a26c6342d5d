package session

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/auth"
	"sallyport/internal/redis"
)

// A clock is moved by the test.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// A rig is one store, on which any number of Sessions work, as replicas would.
type rig struct {
	*testing.T
	clock  *clock
	server *redisServer // nil for memory
	memory *memoryStore
	log    *syncBuffer
}

// onBoth runs a test over both stores.
func onBoth(t *testing.T, test func(*rig)) {
	t.Run("memory", func(t *testing.T) { test(&rig{T: t, clock: &clock{}, log: &syncBuffer{}}) })
	t.Run("redis", func(t *testing.T) {
		test(&rig{T: t, clock: &clock{}, server: startRedis(t, "--save", "", "--appendonly", "no"), log: &syncBuffer{}})
	})
}

var usual = timeouts{idling: 15 * time.Minute, rolling: time.Hour, absolute: 24 * time.Hour}

// sessions opens the rig's store as one more replica.
func (r *rig) sessions(t timeouts) *Sessions {
	r.Helper()
	log := slog.New(slog.NewTextHandler(r.log, nil))
	c := Config{
		Settings: Settings{
			Secret: []auth.Secret{secretA}, Storage: "memory", IdlingTimeout: t.idling, RollingTimeout: t.rolling, AbsoluteTimeout: t.absolute,
		},
		Keyring: mustKeyring(r, secretA), Now: r.clock.now, Log: log,
	}
	if r.server != nil {
		c.Storage, c.Redis = "redis", r.server.settings()
	} else if r.memory != nil {
		return newSessions(r.memory, t, r.clock.now, log)
	}
	s, err := New(c)
	if err != nil {
		r.Fatal(err)
	}
	r.memory, _ = s.store.(*memoryStore)
	r.Cleanup(func() { s.Close() })
	return s
}

// pass lets time pass, in Redis too: every key loses that much of its life.
func (r *rig) pass(d time.Duration) {
	r.Helper()
	r.clock.offset.Add(int64(d))
	if r.server == nil {
		return
	}
	c, ctx := r.server.client(r), context.Background()
	for _, key := range c.Keys(ctx, "*").Val() {
		if left := c.PTTL(ctx, key).Val(); left > 0 {
			c.PExpire(ctx, key, left-d)
		}
	}
}

func (r *rig) start(s *Sessions, old *ID, a Audience) ID {
	r.Helper()
	id, _, err := s.Start(context.Background(), old, a)
	if err != nil {
		r.Fatal(err)
	}
	return id
}

// open expects a live session.
func (r *rig) open(s *Sessions, id ID) *Opened {
	r.Helper()
	opened, err := s.Open(context.Background(), id)
	if err != nil {
		r.Fatal(err)
	}
	return opened
}

// gone expects that no session is there any more.
func (r *rig) gone(s *Sessions, id ID) {
	r.Helper()
	if _, err := s.Open(context.Background(), id); err == nil {
		r.Fatal("the session is alive, expected it to be over")
	} else if !isNotFound(err) {
		r.Fatalf("got %v, expected %v", err, ErrNotFound)
	}
}

// A redisServer is a real Redis on a port of its own.
type redisServer struct {
	dir, port string
	arguments []string
	password  string // of the default user
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
	port := s.port
	if strings.Contains(strings.Join(s.arguments, " "), "--tls-port") {
		port = "0"
	}
	s.process = exec.Command(program, append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--unixsocket", s.socket(), "--daemonize", "no",
	}, s.arguments...)...)
	out, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Ready to accept connections") || strings.Contains(lines.Text(), "ready to accept connections") {
				select {
				case ready <- true:
				default:
				}
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
func (s *redisServer) client(t testing.TB) *goredis.Client { return s.clientOf(t, 0) }

func (s *redisServer) clientOf(t testing.TB, database int) *goredis.Client {
	c := goredis.NewClient(&goredis.Options{
		Network: "unix", Addr: s.socket(), Protocol: 2, DisableIdentity: true, DB: database,
		Password: s.password,
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// calls is how often Redis has run a command.
func (s *redisServer) calls(t testing.TB, c *goredis.Client, command string) int {
	t.Helper()
	for line := range strings.Lines(c.Info(context.Background(), "commandstats").Val()) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			n, _ := strconv.Atoi(rest[:strings.IndexByte(rest, ',')])
			return n
		}
	}
	return 0
}

// A syncBuffer is a log that a test reads while others write.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
