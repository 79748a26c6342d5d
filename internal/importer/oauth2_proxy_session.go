package importer

import (
	"net/url"
	"strconv"
	"strings"
)

// setSession sets the session, its cookie and its store.
func (d *o2pDeployment) setSession() {
	session := d.oidc.Mapping("session")
	if d.textOr("session_store_type", "cookie") == "redis" {
		session.Set("storage", "redis")
		d.setRedis()
	} else {
		d.Notef(d.place("session_store_type", "cookie_secret", "client_id"), "sessions are in memory, where a restart ends them, and "+
			"not in cookies: "+
			"with several replicas write session: {storage: redis} and redis: {host: ...}, or storage: cookie")
	}
	session.Set("secret", d.AddVariable(Variable{Name: "SESSION_SECRET", Sample: secretSample}))
	d.Notef(d.place("cookie_secret", "cookie_secret_file", "client_id"), "the session needs a new secret of 32 bytes: "+
		"set the environment variable SESSION_SECRET to the output of: openssl rand -base64 32. Users log in once more")
	d.get("cookie_secret")
	d.get("cookie_secret_file")
	d.setTimeouts(session)
	d.setCookie(session)
}

// secretSample has the form of a session secret. It is used for checks only.
const secretSample = "a sample of 32 bytes and no secret"

// setTimeouts sets the lifetime of sessions. With cookie_refresh each refresh begins it anew.
func (d *o2pDeployment) setTimeouts(session *Mapping) {
	expire := d.textOr("cookie_expire", "168h0m0s")
	if expire == "0" || expire == "0s" {
		d.note("cookie_expire", "the cookie of a session ends with the browser, always; the session ends after 168h")
		expire = "168h"
	}
	session.Set("idling_timeout", 0)
	if d.given("cookie_refresh") && d.text("cookie_refresh") != "0" && d.text("cookie_refresh") != "0s" {
		session.Set("rolling_timeout", expire).Set("absolute_timeout", 0)
	} else {
		session.Set("rolling_timeout", 0).Set("absolute_timeout", expire)
	}
	if d.given("cookie_refresh") {
		d.note("cookie_refresh", "tokens are refreshed shortly before they expire, whatever the age of the session")
	}
}

// setCookie sets the cookie of the session and of the login. What makes them weaker isn't imported.
func (d *o2pDeployment) setCookie(session *Mapping) {
	session.Set("cookie_name", d.textOr("cookie_name", "_oauth2_proxy"))
	if path := d.textOr("cookie_path", "/"); path != "/" {
		session.Set("cookie_path", path)
	}
	d.setCookieDomain(session)
	if site := sameSite(d.text("cookie_samesite")); site != "" {
		session.Set("cookie_same_site", site)
	}
	if site := sameSite(d.text("cookie_csrf_samesite")); site != "" {
		d.oidc.Set("authorization_cookie_same_site", site)
	}
	if expire := d.text("cookie_csrf_expire"); expire != "" {
		d.oidc.Set("authorization_rolling_timeout", expire)
	}
	if !d.on("cookie_secure", true) {
		d.note("cookie_secure", "a cookie is Secure if the request came over https; over plain http logins are refused, except to this machine")
	}
	if !d.on("cookie_httponly", true) {
		d.note("cookie_httponly", "scripts can't read the cookie of a session; session_cookie_http_only: false would let them")
	}
}

// setCookieDomain sets the domain of the session's cookie.
func (d *o2pDeployment) setCookieDomain(session *Mapping) {
	domains := d.list("cookie_domains")
	if len(domains) == 0 {
		return
	}
	session.Set("cookie_domain", strings.TrimPrefix(domains[0], "."))
	if len(domains) > 1 {
		d.note("cookie_domains", "a session has one domain, and this is %s: routes on other hosts need their own session: "+
			"{cookie_domain: ...}", domains[0])
	}
}

// sameSite returns a value of SameSite as the gate writes it.
func sameSite(text string) string {
	return map[string]string{"lax": "Lax", "strict": "Strict", "none": "None"}[strings.ToLower(text)]
}

