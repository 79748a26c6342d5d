package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/provider"
	"sallyport/internal/redis/redistest"
)

// A redisServer is the Redis server of a scenario. The scenario inspects it through the socket, as the user scene.
type redisServer struct {
	*redistest.Server
	rig *goredis.Client
}

func (s *scene) redis(_ bool, args []string) {
	user := []string{"--save", "", "--user", "scene", "on", "nopass", "~*", "&*", "+@all"}
	switch args[0] {
	case "start":
		s.useRedis(redistest.Start(runningTB{ts: s.ts}, append(user, args[1:]...)...))
	case "tls":
		cert, key := provider.CertificatePEM(s.provider.ServerCert("redis.internal"))
		s.useRedis(redistest.StartTLS(runningTB{ts: s.ts}, s.write("redis.pem", cert), s.write("redis.key", key),
			append(user, args[1:]...)...))
	case "stop":
		s.server.Kill()
	case "restart":
		s.server.Restart(runningTB{ts: s.ts})
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

func (s *scene) useRedis(server *redistest.Server) {
	rig := goredis.NewClient(&goredis.Options{Network: "unix", Addr: server.Socket(), Username: "scene", Password: "any"})
	s.ts.Defer(func() { rig.Close() })
	s.server = &redisServer{server, rig}
	s.ts.Setenv("REDIS_PORT", strconv.Itoa(server.Port))
	s.ts.Setenv("REDIS_SOCKET", server.Socket())
}

// redisKeys returns the number of keys that match args[0], in database 0 or args[2].
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
