package session

import (
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/redis"
)

// Settings are the parameters session_* and redis.
type Settings struct {
	// The newest secret comes first: it seals, and all of them open. Each has 32 bytes or more. By default one is generated.
	Secret          []auth.Secret  `yaml:"session_secret"`
	Storage         string         `yaml:"session_storage" default:"memory" enum:"memory,redis,cookie"`
	Audience        string         `yaml:"session_audience" default:"default"`
	IdlingTimeout   time.Duration  `yaml:"session_idling_timeout" default:"900"`     // 0 is off
	RollingTimeout  time.Duration  `yaml:"session_rolling_timeout" default:"3600"`   // 0 is off; at 3/4 of it the session gets a new ID
	AbsoluteTimeout time.Duration  `yaml:"session_absolute_timeout" default:"86400"` // 0 is off
	NearCache       time.Duration  `yaml:"session_near_cache" default:"1"`           // 0 is off: each request asks Redis
	Redis           redis.Settings `yaml:"redis"`

	// CookieSingleProcess says that no other process has these sessions in cookies, so that this one may refresh their tokens: a refresh
	// token may be used only once.
	CookieSingleProcess bool `yaml:"session_cookie_single_process" default:"false"`
}
