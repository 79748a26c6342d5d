package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"

	goredis "github.com/redis/go-redis/v9"
)

// Ask checks over new connections that Redis works with these settings: it reads one key with the prefix, and asks each master of a Cluster
// for a sign of life. The error says which setting to change.
func (s *Settings) Ask(ctx context.Context) error {
	c, err := s.forOnce()
	if err != nil {
		return err
	}
	defer c.Close()
	return s.withRemedy(s.ask(ctx, c))
}

// forOnce returns a client that doesn't try a command again, so that an error comes at once.
func (s *Settings) forOnce() (*Client, error) {
	once := *s
	once.KeepalivePoolSize = 1
	return once.newClient(slog.New(slog.DiscardHandler), false)
}

func (s *Settings) ask(ctx context.Context, c *Client) error {
	if err := c.Get(ctx, s.Prefix+"asked").Err(); err != nil && !errors.Is(err, goredis.Nil) {
		return err
	}
	if !s.hasCluster() {
		return nil
	}
	return c.EachMaster(ctx, func(ctx context.Context, m *goredis.Client) error { return m.Ping(ctx).Err() })
}

// Examine checks more than Ask. The warnings say what can cost logins later: too few replicas, and a memory policy that evicts keys. An ACL
// user that may not ask for the policy gets no warning about it.
func (s *Settings) Examine(ctx context.Context) (warnings []string, err error) {
	c, err := s.forOnce()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := s.ask(ctx, c); err != nil {
		return nil, s.withRemedy(err)
	}
	err = c.EachMaster(ctx, func(ctx context.Context, m *goredis.Client) error {
		of := ""
		if s.hasCluster() {
			of = " of the master " + m.Options().Addr
		}
		if policy := evicting(m.Info(ctx, "memory").Val()); policy != "" {
			warnings = append(warnings, fmt.Sprintf("maxmemory-policy %s%s evicts keys when the memory is full: users are logged out, "+
				"and ended logins may be forgotten: set it to noeviction", policy, of))
		}
		few, err := s.tooFewReplicas(ctx, m)
		if few != "" {
			warnings = append(warnings, few+of+": start more, or set redis.wait_replicas lower")
		}
		return err
	})
	return warnings, s.withRemedy(err)
}

// tooFewReplicas returns a text if fewer replicas than redis.wait_replicas follow a master.
func (s *Settings) tooFewReplicas(ctx context.Context, m *goredis.Client) (string, error) {
	need := s.waitReplicas()
	if need == 0 {
		return "", nil
	}
	n, err := m.Do(ctx, "wait", need, s.WaitTimeout.Milliseconds()).Int()
	switch {
	case goredis.IsPermissionError(err):
		return "", fmt.Errorf("the ACL user may not run WAIT: allow it +wait, or set redis.wait_replicas to 0 (%w)", err)
	case err != nil || n >= need:
		return "", err
	}
	return fmt.Sprintf("redis.wait_replicas is %d, and %s", need, replicas(n)), nil
}

// replicas says how many replicas have answered.
func replicas(n int) string {
	switch n {
	case 0:
		return "no replica answers"
	case 1:
		return "1 replica answers"
	}
	return fmt.Sprintf("%d replicas answer", n)
}

// evicting returns the maxmemory-policy in an answer of INFO memory, if that evicts keys before they expire.
func evicting(info string) string {
	for line := range strings.Lines(info) {
		policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
		if ok && policy != "noeviction" {
			return policy
		}
	}
	return ""
}

// withRemedy adds to an error of the client which setting to change.
func (s *Settings) withRemedy(err error) error {
	if err == nil {
		return nil
	}
	remedy := ""
	has := func(text string) bool { return strings.Contains(err.Error(), text) }
	var record tls.RecordHeaderError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var dns *net.DNSError
	switch {
	case has("WRONGPASS"), has("invalid password"), has("invalid username-password"):
		remedy = "the server refuses username and password: set redis.password, and redis.username if it is an ACL user"
	case has("NOAUTH"):
		remedy = "the server wants a password: set redis.password"
	case has("DB index is out of range"):
		remedy = fmt.Sprintf("the server has no database %d: set redis.database to a lower one", s.Database)
	case has("NOPERM"):
		remedy = "the ACL user may not do this: allow it the commands and the keys that begin with redis.prefix"
	case has("LOADING"):
		remedy = "the server is loading its data: wait"
	case errors.Is(err, errUnknownMaster):
		remedy = fmt.Sprintf("no Sentinel monitors a master %q: set redis.sentinel_master to the name in their configuration",
			s.SentinelMaster)
	case has("cluster support disabled"):
		remedy = "the server isn't part of a Redis Cluster: write redis.host instead of redis.cluster_nodes"
	case has("CLUSTERDOWN") && s.hasCluster():
		remedy = "the Redis Cluster doesn't work: some of its slots have no master; see CLUSTER INFO"
	case has("MOVED"), has("CLUSTERDOWN"):
		remedy = "the server is part of a Redis Cluster: write redis.cluster_nodes instead of redis.host"
	case has("READONLY"):
		remedy = "the server is a replica, which can't be written to: set redis.host to the master"
	case errors.As(err, &record):
		remedy = "the server doesn't speak TLS: set redis.ssl to false, or redis.port to its TLS port"
	case errors.As(err, &name):
		remedy = "its certificate is for another name: set redis.server_name to the name that it has"
	case errors.As(err, &authority):
		remedy = "its certificate's authority isn't trusted: set redis.ca_file"
	case errors.As(err, &dns):
		remedy = fmt.Sprintf("its name isn't known: set %s to one that is", s.hostKey())
	case errors.Is(err, syscall.ECONNREFUSED):
		remedy = "nothing listens there: start it, or set " + s.addressKeys()
	case has("certificate required"), has("bad certificate"), has("unknown certificate authority"):
		remedy = "the server refuses the client's certificate: set redis.cert_file and redis.key_file"
	case s.SSL && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)):
		remedy = "the TLS handshake isn't answered: if the server doesn't speak TLS, set redis.ssl to false"
	case s.SSL && s.CertFile == "" && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		remedy = "the server ends the connection: if it requires a client's certificate, set redis.cert_file and redis.key_file"
	case !s.SSL && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		remedy = "the server ends the connection: if it speaks TLS, set redis.ssl to true"
	default:
		return err
	}
	return fmt.Errorf("%s (%w)", remedy, err)
}

// hostKey names the setting with the hosts.
func (s *Settings) hostKey() string {
	switch {
	case s.hasSentinels():
		return "redis.sentinel_nodes"
	case s.hasCluster():
		return "redis.cluster_nodes"
	}
	return "redis.host"
}

// addressKeys names the settings with hosts and ports.
func (s *Settings) addressKeys() string {
	if key := s.hostKey(); key != "redis.host" {
		return key
	}
	return "redis.host and redis.port"
}
