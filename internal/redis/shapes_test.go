package redis_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// TestShapes writes and reads over every way to reach Redis, as the ACL user with the commands of the documentation.
func TestShapes(t *testing.T) {
	cert, key := mustCertificate(t)
	plain := redistest.Start(t)
	mutual := redistest.StartTLS(t, cert, key, "--tls-auth-clients", "yes", "--tls-ca-cert-file", cert)
	tls := func(s *redis.Settings) { s.SSL, s.CAFile, s.ServerName = true, cert, "redis.internal" }
	for name, c := range map[string]struct {
		settings redis.Settings
		change   func(*redis.Settings)
		refused  string // part of the error of Ask
	}{
		"single":   {plain.Settings(), func(*redis.Settings) {}, ""},
		"socket":   {plain.Settings(), func(s *redis.Settings) { s.Socket, s.Host, s.Port = plain.Socket(), "host.invalid", 1 }, ""},
		"proxied":  {plain.Settings(), func(s *redis.Settings) { s.ConnectionIsProxied = true }, ""},
		"sentinel": {redistest.StartSentinel(t).Settings(), func(*redis.Settings) {}, ""},
		"cluster":  {redistest.StartCluster(t).Settings(), func(*redis.Settings) {}, ""},
		"mutual TLS": {mutual.Settings(), func(s *redis.Settings) {
			tls(s)
			s.CertFile, s.KeyFile = cert, key
		}, ""},
		"mutual TLS without a certificate": {mutual.Settings(), tls, "redis.cert_file and redis.key_file"},
	} {
		t.Run(name, func(t *testing.T) {
			c.change(&c.settings)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := c.settings.Ask(ctx); c.refused != "" || err != nil {
				if c.refused == "" || err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %v, expected %q", err, c.refused)
				}
				return
			}
			if warnings, err := c.settings.Examine(ctx); err != nil || len(warnings) > 0 {
				t.Errorf("got %q, %v", warnings, err)
			}
			works(t, c.settings)
		})
	}
}

// works writes, reads and lists.
func works(t *testing.T, s redis.Settings) {
	t.Helper()
	c, log := mustNew(t, s)
	const key = "sallyport:{k}"
	err := c.MustWrite(t.Context(), key, func(ctx context.Context, w goredis.Cmdable) error {
		return putScript.Run(ctx, w, []string{key}, "v").Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	pipe := c.Pipeline()
	value, left := pipe.Get(t.Context(), key), pipe.PTTL(t.Context(), key)
	if _, err := pipe.Exec(t.Context()); err != nil || value.Val() != "v" || left.Val() != -1 {
		t.Errorf("got %q for %s, %v", value.Val(), left.Val(), err)
	}
	if err := c.Get(t.Context(), "sallyport:absent").Err(); err != goredis.Nil {
		t.Errorf("an absent key: got %v", err)
	}
	if err := c.Get(t.Context(), "other:k").Err(); !goredis.IsPermissionError(err) {
		t.Errorf("a key outside the prefix: got %v", err)
	}
	if c.Unacknowledged() != 0 || log.String() != "" {
		t.Errorf("%d writes weren't acknowledged, and the log is %s", c.Unacknowledged(), log)
	}
	messages := c.Subscribe(t.Context(), "sallyport:channel")
	defer messages.Close()
	if _, err := messages.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), "sallyport:channel", "hello").Err(); err != nil {
		t.Fatal(err)
	}
	if m, err := messages.ReceiveMessage(t.Context()); err != nil || m.Payload != "hello" {
		t.Errorf("got %v, %v", m, err)
	}
}

// TestSentinelUser checks that the Sentinels are asked as the user of the settings, with the commands of the documentation.
func TestSentinelUser(t *testing.T) {
	s := redistest.StartSentinel(t).Settings()
	if s.SentinelUsername == "" || s.SentinelPassword == "" {
		t.Fatal("the Sentinels have no user")
	}
	works(t, s)
	s.SentinelPassword = "guess"
	if err := s.Ask(t.Context()); err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "guess") {
		t.Errorf("got %v", err)
	}
}

// TestWrongShape checks that the error names the setting for the shape that the server has.
func TestWrongShape(t *testing.T) {
	single, cluster := redistest.Start(t), redistest.StartCluster(t)
	s := single.Settings()
	s.ClusterNodes = []redis.ClusterNode{{IP: s.Host, Port: s.Port}}
	if err := s.Ask(t.Context()); err == nil || !strings.Contains(err.Error(), "write redis.host instead of redis.cluster_nodes") {
		t.Errorf("got %v", err)
	}
	s = cluster.Nodes[0].Settings()
	var wrong error
	for n := range 100 { // one server has a third of the keys
		s.Prefix = fmt.Sprint("sallyport:", n*n)
		if err := s.Ask(t.Context()); err != nil {
			wrong = err
		}
	}
	if wrong == nil || !strings.Contains(wrong.Error(), "write redis.cluster_nodes instead of redis.host") {
		t.Errorf("got %v", wrong)
	}
}

// TestACLPage checks that the documentation has the ACLs with which the tests run.
func TestACLPage(t *testing.T) {
	page, err := os.ReadFile("../../configs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Join(strings.Fields(string(page)), " ")
	for _, acl := range []string{redistest.ACL, redistest.SentinelACL} {
		if !strings.Contains(words, acl) {
			t.Errorf("configs/redis.md doesn't have %s", acl)
		}
	}
}
