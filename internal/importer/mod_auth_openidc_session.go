package importer

import (
	"slices"
	"strconv"
	"strings"
)

// setSessions sets the session: its times, its cookie and its store.
func (h *apacheHost) setSessions() {
	if logins, _ := h.kinds(); !logins {
		return
	}
	session := h.oidc.Mapping("session")
	h.setStore(session)
	session.Set("secret", h.AddVariable(Variable{Name: "SESSION_SECRET", Sample: secretSample}))
	if len(h.Variables) > 0 && h.text("OIDCCryptoPassphrase") != "" {
		h.differs("OIDCCryptoPassphrase", "the session needs a new secret of 32 bytes: set the environment variable SESSION_SECRET to "+
			"the output of: "+
			"openssl rand -base64 32. Users log in once more")
	}
	session.Set("idling_timeout", h.seconds("OIDCSessionInactivityTimeout", 300)).Set("rolling_timeout", 0)
	limit := h.seconds("OIDCSessionMaxDuration", 28800)
	if limit == 0 {
		h.differs("OIDCSessionMaxDuration", "a session doesn't end with the ID token: it ends after 8 hours")
		limit = 28800
	}
	session.Set("absolute_timeout", limit)
	h.setSameSite()
	if prefix := strings.TrimRight(h.text("OIDCStateCookiePrefix"), "_"); prefix != "" {
		h.oidc.Set("authorization_cookie_name", prefix)
	}
}

// seconds returns the number of a directive, or its default.
func (h *apacheHost) seconds(name string, byDefault int) int {
	if n, err := strconv.Atoi(h.text(name)); err == nil && n >= 0 {
		return n
	}
	return byDefault
}

// setSameSite sets SameSite of the cookies: the session's is the first, the login's the second argument.
func (h *apacheHost) setSameSite() {
	words := h.words("OIDCCookieSameSite")
	for i, key := range []string{"session_cookie_same_site", "authorization_cookie_same_site"} {
		if i >= len(words) {
			return
		}
		site := map[string]string{"on": "Lax", "lax": "Lax", "strict": "Strict", "off": "None", "none": "None"}[strings.ToLower(words[i])]
		if site != "" {
			h.oidc.Set(key, site)
		}
	}
}

// setStore sets where sessions are.
func (h *apacheHost) setStore(session *Mapping) {
	kind, _, _ := strings.Cut(h.text("OIDCSessionType"), ":")
	cache := strings.ToLower(h.text("OIDCCacheType"))
	switch {
	case kind == "client-cookie":
		h.differs("OIDCSessionType", "sessions are in memory, where a restart ends them, and not in cookies: with several replicas write "+
			"session: {storage: redis} and redis: {host: ...}, or storage: cookie")
	case cache == "redis":
		session.Set("storage", "redis")
		h.setRedis()
	case cache == "memcache", cache == "file":
		h.differs("OIDCCacheType", "sessions are in memory, where a restart ends them: with several replicas write session: {storage: redis}")
	}
	if strings.HasSuffix(h.text("OIDCSessionType"), ":persistent") {
		h.differs("OIDCSessionType", "the cookie ends with the browser; session_remember: true keeps a login longer")
	}
}

// setRedis sets the connection to Redis.
func (h *apacheHost) setRedis() {
	redis := h.oidc.Mapping("redis")
	host, port, _ := strings.Cut(h.text("OIDCRedisCacheServer"), ":")
	redis.Set("host", host)
	if n, err := strconv.Atoi(port); err == nil {
		redis.Set("port", n)
	}
	if n := h.seconds("OIDCRedisCacheDatabase", 0); n > 0 {
		redis.Set("database", n)
	}
	if name := h.text("OIDCRedisCacheUsername"); name != "" {
		redis.Set("username", name)
	}
	if h.text("OIDCRedisCachePassword") != "" {
		redis.Set("password", h.AddVariable(Variable{Name: "REDIS_PASSWORD", Sample: "redis-password"}))
		h.differs("OIDCRedisCachePassword", "the value isn't written into the configuration: set the environment variable REDIS_PASSWORD to it")
	}
	for _, timeout := range []struct{ directive, key string }{
		{"OIDCRedisCacheConnectTimeout", "connect_timeout"}, {"OIDCRedisCacheTimeout", "read_timeout"},
	} {
		if n := h.seconds(timeout.directive, 0); n > 0 && n < 600 {
			redis.Set(timeout.key, n*1000)
		}
	}
}

