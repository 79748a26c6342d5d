package e2e

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// A redisServer is a Redis process that writes every change to disk before it responds, so that it can be killed at any time without
// losing acknowledged data.
type redisServer struct {
	port int
	dir  string
	log  *logBuffer
	proc *process
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	r := &redisServer{port: freeport.Port(), dir: t.TempDir(), log: &logBuffer{}}
	t.Cleanup(func() { r.proc.kill() })
	r.start(t)
	return r
}

// start starts the server on its port with the data on disk.
func (r *redisServer) start(t *testing.T) {
	t.Helper()
	var err error
	r.proc, err = startProcess(r.log, nil, "redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(r.port), "--dir", r.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always")
	if err != nil {
		t.Fatal(err)
	}
	if !await(30*time.Second, func() bool { return r.command("PING") == "+PONG" || !r.proc.running() }) || !r.proc.running() {
		t.Fatalf("Redis isn't ready; it wrote:\n%s", r.log)
	}
}

// kill kills the server with SIGKILL.
func (r *redisServer) kill() { r.proc.kill() }

// command sends an inline command and returns the first line of the response, or "".
func (r *redisServer) command(line string) string {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	fmt.Fprintf(c, "%s\r\n", line)
	answer, _ := bufio.NewReader(c).ReadString('\n')
	if len(answer) < 2 {
		return ""
	}
	return answer[:len(answer)-2]
}
