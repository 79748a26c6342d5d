package config

import (
	"fmt"

	"sallyport/internal/redis"
)

func (r *Route) checkSession() {
	b, s, cookies := r.block, &r.OIDC.Flow.Session, &r.OIDC.Flow.SessionSettings
	for i, secret := range s.Secret {
		b.must(fmt.Sprintf("session_secret[%d]", i), len(secret) >= 32 || secret == "",
			"it has %d bytes and needs 32 or more: write the output of openssl rand -base64 32", len(secret))
	}
	b.one("session_cookie_name", cookies.SessionCookieName, checkCookieName)
	b.one("session_cookie_path", cookies.SessionCookiePath, checkCookiePath)
	b.one("session_cookie_domain", cookies.SessionCookieDomain, r.checkDomain)
	b.must("session_cookie_name", cookies.SessionCookieName == "" || cookies.SessionCookieName != r.OIDC.Flow.AuthorizationCookieName,
		"the login cookie has this name, too: choose another one")
	b.sameSite("session_cookie", cookies.SessionCookieSameSite, cookies.SessionCookieSecure)
	if cookies.SessionCookieSameSite == "Strict" {
		b.warn("session_cookie_same_site", "with Strict a browser that comes by a link, or from the provider after a login, comes without its session: Lax is safe, too")
	}
	if !cookies.SessionCookieHTTPOnly {
		b.warn("session_cookie_http_only", "scripts of the page can read the session cookie")
	}
	r.checkRedis()
	r.checkCluster()
}

func (r *Route) checkRedis() {
	b, s := r.block, &r.OIDC.Flow.Session
	b.redis("redis", &s.Redis)
	if b.has("redis") && s.Storage == "memory" {
		b.warn("redis", "it isn't used, because session_storage is memory: write session_storage: redis")
	}
}

// redis judges how a Redis server is reached.
func (b *block) redis(key string, s *redis.Settings) {
	host, socket := key+".host", key+".socket"
	b.must(host, !b.has(host) || !b.has(socket), "%s is written, too: keep one of them", socket)
	if err := redis.CheckHost(s.Host); err != nil {
		b.complain(host, "%v", err)
	}
	b.one(socket, s.Socket, redis.CheckSocket)
	b.one(key+".server_name", s.ServerName, checkServerName)
	b.pem(key+".ca_file", s.CAFile)
	if s.SSL && !s.SSLVerify {
		b.warn(key+".ssl_verify", "the certificate of Redis isn't verified: anybody on the way can be Redis")
	}
}

// checkCluster judges the cache that replicas share.
func (r *Route) checkCluster() {
	b, s := r.block, &r.OIDC.Flow.Cluster
	if s.ClusterCacheStrategy == "off" {
		return
	}
	b.must("cluster_cache_strategy", len(r.OIDC.Flow.Session.Secret) > 0, "what is shared is sealed with session_secret, which every replica must have: add it")
	b.redis("cluster_cache_redis", &s.ClusterCacheRedis)
}

func (r *Route) checkErrors() {
	b, e := r.block, &r.OIDC.Errors
	b.each("unauthorized_redirect_uri", e.UnauthorizedRedirectURI, checkTarget)
	b.each("forbidden_redirect_uri", e.ForbiddenRedirectURI, checkTarget)
	b.each("unexpected_redirect_uri", e.UnexpectedRedirectURI, checkTarget)
	if e.DisplayErrors {
		b.warn("display_errors", "inner detail is shown to clients: for debugging only")
	}
}