// setRedis sets the connection to Redis: one server, Sentinels or a Cluster.
func (d *o2pDeployment) setRedis() {
	redis := d.oidc.Mapping("redis")
	urls := d.redisURLs()
	switch {
	case d.on("redis_use_sentinel", false):
		redis.Set("sentinel_master", d.text("redis_sentinel_master_name")).Set("sentinel_nodes", redisNodes(urls, "host"))
	case d.on("redis_use_cluster", false):
		redis.Set("cluster_nodes", redisNodes(urls, "ip"))
	default:
		d.setRedisServer(redis, urls)
	}
	d.setRedisUser(redis, urls)
	if len(urls) > 0 && urls[0].Scheme == "rediss" || d.given("redis_ca_path") {
		redis.Set("ssl", true)
	}
	if file := d.text("redis_ca_path"); file != "" {
		redis.Set("ca_file", file)
	}
	if d.on("redis_insecure_skip_tls_verify", false) {
		d.note("redis_insecure_skip_tls_verify", "the certificate of Redis is verified: write redis: {ca_file: ...} with its authority")
	}
}

// redisURLs returns the URLs of Redis that count.
func (d *o2pDeployment) redisURLs() (all []*url.URL) {
	option := "redis_connection_url"
	switch {
	case d.on("redis_use_sentinel", false):
		option = "redis_sentinel_connection_urls"
	case d.on("redis_use_cluster", false):
		option = "redis_cluster_connection_urls"
	}
	for _, text := range d.list(option) {
		if !strings.Contains(text, "://") {
			text = "redis://" + text
		}
		u, err := url.Parse(text)
		if err != nil {
			d.note(option, "it isn't a URL, and is left out")
			continue
		}
		all = append(all, u)
	}
	return all
}

// setRedisServer sets the address of one server.
func (d *o2pDeployment) setRedisServer(redis *Mapping, urls []*url.URL) {
	if len(urls) == 0 {
		d.Notef(d.place("session_store_type"), "the address of Redis isn't known: write it into redis: {host: ...}")
		redis.Set("host", "127.0.0.1")
		return
	}
	u := urls[0]
	if u.Scheme == "unix" {
		redis.Set("socket", u.Path)
		return
	}
	redis.Set("host", u.Hostname())
	if port, err := strconv.Atoi(u.Port()); err == nil {
		redis.Set("port", port)
	}
	if number, err := strconv.Atoi(strings.TrimPrefix(u.Path, "/")); err == nil {
		redis.Set("database", number)
	}
}

// setRedisUser sets the user and password, also those in a URL.
func (d *o2pDeployment) setRedisUser(redis *Mapping, urls []*url.URL) {
	name, inURL := d.text("redis_username"), false
	if len(urls) > 0 && urls[0].User != nil {
		_, inURL = urls[0].User.Password()
		if name == "" {
			name = urls[0].User.Username()
		}
	}
	if name != "" && name != "default" {
		redis.Set("username", name)
	}
	switch {
	case d.given("redis_password"):
		redis.Set("password", d.secret("redis_password", "REDIS_PASSWORD", "redis-password"))
	case inURL:
		redis.Set("password", d.AddVariable(Variable{Name: "REDIS_PASSWORD", Sample: "redis-password"}))
		d.Notef(d.place("redis_connection_url", "redis_sentinel_connection_urls", "redis_cluster_connection_urls"),
			"the password in the URL of Redis isn't written into the configuration: set the environment variable REDIS_PASSWORD to it")
	}
	if d.given("redis_sentinel_password") {
		redis.Set("sentinel_password", d.secret("redis_sentinel_password", "REDIS_SENTINEL_PASSWORD", "sentinel-password"))
	}
}

// redisNodes returns the nodes of a Sentinel set or a Cluster.
func redisNodes(urls []*url.URL, key string) []*Mapping {
	nodes := []*Mapping{}
	for _, u := range urls {
		node := NewMapping().Set(key, u.Hostname())
		if port, err := strconv.Atoi(u.Port()); err == nil {
			node.Set("port", port)
		}
		nodes = append(nodes, node)
	}
	return nodes
}
