// Package redis makes clients of a Redis server from settings.
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

// Settings are the connection settings of one Redis server.
type Settings struct {
	Host              string        `yaml:"host" default:"127.0.0.1"`
	Port              int           `yaml:"port" default:"6379" min:"1" max:"65535"`
	Socket            string        `yaml:"socket"` // the path of a Unix socket; it replaces host and port
	Database          int           `yaml:"database" default:"0" min:"0"`
	Prefix            string        `yaml:"prefix" default:"sallyport:"`
	Username          string        `yaml:"username"` // ACL user
	Password          auth.Secret   `yaml:"password"`
	ConnectTimeout    time.Duration `yaml:"connect_timeout" unit:"ms" default:"2000" min:"1ms"`
	SendTimeout       time.Duration `yaml:"send_timeout" unit:"ms" default:"2000" min:"1ms"`
	ReadTimeout       time.Duration `yaml:"read_timeout" unit:"ms" default:"2000" min:"1ms"`
	SSL               bool          `yaml:"ssl" default:"false"`
	SSLVerify         bool          `yaml:"ssl_verify" default:"true"` // false is insecure: the certificate is not verified
	ServerName        string        `yaml:"server_name"`               // the name in SNI and in the certificate; default host
	CAFile            string        `yaml:"ca_file"`                   // PEM; trusted in addition to the system's CAs
	KeepalivePoolSize int           `yaml:"keepalive_pool_size" default:"256" min:"1"`
}

// New returns a client. It doesn't connect yet: the server may start later. The caller closes the client.
func (s *Settings) New(log *slog.Logger) (*Client, error) {
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	goredis.SetLogger(clientLog{log}) // one logger for the process; it may be set at any time
	return &Client{goredis.NewClient(o)}, nil
}

// options returns the client's options. An unreachable server must be noticed soon, and the next request tries again. So the client dials
// once, and retries a command once, in case its pooled connection was dead.
func (s *Settings) options() (*goredis.Options, error) {
	o := &goredis.Options{
		Network: "tcp", Addr: net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), DB: s.Database,
		Username: s.Username, Password: string(s.Password),
		DialTimeout: s.ConnectTimeout, DialerRetries: 1, ReadTimeout: s.ReadTimeout, WriteTimeout: s.SendTimeout,
		MaxRetries: 1, MinRetryBackoff: 2 * time.Millisecond, MaxRetryBackoff: 10 * time.Millisecond,
		ContextTimeoutEnabled: true,
		PoolSize:              s.KeepalivePoolSize, PoolTimeout: s.ConnectTimeout, PipelinePoolSize: -1,
		ReadBufferSize: 16 << 10, WriteBufferSize: 8 << 10,
		Protocol: 2, DisableIdentity: true, // a new connection needs fewer commands, and has no push messages
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

// A clientLog logs the client's own messages at debug level: they repeat the errors that it returns.
type clientLog struct{ log *slog.Logger }

func (c clientLog) Printf(ctx context.Context, format string, v ...any) {
	if c.log.Enabled(ctx, slog.LevelDebug) {
		c.log.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, v...))
	}
}

// tls returns the TLS configuration; it reads ca_file.
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
