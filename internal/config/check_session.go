package config

import (
	"errors"
	"fmt"
	"strings"

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

func (r *Route) checkHeaders() {
	b, h := r.block, &r.OIDC.Headers
	if t := h.UpstreamAccessTokenHeader; t != nil {
		b.one("upstream_access_token_header", *t, checkTokenHeader)
	}
	if t := h.DownstreamAccessTokenHeader; t != "" {
		b.one("downstream_access_token_header", t, checkTokenHeader)
	}
	for key, name := range map[string]string{
		"upstream_access_token_jwk_header": h.UpstreamAccessTokenJWKHeader, "upstream_id_token_header": h.UpstreamIDTokenHeader,
		"upstream_id_token_jwk_header": h.UpstreamIDTokenJWKHeader, "upstream_refresh_token_header": h.UpstreamRefreshTokenHeader,
		"upstream_user_info_header": h.UpstreamUserInfoHeader, "upstream_user_info_jwt_header": h.UpstreamUserInfoJWTHeader,
		"upstream_introspection_header": h.UpstreamIntrospectionHeader, "upstream_introspection_jwt_header": h.UpstreamIntrospectionJWTHeader,
	} {
		b.one(key, name, checkClaimHeader)
	}
	for key, name := range map[string]string{
		"downstream_access_token_jwk_header": h.DownstreamAccessTokenJWKHeader, "downstream_id_token_header": h.DownstreamIDTokenHeader,
		"downstream_id_token_jwk_header": h.DownstreamIDTokenJWKHeader, "downstream_refresh_token_header": h.DownstreamRefreshTokenHeader,
		"downstream_user_info_header": h.DownstreamUserInfoHeader, "downstream_user_info_jwt_header": h.DownstreamUserInfoJWTHeader,
		"downstream_introspection_header": h.DownstreamIntrospectionHeader, "downstream_introspection_jwt_header": h.DownstreamIntrospectionJWTHeader,
	} {
		b.one(key, name, checkResponseHeader)
	}
	if h.UpstreamRefreshTokenHeader != "" {
		b.warn("upstream_refresh_token_header", "whoever reads the upstream's requests can get tokens for as long as the refresh token lives")
	}
	for i, m := range h.UpstreamHeaders {
		b.one(fmt.Sprintf("upstream_headers[%d].header", i), m.Header, checkClaimHeader)
	}
	b.aligned("upstream_headers_names", len(h.UpstreamHeadersNames), "upstream_headers_claims", len(h.UpstreamHeadersClaims))
	b.each("upstream_headers_names", h.UpstreamHeadersNames, checkClaimHeader)
	b.each("upstream_headers_claims", h.UpstreamHeadersClaims, notEmpty)
	for i, m := range h.DownstreamHeaders {
		b.one(fmt.Sprintf("downstream_headers[%d].header", i), m.Header, checkResponseHeader)
	}
	b.aligned("downstream_headers_names", len(h.DownstreamHeadersNames), "downstream_headers_claims", len(h.DownstreamHeadersClaims))
	b.each("downstream_headers_names", h.DownstreamHeadersNames, checkResponseHeader)
	b.each("downstream_headers_claims", h.DownstreamHeadersClaims, notEmpty)
}

// checkTokenHeader reads name or name:scheme.
func checkTokenHeader(text string) error {
	name, scheme, found := strings.Cut(text, ":")
	if err := checkHeader(name); err != nil {
		return err
	}
	if found && !token.MatchString(scheme) {
		return errors.New("expected a header or header:scheme, such as authorization:bearer")
	}
	return nil
}

func checkClaimHeader(name string) error {
	if strings.EqualFold(name, "authorization") {
		return errors.New("Authorization carries the access token: see upstream_access_token_header, and choose another header")
	}
	return checkHeader(name)
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
