package app

import (
	"slices"

	"sallyport/internal/authserver"
	"sallyport/internal/config"
)

// makeAuthServer makes the built-in authorization server, if the configuration has one. Tokens in memory are taken over from the running
// configuration's.
func (b *builder) makeAuthServer(file *config.File) error {
	s := file.OAuth2
	if s == nil {
		return nil
	}
	c := authserver.Config{Settings: *s, Before: b.state.authServer, Now: b.now, Log: b.log, Audit: b.state.audit}
	c.Fetching.Loopback = slices.ContainsFunc(file.Routes, func(r config.Route) bool { return r.OIDC.Flow.MCP.Loopback })
	var err error
	if s.Storage == "redis" {
		if c.Client, err = b.redisClient(s.Redis, "oauth2"); err != nil {
			return err
		}
	}
	b.authServer, err = authserver.New(c)
	return err
}
