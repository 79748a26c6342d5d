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

	// A remembered session can be resumed after the three timeouts, and after a restart of the browser.
	// Its rolling timeout counts since the session got its ID, the absolute one since the login; 0 is off.
	Remember                bool          `yaml:"session_remember" default:"false"`
	RememberRollingTimeout  time.Duration `yaml:"session_remember_rolling_timeout" default:"604800"`
	RememberAbsoluteTimeout time.Duration `yaml:"session_remember_absolute_timeout" default:"2592000"`

	// Both values of these mean the same: a store has only hashes, and always an index.
	HashStorageKey bool `yaml:"session_hash_storage_key" default:"true"`
	StoreMetadata  bool `yaml:"session_store_metadata" default:"true"`
	HashSubject    bool `yaml:"session_hash_subject" default:"true"`
}

// ForStore returns the settings without those that don't change the store, so that routes which differ only in them share one.
func (s Settings) ForStore() Settings {
	s.Audience, s.HashStorageKey, s.StoreMetadata, s.HashSubject = "", true, true, true
	return s
}
