package importer

import (
	"net/url"
	"regexp"
	"strings"
)

// legacyUpstreams reads the option upstreams: the path of a URL is the path of the requests.
func (d *o2pDeployment) legacyUpstreams() {
	for _, w := range d.words("upstreams") {
		text := w.text
		u, err := url.Parse(text)
		if err != nil {
			d.Notef(w.place, "an upstream isn't a URL, and is left out")
			continue
		}
		up := o2pUpstream{path: u.Path, uri: text, place: w.place, timeout: d.text("upstream_timeout"),
			insecure: d.on("ssl_upstream_insecure_skip_verify", false), ownHost: !d.on("pass_host_header", true),
			noKeepAlive: d.on("disable_keep_alives", false)}
		switch u.Scheme {
		case "static":
			up.static, up.staticCode, up.path = true, u.Host, "/"
		case "unix":
			up.path = "/"
		case "file":
			if u.Fragment != "" {
				up.path = u.Fragment
			}
		}
		if up.path == "" {
			up.path = "/"
		}
		d.upstreams = append(d.upstreams, up)
	}
	d.unused("ssl_upstream_insecure_skip_verify", "certificates of upstreams are verified: write upstream: {url: ..., ca_file: ...} "+
		"with their authority")
	if !d.on("proxy_websockets", true) {
		d.note("proxy_websockets", "WebSockets are forwarded, to users who may pass")
	}
}

// setRoutes makes a route for each upstream.
func (d *o2pDeployment) setRoutes() {
	d.setHeaders("upstream", d.requestHeaders)
	d.setHeaders("downstream", d.responseHeaders)
	if !d.oidc.Has("upstream_access_token_header") {
		d.oidc.Set("upstream_access_token_header", nil)
	}
	for _, option := range []string{"reverse_proxy", "real_client_ip_header", "whitelist_domains"} {
		d.get(option)
	}
	var targets []o2pTarget
	for _, u := range d.upstreams {
		if t, ok := d.target(u); ok {
			targets = append(targets, t)
		}
	}
	skips := d.openPaths()
	for _, t := range targets {
		d.addRoute(t, targets, skips)
	}
}

// An o2pTarget is an upstream as a route has it.
type o2pTarget struct {
	o2pUpstream
	prefix  string // the path of the route
	exact   bool   // only this path
	strip   bool
	address any
}

// target reads an upstream. It reports false if no route can stand for it.
func (d *o2pDeployment) target(u o2pUpstream) (o2pTarget, bool) {
	t := o2pTarget{o2pUpstream: u, prefix: strings.TrimSuffix(u.path, "/"), exact: !strings.HasSuffix(u.path, "/")}
	if u.static {
		d.Notef(u.place, "an upstream with a fixed response (static) is left out: its path leads to the upstream above it, or is 404")
		return t, false
	}
	added := ""
	if u.rewrite != "" {
		var ok bool
		if t.prefix, added, ok = rewriting(u.path, u.rewrite); !ok {
			d.Notef(u.place, "the rewriting of %q to %q can't be a prefix that is replaced, so the upstream is left out, and its path is 404 "+
				"or leads to another upstream", u.path, u.rewrite)
			return t, false
		}
		t.strip, t.exact = true, false
	}
	if t.prefix == "" {
		t.prefix, t.exact = "/", false
	}
	if !plainPath(t.prefix) {
		d.Notef(u.place, "the path %q isn't one that a route can have, so the upstream is left out", t.prefix)
		return t, false
	}
	if t.exact {
		d.Notef(u.place, "only the path %s leads to this upstream, as before: a / at its end would mean everything below it", t.prefix)
	}
	t.address = d.targetAddress(u, added)
	return t, t.address != nil
}

var rewrittenPath = regexp.MustCompile(`^\^?(/[^()]*)\(\.\*\)\$?$`)

// rewriting returns the prefix that is removed and the one that is added, for ^/a/(.*)$ and /b/$1.
func rewriting(path, target string) (removed, added string, ok bool) {
	m := rewrittenPath.FindStringSubmatch(path)
	target, found := strings.CutSuffix(target, "$1")
	if m == nil || !found || strings.Contains(target, "$") || !strings.HasSuffix(m[1], "/") || !strings.HasSuffix(target, "/") {
		return "", "", false
	}
	removed, added = strings.TrimSuffix(m[1], "/"), strings.TrimSuffix(target, "/")
	if removed != "" && (!plainPath(removed) || strings.ContainsAny(removed, ".+")) {
		return "", "", false
	}
	return removed, added, added == "" || plainPath(added)
}

