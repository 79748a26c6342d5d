package app

import (
	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/authserver"
	"sallyport/internal/config"
	"sallyport/internal/redis"
)

// oauth2 makes the built-in authorization server, if there is one. What it holds in memory outlives a reload.
func (b *builder) oauth2(file *config.File) error {
	s := file.OAuth2
	if s == nil {
		return nil
	}
	c := authserver.Config{Settings: *s, Before: b.kept.oauth2, Now: b.now, Log: b.log}
	if s.Storage == "redis" {
		b.needsRedis(s.Redis)
		key := struct {
			Settings redis.Settings
			CA, For  string
		}{s.Redis, fileDigest(s.Redis.CAFile), "oauth2"}
		client, k, err := b.kept.redises.get(key, func() (*goredis.Client, error) { return s.Redis.New(b.log) })
		b.used[k] = true
		if err != nil {
			return err
		}
		c.Client = client
	}
	var err error
	b.issued, err = authserver.New(c)
	return err
}
