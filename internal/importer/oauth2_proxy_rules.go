package importer

import (
	"cmp"
	"slices"
	"strings"

	"sallyport/internal/strict"
)

// An o2pOpen is a path that needs no login.
type o2pOpen struct {
	path   string
	method string
	allow  string // the expression for those of the requests below the path that are open; "" is all of them
}

// openPaths returns the paths that need no login: those of skip_auth_routes and skip_auth_regex that a rule opens exactly or in part. It
// never opens more.
func (d *o2pDeployment) openPaths() (all []o2pOpen) {
	for _, w := range d.words("skip_auth_routes") {
		method, pattern, ok := d.skipRoute(w)
		if ok {
			all = d.addOpen(all, w.place, method, pattern)
		}
	}
	for _, w := range d.words("skip_auth_regex") {
		all = d.addOpen(all, w.place, "", w.text)
	}
	slices.SortStableFunc(all, func(a, b o2pOpen) int { return cmp.Compare(len(b.path), len(a.path)) })
	return all
}

// skipRoute splits METHOD=REGEX. It reports false for a negated route.
func (d *o2pDeployment) skipRoute(w word) (method, pattern string, ok bool) {
	text := w.text
	if strings.Contains(text, "!=") {
		d.Notef(w.place, "%q opens all but some paths: they stay closed; open the paths that you want with rules: [{paths: [...], "+
			"auth: off}]", text)
		return "", "", false
	}
	method, pattern, found := strings.Cut(text, "=")
	if !found {
		return "", text, true
	}
	method = strings.ToUpper(method)
	if method != "" && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		d.Notef(w.place, "%q: %q isn't a method, and the path stays closed", text, method)
		return "", "", false
	}
	return method, pattern, true
}

// addOpen adds what a regular expression opens.
func (d *o2pDeployment) addOpen(all []o2pOpen, place strict.Mark, method, text string) []o2pOpen {
	open, differ := openPattern(text)
	if differ != "" {
		d.Notef(place, "%q: %s", text, differ)
	}
	if open.path == "" {
		return all
	}
	open.method = method
	return append(all, open)
}

// openPattern returns what a rule opens for a regular expression, and what differs. Without a path nothing is opened.
func openPattern(text string) (open o2pOpen, differ string) {
	p, err := readPattern(text)
	path, below := strings.CutSuffix(p.prefix, "/")
	switch {
	case err != nil:
		return open, "it isn't a regular expression, and stays closed"
	case p.kind == otherPattern || p.prefix == "":
		return open, "it is more than a prefix, and stays closed: write rules: [{paths: [...], auth: off}] for the paths that are " +
			"meant to be open"
	case p.kind == textPattern && p.prefix == "/":
		return o2pOpen{path: "/"}, "every path is open"
	case !plainPath(path):
		return open, "a rule can't have such a path, and it stays closed"
	case p.kind == segmentPattern:
		return o2pOpen{path: path}, ""
	case p.kind == textPattern && !below:
		return o2pOpen{path: path}, "only " + path + " and the paths below it are open; " + path + "x, which it also matches, is closed"
	case p.kind == textPattern:
		return o2pOpen{path: path, allow: "request.path.startsWith(" + celText(p.prefix) + ")"}, ""
	case below:
		return open, "a single path that ends with a slash stays closed"
	}
	return o2pOpen{path: path, allow: "request.path == " + celText(path)},
		"below it a request without a login gets 403, not a redirect to the login"
}

// rules returns the rules of a route: what is open, paths of programs, and what everybody needs.
func (d *o2pDeployment) rules(t o2pTarget, all []o2pTarget, skips []o2pOpen) []*Mapping {
	var rules []*Mapping
	access := d.access
	if t.exact {
		access = celAnd("request.path == "+celText(t.prefix), access)
	}
	for _, skip := range skips {
		if path, ok := intersection(skip.path, t.prefix, all); ok && !covered(skip, skips) {
			rules = append(rules, d.openRule(skip, path, t, access))
		}
	}
	rules = append(rules, d.programRules(t, all, access)...)
	return append(rules, allowing(NewMapping(), access))
}

// openRule returns the rule of an open path.
func (d *o2pDeployment) openRule(skip o2pOpen, path string, t o2pTarget, access string) *Mapping {
	rule := NewMapping()
	if path != t.prefix {
		rule.Set("paths", []string{path})
	}
	if skip.method != "" {
		rule.Set("methods", []string{skip.method})
	}
	open := skip.allow
	if t.exact {
		open = celAnd("request.path == "+celText(t.prefix), open)
	}
	if open == "" || open == "true" {
		return rule.Set("auth", "off")
	}
	return rule.Set("auth", "optional").Set("allow", celOr(open, access))
}

// covered reports whether a shorter open path covers an open path.
func covered(skip o2pOpen, skips []o2pOpen) bool {
	return slices.ContainsFunc(skips, func(o o2pOpen) bool {
		return o != skip && o.allow == "" && (o.method == "" || o.method == skip.method) && within(skip.path, o.path)
	})
}

// intersection returns the path of a rule within a route. It reports false if no request of the route has the path.
func intersection(path, route string, all []o2pTarget) (string, bool) {
	if within(route, path) {
		return route, true
	}
	if !within(path, route) {
		return "", false
	}
	return path, !slices.ContainsFunc(all, func(o o2pTarget) bool { return len(o.prefix) > len(route) && within(path, o.prefix) })
}