// targetAddress returns the upstream of a route, with a path that is added.
func (d *o2pDeployment) targetAddress(u o2pUpstream, added string) any {
	switch at, err := url.Parse(u.uri); {
	case err != nil:
		d.Notef(u.place, "the address of the upstream isn't a URL, and it is left out")
		return nil
	case at.Scheme == "file":
		d.Notef(u.place, "the gate serves no files: let a web server serve %s, here at http://127.0.0.1:8080", at.Path)
		return d.upstreamSettings(u, "http://127.0.0.1:8080")
	case at.Scheme == "unix":
		return d.upstreamSettings(u, "unix:"+at.Path)
	case parseHTTP(u.uri) == nil:
		d.Notef(u.place, "the address of the upstream isn't one of http or https, and it is left out")
		return nil
	default:
		if at.User != nil {
			d.Notef(u.place, "the gate sends no user and password of a URL to the upstream: they are left out")
		}
		return d.upstreamSettings(u, at.Scheme+"://"+at.Host+added)
	}
}

// upstreamSettings returns an address alone, or with the settings of the upstream.
func (d *o2pDeployment) upstreamSettings(u o2pUpstream, address string) any {
	settings := NewMapping().Set("url", address)
	if u.insecure && strings.HasPrefix(address, "https:") {
		d.Notef(u.place, "the certificate of %s is verified: write ca_file with its authority", address)
	}
	if u.noKeepAlive {
		settings.Set("reuse", false)
	}
	if u.timeout != "" {
		settings.Set("response_header_timeout", u.timeout)
	}
	if settings.Len() == 1 {
		return address
	}
	return settings
}

// addRoute adds the route of a target.
func (d *o2pDeployment) addRoute(t o2pTarget, all []o2pTarget, skips []o2pOpen) {
	route := NewMapping()
	public := d.publicOrigin()
	if public != nil {
		route.SetFlow("hosts", []string{public.Hostname()})
	}
	if t.prefix != "/" {
		route.Set("paths", []string{t.prefix})
	}
	route.Set("upstream", t.address)
	if t.strip {
		route.Set("strip_path", true)
	}
	if !t.ownHost {
		route.Set("preserve_host", true)
	}
	if public != nil {
		route.Set("public_url", public.Scheme+"://"+public.Host)
	}
	document := NewMapping().Set("route", route)
	if redirect := d.redirectURI(t, all); redirect != "" {
		document.Set("oidc", NewMapping().Set("redirect_uri", redirect))
	}
	document.Set("rules", d.rules(t, all, skips))
	d.AddRoute(routeName(t.prefix), document)
}

// routeName returns the name of the route of a path.
func routeName(path string) string {
	if path == "/" {
		return "root"
	}
	return strings.Trim(path, "/")
}

// redirectURI returns the redirect URI of a route, or "" for the default below its first path. One route keeps the one that is registered.
func (d *o2pDeployment) redirectURI(t o2pTarget, all []o2pTarget) string {
	if owner := callbackOwner(all); owner != t.prefix {
		d.Notef(t.place, "logins that begin below %s end at %s/oauth2/callback: register this redirect URI, too", t.prefix, t.prefix)
		return ""
	}
	d.get("relative_redirect_url")
	if public := d.publicOrigin(); public != nil && len(public.Path) > 1 {
		if public.Path == "/oauth2/callback" && t.prefix == "/" {
			return ""
		}
		return public.Scheme + "://" + public.Host + public.Path
	}
	prefix := strings.TrimSuffix(d.textOr("proxy_prefix", "/oauth2"), "/")
	if prefix == "/oauth2" && t.prefix == "/" {
		return ""
	}
	return prefix + "/callback"
}

// callbackOwner returns the path of the route that has the redirect URI: the shortest one.
func callbackOwner(all []o2pTarget) string {
	owner := all[0].prefix
	for _, t := range all {
		if len(t.prefix) < len(owner) {
			owner = t.prefix
		}
	}
	return owner
}