// claimsByScope are the claims that a scope of OpenID Connect brings, as far as services use them.
var claimsByScope = map[string][]string{
	"openid":  {"sub", "iss"},
	"profile": {"name", "preferred_username", "given_name", "family_name"},
	"email":   {"email", "email_verified"},
	"groups":  {"groups"},
	"roles":   {"roles"},
}

// setClaimHeaders sets the headers with claims and tokens that the upstream receives.
func (h *apacheHost) setClaimHeaders() {
	way := strings.ToLower(h.text("OIDCPassClaimsAs"))
	if way == "none" || way == "environment" {
		h.oidc.Set("upstream_access_token_header", nil)
		return
	}
	if encoding := h.words("OIDCPassClaimsAs"); len(encoding) > 1 && encoding[1] == "base64url" {
		h.differs("OIDCPassClaimsAs", "a text is sent as UTF-8, not as base64url")
	}
	prefix := "OIDC_CLAIM_"
	if h.settings["oidcclaimprefix"] != nil {
		prefix = h.text("OIDCClaimPrefix")
	}
	headers := h.authenticatedHeader()
	for _, name := range h.passedClaims() {
		if celName.MatchString(name) {
			headers = append(headers, NewMapping().Set("header", headerName(prefix+name)).Set("path", []string{name}))
		}
	}
	headers = append(headers, h.requestHeaders(prefix)...)
	if len(headers) > 0 {
		h.oidc.Set("upstream_headers", withoutRepeated(headers))
		h.Notef(h.node.place, "upstream_headers lists the claims that the upstream receives as %sNAME: add those that it needs "+
			"besides. Headers have - "+
			"in place of _, which is the same for CGI, and a list is sent as base64 of JSON", headerName(prefix))
	}
	h.setTokenHeaders()
}

// headerName returns a name with - in place of _, as the gate sends it.
func headerName(name string) string { return strings.ReplaceAll(name, "_", "-") }

// withoutRepeated returns headers without those whose name occurs before: -, _ and case make no difference.
func withoutRepeated(headers []*Mapping) (all []*Mapping) {
	seen := map[string]bool{}
	for _, header := range headers {
		name, _ := header.Value("header").(string)
		name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if !seen[name] {
			seen[name] = true
			all = append(all, header)
		}
	}
	return all
}

