package redis

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"sallyport/internal/authorities"

	goredis "github.com/redis/go-redis/v9"
)

// options returns the client's options. An unreachable server must be noticed soon, and the next request tries again. So the client dials
// once, and retries a command once, in case its pooled connection was dead. Reads never go to replicas.
func (s *Settings) options() (*goredis.UniversalOptions, error) {
	o := &goredis.UniversalOptions{
		Addrs: s.addresses(), MasterName: s.SentinelMaster, DB: s.Database,
		Username: s.Username, Password: string(s.Password),
		SentinelUsername: s.SentinelUsername, SentinelPassword: string(s.SentinelPassword),
		DialTimeout: s.ConnectTimeout, DialerRetries: 1, ReadTimeout: s.ReadTimeout, WriteTimeout: s.SendTimeout,
		MaxRetries: 1, MinRetryBackoff: 2 * time.Millisecond, MaxRetryBackoff: 10 * time.Millisecond,
		MaxRedirects: s.ClusterMaxRedirections, ContextTimeoutEnabled: true,
		PoolSize: s.KeepalivePoolSize, PoolTimeout: s.ConnectTimeout, PipelinePoolSize: -1,
		ReadBufferSize: 16 << 10, WriteBufferSize: 8 << 10,
		Protocol: 2, DisableIdentity: true, // a new connection needs fewer commands, and has no push messages
	}
	if !s.SSL {
		return o, nil
	}
	var err error
	o.TLSConfig, err = s.tls()
	return o, err
}

// single returns the options of one server.
func (s *Settings) single(o *goredis.UniversalOptions) *goredis.Options {
	one := o.Simple()
	one.Network = "tcp"
	if s.Socket != "" {
		one.Network = "unix"
	}
	return one
}

// clientMessages is the one logger that the client library has for the process. It logs the library's messages at debug level: they
// repeat the errors that it returns. It logs nothing before the first New.
var clientMessages clientLog

type clientLog struct{ log atomic.Pointer[slog.Logger] }

func (c *clientLog) Printf(ctx context.Context, format string, v ...any) {
	if log := c.log.Load(); log != nil && log.Enabled(ctx, slog.LevelDebug) {
		log.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, v...))
	}
}

// tls returns the TLS configuration. It reads ca_file once. It reads the client's certificate at each connection, because the files may
// be renewed while the gate runs. Without server_name each node's certificate must have the host that is dialled.
func (s *Settings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName, InsecureSkipVerify: !s.SSLVerify}
	if s.CertFile != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.certificate() }
		if _, err := s.certificate(); err != nil {
			return nil, err
		}
	}
	if s.CAFile == "" {
		return c, nil
	}
	var err error
	if c.RootCAs, err = authorities.WithSystem(s.CAFile); err != nil {
		return nil, fmt.Errorf("redis: ca_file: %w", err)
	}
	return c, nil
}

// certificate reads the client's certificate and its key.
func (s *Settings) certificate() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("redis: cert_file: %w", err)
	}
	return &pair, nil
}
