package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/provider"
)

// A redisServer is a Redis of a scene's own. The scene asks it through the socket, as a user of its own.
type redisServer struct {
	process *exec.Cmd
	output  lockedBuffer
	rig     *goredis.Client
}

func (s *scene) redis(_ bool, args []string) {
	_, port, _ := net.SplitHostPort(freeAddress())
	switch args[0] {
	case "start":
		s.startRedis(port, append([]string{"--port", port}, args[1:]...))
	case "tls":
		cert, key := provider.CertificatePEM(s.provider.ServerCert("redis.internal"))
		s.startRedis(port, append([]string{"--port", "0", "--tls-port", port, "--tls-auth-clients", "no",
			"--tls-cert-file", s.write("redis.pem", cert), "--tls-key-file", s.write("redis.key", key)}, args[1:]...))
	case "stop":
		s.server.process.Process.Kill()
		s.server.process.Wait()
	case "keys":
		if got := fmt.Sprint(s.redisKeys(args[1:])); got != args[2] {
			s.ts.Fatalf("Redis holds %s keys %s, expected %s", got, args[1], args[2])
		}
	case "pause":
		d, err := time.ParseDuration(args[1])
		s.ts.Check(err)
		s.ts.Check(s.server.rig.Do(context.Background(), "CLIENT", "PAUSE", d.Milliseconds(), "ALL").Err())
	default:
		s.ts.Fatalf("redis %s isn't known", args[0])
	}
}

// startRedis starts a server and waits for it.
func (s *scene) startRedis(port string, args []string) {
	dir, err := os.MkdirTemp("", "redis") // a socket's path must be short
	s.ts.Check(err)
	s.ts.Defer(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	r := &redisServer{rig: goredis.NewClient(&goredis.Options{Network: "unix", Addr: socket, Username: "scene", Password: "any"})}
	r.process = exec.Command("redis-server", append([]string{"--bind", "127.0.0.1", "--dir", dir, "--save", "", "--unixsocket", socket,
		"--user", "scene", "on", "nopass", "~*", "&*", "+@all"}, args...)...)
	r.process.Stdout, r.process.Stderr = &r.output, &r.output
	s.ts.Check(r.process.Start())
	s.server = r
	s.ts.Defer(func() {
		r.rig.Close()
		r.process.Process.Kill()
		r.process.Wait()
	})
	s.await("Redis: "+r.output.String(), func() bool { return r.rig.Ping(context.Background()).Err() == nil })
	s.ts.Setenv("REDIS_PORT", port)
	s.ts.Setenv("REDIS_SOCKET", socket)
}

// redisKeys is how many keys match a pattern, in database 0 or in the one that is named third.
func (s *scene) redisKeys(args []string) int {
	ctx, database := context.Background(), 0
	if len(args) > 2 {
		var err error
		database, err = strconv.Atoi(args[2])
		s.ts.Check(err)
	}
	c := s.server.rig.Conn()
	defer c.Close()
	s.ts.Check(c.Select(ctx, database).Err())
	keys, err := c.Keys(ctx, args[0]).Result()
	s.ts.Check(err)
	s.ts.Check(c.Select(ctx, 0).Err())
	return len(keys)
}
