// Package redis is how a Redis server is reached.
package redis

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

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/auth"
)

// Settings say how one Redis server is reached.
type Settings struct {
	Host              string        `yaml:"host" default:"127.0.0.1"`
	Port              int           `yaml:"port" default:"6379" min:"1" max:"65535"`
	Socket            string        `yaml:"socket"` // a Unix socket's path; instead of host and port
	Database          int           `yaml:"database" default:"0" min:"0"`
	Prefix            string        `yaml:"prefix" default:"sallyport:"`
	Username          string        `yaml:"username"` // ACL user
	Password          auth.Secret   `yaml:"password"`
	ConnectTimeout    time.Duration `yaml:"connect_timeout" unit:"ms" default:"2000" min:"1ms"`
	SendTimeout       time.Duration `yaml:"send_timeout" unit:"ms" default:"2000" min:"1ms"`
	ReadTimeout       time.Duration `yaml:"read_timeout" unit:"ms" default:"2000" min:"1ms"`
	SSL               bool          `yaml:"ssl" default:"false"`
	SSLVerify         bool          `yaml:"ssl_verify" default:"true"` // false is insecure
	ServerName        string        `yaml:"server_name"`               // SNI and the name that the certificate must have; default host
	CAFile            string        `yaml:"ca_file"`                   // PEM; trusted besides the system's
	KeepalivePoolSize int           `yaml:"keepalive_pool_size" default:"256" min:"1"`
}

// New returns the client of a server, which it doesn't ask yet: it may come up later.
func (s *Settings) New(log *slog.Logger) (*goredis.Client, error) {
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	goredis.SetLogger(clientLog{log}) // one for the process, and safe to set at any time
	return goredis.NewClient(o), nil
}

// options are how the client reaches Redis. A Redis that is away is found out soon, and asked anew by the next request:
// one attempt to dial, one more attempt for a connection that died in the pool.
func (s *Settings) options() (*goredis.Options, error) {
	o := &goredis.Options{
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

func (s *Settings) tls() (*tls.Config, error) {
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
