package session

import (
	"fmt"
	"time"

	"sallyport/internal/check"
)

// maxNearCache is the longest session_near_cache without a warning.
const maxNearCache = 10 * time.Second

// Check reports what is wrong with the settings, by key. used says that a flow keeps sessions.
func (s *Settings) Check(c check.Checker, used bool) {
	c.Secrets("session_secret", s.Secret)
	s.Redis.Check(c, "redis")
	if c.IsSet("redis") && s.Storage != "redis" {
		c.Warn("redis", "it isn't used, because session_storage is %s: write session_storage: redis", s.Storage)
	}
	if !used {
		return
	}
	s.checkFixed(c)
	s.checkRemember(c)
	if s.NearCache > maxNearCache && s.Storage == "redis" {
		c.Warn("session_near_cache", "if a message of Redis is lost, a session goes on for so long after its logout: "+
			"write 1, or 0 to ask Redis at each request")
	}
	for i, secret := range s.Secret {
		c.Example(fmt.Sprintf("session_secret[%d]", i), secret)
	}
	if s.Storage == "redis" && len(s.Secret) == 0 {
		c.Warn("session_storage", "without session_secret each process generates one, "+
			"so sessions in Redis can't be read after a restart or by another replica: write session_secret (openssl rand -base64 32)")
	}
	s.checkCookie(c)
	if s.IdlingTimeout == 0 && s.RollingTimeout == 0 && s.AbsoluteTimeout == 0 {
		c.Warn("session_absolute_timeout", "all three session timeouts are 0, so a stolen session never ends: write one of them")
	}
}

// checkFixed warns of settings whose value changes nothing.
func (s *Settings) checkFixed(c check.Checker) {
	warn := func(key string, on bool, instead string) {
		if c.IsSet(key) && !on {
			c.Warn(key, "false changes nothing: %s; take it out", instead)
		}
	}
	warn("session_hash_storage_key", s.HashStorageKey, "the store always sees only a hash of the session ID")
	warn("session_store_metadata", s.StoreMetadata, "sessions are always indexed, so that a logout finds them")
	warn("session_hash_subject", s.HashSubject, "the index always has only hashes")
}

// checkRemember reports mistakes in the settings of remembered sessions.
func (s *Settings) checkRemember(c check.Checker) {
	const absolute = "session_remember_absolute_timeout"
	c.Must(absolute, !s.Remember || s.RememberRollingTimeout > 0 || s.RememberAbsoluteTimeout > 0,
		"it and session_remember_rolling_timeout are 0, so a stolen cookie works forever: write one of them")
	c.Must("session_remember", !s.Remember || s.Storage != "cookie",
		"a session in cookies can't be remembered: write session_storage: redis or memory")
	for _, key := range []string{"session_remember_rolling_timeout", absolute} {
		if c.IsSet(key) && !s.Remember {
			c.Warn(key, "sessions aren't remembered: write session_remember: true, or take it out")
		}
	}
}

// checkCookie reports what a storage in cookies can't do.
func (s *Settings) checkCookie(c check.Checker) {
	const single = "session_cookie_single_process"
	switch {
	case s.Storage != "cookie" && s.CookieSingleProcess:
		c.Warn(single, "it isn't used, because session_storage is %s: take it out", s.Storage)
	case s.CookieSingleProcess:
		c.Warn(single, "a second process would use refresh tokens that this one has used, and the issuer may end the login: "+
			"for several processes take it out, or write session_storage: redis")
	}
	if s.Storage == "cookie" && len(s.Secret) == 0 {
		c.Warn("session_storage", "without session_secret each process generates one, "+
			"so sessions in cookies can't be read after a restart or by another replica: write session_secret (openssl rand -base64 32)")
	}
}