// programRules returns the rules of api_routes: requests there get 401 and no redirect to a login.
func (d *o2pDeployment) programRules(t o2pTarget, all []o2pTarget, access string) (rules []*Mapping) {
	for _, w := range d.words("api_routes") {
		p, err := readPattern(w.text)
		path := strings.TrimSuffix(p.prefix, "/")
		if err != nil || p.kind == otherPattern || !plainPath(path) {
			d.Notef(w.place, "%q is more than a prefix: a program gets 401 there as everywhere, and a browser begins a login", w.text)
			continue
		}
		if path, ok := intersection(path, t.prefix, all); ok {
			rules = append(rules, allowing(NewMapping().Set("paths", []string{path}).Set("on_unauthenticated", "401"), access))
		}
	}
	return rules
}

// allowing returns a rule with an expression.
func allowing(rule *Mapping, access string) *Mapping {
	if access != "" && access != "true" {
		rule.Set("allow", access)
	}
	if rule.Len() == 0 {
		rule.Set("auth", "required")
	}
	return rule
}

// setForwardAuth makes the configuration for a proxy that asks about each request, with the paths of oauth2-proxy.
func (d *o2pDeployment) setForwardAuth() {
	d.setQuestions()
	d.setHeaders("upstream", d.questionHeaders())
	d.noteClosed()
	route := NewMapping()
	host, origin := "app.example.com", "https://app.example.com"
	if public := d.publicOrigin(); public != nil {
		host, origin = public.Hostname(), public.Scheme+"://"+public.Host
	} else {
		d.Notef(d.place("redirect_url", "proxy_prefix", "upstreams", "client_id"), "the host isn't known: write hosts and public_url "+
			"of the route")
	}
	route.Set("hosts", []string{host}).Set("public_url", origin)
	d.Notef(d.place("redirect_url", "upstreams", "client_id"), "the gate answers for the hosts of its routes: add a route with "+
		"hosts and public_url for each host that asks")
	d.AddRoute(host, NewMapping().Set("route", route).Set("rules", []*Mapping{allowing(NewMapping(), d.access)}))
}

// setQuestions makes the listener one for questions.
func (d *o2pDeployment) setQuestions() {
	address := d.address("http_address", "127.0.0.1:4180")
	d.Process.Set("listen", []*Mapping{NewMapping().Set("address", address).Set("forward_auth", "oauth2_proxy")})
	if !d.Process.Has("trusted_proxies") {
		d.Process.Set("trusted_proxies", []string{"127.0.0.1"})
		d.Notef(d.place("reverse_proxy", "http_address", "client_id"), "only trusted_proxies may ask: write the address of your proxy there")
	}
	d.unused("tls_cert_file", "the listener for questions has no TLS here: write listen: [{address: ..., tls: {...}, forward_auth: "+
		"oauth2_proxy}]")
	if prefix := strings.TrimSuffix(d.text("proxy_prefix"), "/"); prefix != "" && prefix != "/oauth2" {
		d.note("proxy_prefix", "the gate answers at /oauth2/..., not at %s/...: change the proxy's configuration", prefix)
	}
	if d.given("whitelist_domains") {
		d.note("whitelist_domains", "rd leads to the public_url of a route only")
	}
}

// questionHeaders returns the headers of the answer to a question: X-Auth-Request-* alone.
func (d *o2pDeployment) questionHeaders() (all []o2pHeader) {
	if !d.oidc.Has("upstream_access_token_header") {
		d.oidc.Set("upstream_access_token_header", nil)
	}
	for _, h := range d.responseHeaders {
		if !strings.HasPrefix(strings.ToLower(h.name), "x-auth-request-") {
			d.Notef(h.place, "%s isn't in the answer to a question, where a client could read it: only X-Auth-Request-* is", h.name)
			continue
		}
		all = append(all, h)
	}
	return all
}

// noteClosed notes the paths that stay closed, because questions don't reliably have one.
func (d *o2pDeployment) noteClosed() {
	for _, option := range []string{"skip_auth_routes", "skip_auth_regex", "api_routes"} {
		d.unused(option, "a question of the proxy doesn't reliably have a path, so these are treated as all other paths: leave "+
			"auth_request out there")
	}
	d.get("pass_host_header")
	d.get("upstreams")
}

// noteRest notes each option that has no effect, and each one that isn't known.
func (d *o2pDeployment) noteRest() {
	for _, name := range sortedKeys(d.settings) {
		s, option := d.settings[name], o2pNames[name]
		switch {
		case option.differ != "" && !s.used && !s.isDefault():
			d.Notef(s.place, "%s: %s", name, option.differ)
		case !s.used && option.differ == "" && !o2pSilent[name] && !s.isDefault():
			d.Notef(s.place, "%s isn't imported", name)
		}
	}
	for _, name := range sortedKeys(d.unknown) {
		d.Notef(d.unknown[name], "%s isn't an option of oauth2-proxy that is known here: it is left out", name)
	}
}

// isDefault reports whether a switch is off, or a text empty.
func (s *o2pSetting) isDefault() bool {
	return s.variable == "" && (len(s.values) == 0 || len(s.values) == 1 && (s.values[0].text == "" || s.values[0].text == "false"))
}

// o2pSilent are options whose effect the gate has always, or that others replace.
var o2pSilent = map[string]bool{"skip_provider_button": true, "proxy_prefix": true, "display_htpasswd_form": true, "pass_host_header": true,
	"proxy_websockets": true, "upstream_timeout": true, "google_groups": true, "whitelist_domains": true, "insecure_oidc_skip_nonce": true,
	"code_challenge_method": true, "force_code_challenge_method": true}
