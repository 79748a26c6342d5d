package importer

import "strings"

// legacyHeaders makes the headers of the switches pass_* and set_*, as oauth2-proxy does.
func (d *o2pDeployment) legacyHeaders() {
	user := "user"
	if d.on("prefer_email_to_user", false) {
		user = "email"
	}
	if d.on("pass_basic_auth", true) && d.given("basic_auth_password") {
		d.note("basic_auth_password", "the gate sends no Basic credentials to the upstream: let it read X-Forwarded-User")
	}
	if d.on("pass_basic_auth", true) || d.on("pass_user_headers", true) {
		d.request("X-Forwarded-User", user, "pass_user_headers")
		if user == "user" {
			d.request("X-Forwarded-Email", "email", "pass_user_headers")
		}
		d.request("X-Forwarded-Groups", "groups", "pass_user_headers")
		d.request("X-Forwarded-Preferred-Username", "preferred_username", "pass_user_headers")
	}
	if d.on("pass_access_token", false) {
		d.request("X-Forwarded-Access-Token", "access_token", "pass_access_token")
	}
	if d.on("pass_authorization_header", false) {
		d.requestHeaders = append(d.requestHeaders, o2pHeader{name: "Authorization", claim: "id_token", prefix: "Bearer " +
			"", place: d.place("pass_authorization_header")})
	}
	d.legacyResponseHeaders()
	d.unused("set_basic_auth", "the gate sends no Basic credentials")
	d.get("basic_auth_password")
	if !d.on("skip_auth_strip_headers", true) {
		d.note("skip_auth_strip_headers", "a client's own headers of these names never reach the upstream, also where no login is needed")
	}
}

// legacyResponseHeaders makes the headers of responses.
func (d *o2pDeployment) legacyResponseHeaders() {
	if d.on("set_xauthrequest", false) {
		for _, h := range [][2]string{{"X-Auth-Request-User", "user"}, {"X-Auth-Request-Email", "email"},
			{"X-Auth-Request-Preferred-Username", "preferred_username"}, {"X-Auth-Request-Groups", "groups"}} {
			d.response(h[0], h[1], "set_xauthrequest")
		}
		if d.on("pass_access_token", false) {
			d.response("X-Auth-Request-Access-Token", "access_token", "pass_access_token")
		}
	}
	if d.on("set_authorization_header", false) {
		d.responseHeaders = append(d.responseHeaders, o2pHeader{name: "Authorization", claim: "id_token", prefix: "Bearer " +
			"", place: d.place("set_authorization_header")})
	}
}

func (d *o2pDeployment) request(name, claim, option string) {
	d.requestHeaders = append(d.requestHeaders, o2pHeader{name: name, claim: claim, place: d.place(option, "provider", "client_id")})
}

func (d *o2pDeployment) response(name, claim, option string) {
	d.responseHeaders = append(d.responseHeaders, o2pHeader{name: name, claim: claim, place: d.place(option)})
}

// setHeaders writes headers into the oidc block: direction is upstream or downstream.
func (d *o2pDeployment) setHeaders(direction string, headers []o2pHeader) {
	var claims []*Mapping
	for _, h := range headers {
		switch {
		case h.secret:
			d.Notef(h.place, "%s: a fixed value or a password isn't sent: only claims and tokens are", h.name)
		case d.setToken(direction, h):
		case h.prefix != "":
			d.Notef(h.place, "%s: a claim is sent as it is, without the prefix %q, so it is left out", h.name, h.prefix)
		default:
			claims = append(claims, NewMapping().Set("header", h.name).Set("path", d.claimPath(h.claim)))
			if h.claim == "groups" {
				d.Notef(h.place, "%s: a list is sent as base64 of JSON, not separated by commas", h.name)
			}
		}
	}
	if len(claims) > 0 {
		d.oidc.Set(direction+"_headers", claims)
	}
}

// setToken writes a header with a token, and reports whether it is one.
func (d *o2pDeployment) setToken(direction string, h o2pHeader) bool {
	authorization := strings.EqualFold(h.name, "Authorization")
	switch h.claim {
	case "access_token":
		name := h.name
		if h.prefix == "Bearer " {
			name += ":bearer"
		}
		d.oidc.Set(direction+"_access_token_header", name)
	case "id_token":
		if !authorization && h.prefix == "" {
			d.oidc.Set(direction+"_id_token_header", h.name)
			return true
		}
		d.oidc.Set(direction+"_id_token_header", "X-Id-Token")
		d.Notef(h.place, "the ID token is sent as X-Id-Token: an ID token in Authorization would be taken for an access token")
	case "refresh_token":
		d.oidc.Set(direction+"_refresh_token_header", h.name)
	case "created_at", "expires_on":
		d.Notef(h.place, "%s: %s isn't sent", h.name, h.claim)
	default:
		return false
	}
	return true
}

// claimPath returns the path of a claim of oauth2-proxy's session.
func (d *o2pDeployment) claimPath(claim string) []string {
	switch claim {
	case "user":
		return []string{"sub"}
	case "email":
		return d.emailClaim()
	case "groups":
		return strings.Split(d.textOr("oidc_groups_claim", "groups"), ".")
	}
	return strings.Split(claim, ".")
}
