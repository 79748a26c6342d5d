package session

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// options are how the client reaches Redis. A Redis that is away is found out soon, and asked anew by the next request:
// one attempt to dial, one more attempt for a connection that died in the pool.
func (s *RedisSettings) options() (*redis.Options, error) {
	o := &redis.Options{
		Network: "tcp", Addr: net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), DB: s.Database,
		Username: s.Username, Password: string(s.Password),
		DialTimeout: s.ConnectTimeout, DialerRetries: 1, ReadTimeout: s.ReadTimeout, WriteTimeout: s.SendTimeout,
		MaxRetries: 1, MinRetryBackoff: 2 * time.Millisecond, MaxRetryBackoff: 10 * time.Millisecond,
		ContextTimeoutEnabled: true,
		PoolSize:              s.KeepalivePoolSize, PoolTimeout: s.ConnectTimeout, PipelinePoolSize: -1,
		ReadBufferSize: 16 << 10, WriteBufferSize: 8 << 10,
		Protocol: 2, DisableIdentity: true, // fewer commands for a new connection, and no push messages to look for
	}
	if s.Socket != "" {
		o.Network, o.Addr = "unix", s.Socket
	}
	if !s.SSL {
		return o, nil
	}
	var err error
	o.TLSConfig, err = s.tls()
	return o, err
}

// clientLog puts what the client says beside the errors that it returns where it can be had but doesn't flood.
type clientLog struct{ log *slog.Logger }

func (c clientLog) Printf(ctx context.Context, format string, v ...any) {
	if c.log.Enabled(ctx, slog.LevelDebug) {
		c.log.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, v...))
	}
}

func (s *RedisSettings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName, InsecureSkipVerify: !s.SSLVerify}
	if c.ServerName == "" {
		c.ServerName = s.Host
	}
	if s.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("redis: ca_file: %w", err)
	}
	if c.RootCAs, err = x509.SystemCertPool(); err != nil {
		c.RootCAs = x509.NewCertPool()
	}
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("redis: ca_file: %s holds no PEM certificate", s.CAFile)
	}
	return c, nil
}
