package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	goredis "github.com/redis/go-redis/v9"
)

// Name returns the server's address or socket, and the database, for messages.
func (s *Settings) Name() string {
	o, err := s.options()
	if err != nil {
		return s.Host
	}
	return fmt.Sprintf("%s, database %d", o.Addr, s.Database)
}

// Ask checks over a new connection that the server works with these settings: it reads one key with the prefix. The error says which
// setting to change.
func (s *Settings) Ask(ctx context.Context) error {
	o, err := s.options()
	if err != nil {
		return err
	}
	client := goredis.NewClient(o)
	defer client.Close()
	if err = client.Get(ctx, s.Prefix+"asked").Err(); errors.Is(err, goredis.Nil) {
		return nil
	}
	return s.withRemedy(err)
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
	case has("MOVED"), has("CLUSTERDOWN"):
		remedy = "the server is part of a Redis Cluster, and one server is expected"
	case has("READONLY"):
		remedy = "the server is a replica, which can't be written to: set redis.host to the master"
	case errors.As(err, &record):
		remedy = "the server doesn't speak TLS: set redis.ssl to false, or redis.port to its TLS port"
	case errors.As(err, &name):
		remedy = "its certificate is for another name: set redis.server_name to the name that it has"
	case errors.As(err, &authority):
		remedy = "its certificate's authority isn't trusted: set redis.ca_file"
	case errors.As(err, &dns):
		remedy = "its name isn't known: set redis.host to one that is"
	case errors.Is(err, syscall.ECONNREFUSED):
		remedy = "nothing listens there: start it, or set redis.host and redis.port"
	case s.SSL && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)):
		remedy = "the TLS handshake isn't answered: if the server doesn't speak TLS, set redis.ssl to false"
	case !s.SSL && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		remedy = "the server ends the connection: if it speaks TLS, set redis.ssl to true"
	default:
		return err
	}
	return fmt.Errorf("%s (%w)", remedy, err)
}
