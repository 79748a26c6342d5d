package session

import (
	"time"

	"sallyport/internal/auth"
)

// Settings are the session_* parameters and redis.
type Settings struct {
	Secret          []auth.Secret `yaml:"session_secret"` // newest first: the first seals, all open; 32 bytes or more each; default generated
	Storage         string        `yaml:"session_storage" default:"memory" enum:"memory,redis"`
	Audience        string        `yaml:"session_audience" default:"default"`
	IdlingTimeout   time.Duration `yaml:"session_idling_timeout" default:"900"`     // 0 is off
	RollingTimeout  time.Duration `yaml:"session_rolling_timeout" default:"3600"`   // 0 is off; at 3/4 of it the session gets a new id
	AbsoluteTimeout time.Duration `yaml:"session_absolute_timeout" default:"86400"` // 0 is off
	Redis           RedisSettings `yaml:"redis"`
}

// RedisSettings say how one Redis server is reached.
type RedisSettings struct {
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