// passedClaims returns the names of claims that are sent: those of the scopes and of Require, less the filtered ones.
func (h *apacheHost) passedClaims() (all []string) {
	scopes := strings.Fields(strings.Join(h.words("OIDCScope"), " "))
	if len(scopes) == 0 {
		scopes = []string{"openid"}
	}
	names := h.words("OIDCWhiteListedClaims")
	if len(names) == 0 {
		for _, scope := range scopes {
			names = append(names, claimsByScope[scope]...)
		}
		names = append(names, h.claims...)
	}
	for _, name := range names {
		if !h.isHidden(name) && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// isHidden reports whether a claim is filtered out before it is judged and sent.
func (h *apacheHost) isHidden(claim string) bool {
	white := h.words("OIDCWhiteListedClaims")
	return slices.Contains(h.words("OIDCBlackListedClaims"), claim) || len(white) > 0 && !slices.Contains(white, claim)
}

// authenticatedHeader returns the header of OIDCAuthNHeader, which has the user's name.
func (h *apacheHost) authenticatedHeader() []*Mapping {
	name := h.text("OIDCAuthNHeader")
	if name == "" {
		return nil
	}
	path, suffix, named := h.remoteUser()
	if suffix || !named {
		h.differs("OIDCAuthNHeader", "it has the claim %s as it is, without what OIDCRemoteUserClaim makes of it", strings.Join(path, "."))
	}
	return []*Mapping{NewMapping().Set("header", headerName(name)).Set("path", path)}
}

// remoteUser returns the claim with the user's name, whether the issuer is added to it, and whether no pattern changes it.
func (h *apacheHost) remoteUser() (path []string, suffix, named bool) {
	directive := "OIDCRemoteUserClaim"
	if logins, tokens := h.kinds(); tokens && !logins {
		directive = "OIDCOAuthRemoteUserClaim"
	}
	words := h.words(directive)
	if len(words) == 0 {
		words = []string{"sub@"}
		if directive == "OIDCOAuthRemoteUserClaim" {
			words = []string{"sub"}
		}
	}
	name, suffix := strings.CutSuffix(words[0], "@")
	return strings.Split(name, "."), suffix, len(words) == 1
}

// requestHeaders returns the headers that RequestHeader makes of claims: RequestHeader set X-User %{OIDC_CLAIM_sub}e.
func (h *apacheHost) requestHeaders(prefix string) (all []*Mapping) {
	for _, n := range h.headers {
		if action := strings.ToLower(n.arg(0)); action == "unset" {
			h.Notef(n.place, "RequestHeader unset %s: a client's own header of a name that the gate sets is removed, and others aren't", n.arg(1))
			continue
		}
		variable := strings.NewReplacer("%{", "", "}e", "", "expr=", "", "reqenv('", "", "')", "", "}", "").Replace(n.arg(2))
		claim, ok := strings.CutPrefix(variable, prefix)
		switch {
		case ok && celName.MatchString(claim) && prefix != "":
			all = append(all, NewMapping().Set("header", headerName(n.arg(1))).Set("path", []string{claim}))
		case variable == "REMOTE_USER":
			path, _, _ := h.remoteUser()
			all = append(all, NewMapping().Set("header", headerName(n.arg(1))).Set("path", path))
		default:
			h.Notef(n.place, "RequestHeader %s: only claims are sent to the upstream", n.arg(1))
		}
	}
	return all
}

// setTokenHeaders sets the headers with tokens.
func (h *apacheHost) setTokenHeaders() {
	if h.on("OIDCPassAccessToken", true) {
		h.oidc.Set("upstream_access_token_header", "OIDC-access-token")
	} else {
		h.oidc.Set("upstream_access_token_header", nil)
	}
	if slices.Contains(h.words("OIDCPassIDTokenAs"), "serialized") {
		h.oidc.Set("upstream_id_token_header", "OIDC-id-token")
	}
	if slices.Contains(h.words("OIDCPassIDTokenAs"), "payload") {
		h.differs("OIDCPassIDTokenAs", "the payload isn't sent: OIDCPassIDTokenAs serialized, upstream_id_token_header here, sends the "+
			"whole token")
	}
	if h.on("OIDCPassRefreshToken", false) {
		h.oidc.Set("upstream_refresh_token_header", "OIDC-refresh-token")
	}
	for _, w := range h.words("OIDCPassUserInfoAs") {
		kind, name, _ := strings.Cut(w, ":")
		switch {
		case kind == "claims":
		case kind == "json":
			if name == "" {
				name = "OIDC-userinfo-json"
			}
			h.oidc.Set("upstream_user_info_header", headerName(name))
			h.differs("OIDCPassUserInfoAs", "the userinfo response is sent as base64 of its JSON")
		default:
			h.differs("OIDCPassUserInfoAs", "%s isn't sent; upstream_assertion_header sends a JWT that the gate signs", kind)
		}
	}
}
