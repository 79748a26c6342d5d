package importer

import (
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
)

// writeOAuth2 writes the oidc block of a route with the oauth2 plugin: it accepts tokens of the gate's own authorization server.
func (k *kong) writeOAuth2(document *Mapping, p *policy) {
	c := p.oauth2.config()
	if !slices.Contains(k.issuing, p.oauth2) {
		k.issuing = append(k.issuing, p.oauth2)
	}
	oidc := noIssuer().Set("auth_methods", []string{"kong_oauth2"})
	if c.text("hide_credentials") == "true" {
		oidc.SetAt(c.at("hide_credentials"), "hide_credentials", true)
	}
	if k.mapsClients() {
		oidc.Set("consumer_claims", []string{"client_id"}).Set("consumer_by", []string{"id"})
	}
	if v := c.get("anonymous"); v != nil && !p.required {
		oidc.SetAt(v.Mark, "anonymous", k.consumerName(v))
	}
	document.SetAt(p.oauth2.Mark, "oidc", oidc)
	oidc.Comment("issuer", "No issuer is needed: clients get tokens of oauth2: in the process file.")
}

// mapsClients reports whether each client can be mapped to its consumer.
func (k *kong) mapsClients() bool {
	return slices.ContainsFunc(k.all["oauth2_credentials"], func(c *entity) bool { return c.consumer != nil })
}

// importAuthServer writes the authorization server with the clients of all consumers, if a route accepts its tokens.
func (k *kong) importAuthServer() {
	if len(k.issuing) == 0 && !k.acceptsOwnTokens() {
		k.noteCredentials("oauth2_credentials", "no route accepts tokens of the gate's own authorization server")
		return
	}
	server := NewMapping()
	scopes := k.serverSettings(server)
	var clients []*Mapping
	for _, c := range k.all["oauth2_credentials"] {
		if client := k.client(c, scopes); client != nil {
			clients = append(clients, client)
		}
	}
	if len(clients) > 0 {
		server.Set("clients", clients)
	}
	k.Process.Set("oauth2", server)
}

// acceptsOwnTokens reports whether an openid-connect plugin accepts tokens of the oauth2 plugin.
func (k *kong) acceptsOwnTokens() bool {
	for plugin := range k.oidcs {
		if slices.Contains(texts(plugin.config().get("auth_methods")), "kong_oauth2") && len(k.all["oauth2_credentials"]) > 0 {
			return true
		}
	}
	return false
}

// serverSettings sets the settings that one server has for all routes, those of the first plugin, and returns all scopes.
func (k *kong) serverSettings(server *Mapping) (scopes []string) {
	for n, plugin := range k.issuing {
		c := plugin.config()
		for _, s := range texts(c.get("scopes")) {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
		if n == 0 {
			k.firstServer(server, c)
			continue
		}
		for _, key := range []string{"token_expiration", "refresh_token_ttl", "mandatory_scope", "pkce", "provision_key"} {
			if c.text(key) != k.issuing[0].config().text(key) {
				k.Notef(c.at(key), "%s: the gate has one authorization server, with the settings of the plugin at %s", key,
					k.issuing[0].Mark.From(c.Mark))
			}
		}
	}
	if len(scopes) > 0 {
		server.SetAt(k.issuing[0].Mark, "scopes", scopes)
	}
	return scopes
}

// firstServer sets the settings of a plugin.
func (k *kong) firstServer(server *Mapping, c *entity) {
	for _, key := range []string{"mandatory_scope", "token_expiration", "refresh_token_ttl", "reuse_refresh_token", "pkce"} {
		v := c.get(key)
		switch {
		case v == nil:
		case key == "pkce" && v.Text == "none":
			k.Notef(v.Mark, "pkce: none isn't supported: pkce: lax requires it of public clients")
			server.SetAt(v.Mark, key, "lax")
		case v.Text == "0":
			k.Notef(v.Mark, "%s: 0 isn't supported, because tokens must expire: the default holds", key)
		default:
			server.SetAt(v.Mark, key, k.scalar(v, "60"))
		}
	}
	if c.get("pkce") == nil {
		server.Set("pkce", "lax") // Kong's default
	}
	k.provisionKey(server, c)
	for _, setting := range []struct{ key, text string }{
		{"enable_implicit_grant", "the implicit grant isn't supported: use authorization_code with PKCE"},
		{"enable_password_grant", "the password grant isn't supported: use authorization_code with PKCE"},
		{"global_credentials", "tokens of one route are accepted on the others only with oauth2.issuer: write the origin of the gate"},
	} {
		if c.text(setting.key) == "true" {
			k.Notef(c.at(setting.key), "%s: %s", setting.key, setting.text)
		}
	}
}

// provisionKey sets the secret of a consent page elsewhere.
func (k *kong) provisionKey(server *Mapping, c *entity) {
	v := c.get("provision_key")
	if v == nil || c.text("enable_authorization_code") != "true" {
		return
	}
	if len(v.Text) < 32 && !isReference(v.Text) {
		k.Notef(v.Mark, "provision_key: it has less than 32 bytes: set OAUTH2_PROVISION_KEY to a longer one, for your consent page as well")
		server.SetAt(v.Mark, "provision_key", k.AddVariable(Variable{Name: "OAUTH2_PROVISION_KEY", Sample: sampleSecret}))
		return
	}
	server.SetAt(v.Mark, "provision_key", k.secret(v, "OAUTH2_PROVISION_KEY"))
}

// client returns the client of a credential. It returns nil for one that can't be a client.
func (k *kong) client(c *entity, scopes []string) *Mapping {
	id := c.get("client_id")
	if id == nil {
		k.Notef(c.Mark, "the client has no client_id in the files: Kong has generated one; it is left out")
		return nil
	}
	m, grants := NewMapping().SetAt(id.Mark, "client_id", k.identifier(id)), k.grants(c)
	if c.text("client_type") == "public" {
		if m.Set("public", true); len(grants) == 0 {
			k.Notef(id.Mark, "the public client is left out: no oauth2 plugin enables authorization_code, which is all that it could do")
			return nil
		}
	} else if !k.clientSecret(m, c) {
		return nil
	}
	if name := c.text("name"); name != "" {
		m.Set("name", name)
	}
	m.Set("grants", grants)
	if uris := texts(c.get("redirect_uris")); len(uris) > 0 && slices.Contains(grants, "authorization_code") {
		m.SetAt(c.at("redirect_uris"), "redirect_uris", uris)
	}
	if len(scopes) > 0 {
		m.Set("scopes", scopes)
	}
	return m
}

// clientSecret sets the hash of a client's secret, and reports whether the client can have one.
func (k *kong) clientSecret(m *Mapping, c *entity) bool {
	v, id := c.get("client_secret"), c.text("client_id")
	name := variableName(id + "_secret_hash")
	switch {
	case v == nil, c.text("hash_secret") == "true" && isHash(v.Text):
		k.Notef(c.at("client_secret"),
			"the secret of the client %s isn't in the files, or hashed: sallyport secret makes a new one; set %s to its hash",
			id, name)
	case isReference(v.Text):
		k.Notef(v.Mark, "set %s to the hash of the secret of the client %s, which sallyport secret -hash prints", name, id)
	default:
		m.SetAt(v.Mark, "client_secret_hash", authserver.Hash(auth.Secret(v.Text)))
		k.Notef(v.Mark, "the secret of the client %s is written as a hash", id)
		return true
	}
	m.Set("client_secret_hash", k.AddVariable(Variable{Name: name, Sample: sampleHash}))
	return true
}

// sampleHash is a hash as sallyport secret prints it, for checks.
var sampleHash = "sha256:" + strings.Repeat("0", 64)

// isHash reports whether a secret is one of Kong's hashes.
func isHash(text string) bool { return strings.HasPrefix(text, "$") }

// grants returns the grants that the plugins enable for a client.
func (k *kong) grants(c *entity) []string {
	grants := []string{}
	for _, plugin := range k.issuing {
		config := plugin.config()
		if config.text("enable_client_credentials") == "true" && c.text("client_type") != "public" {
			grants = append(grants, "client_credentials")
		}
		if config.text("enable_authorization_code") == "true" && len(c.list("redirect_uris")) > 0 {
			grants = append(grants, "authorization_code", "refresh_token")
		}
	}
	slices.Sort(grants)
	return slices.Compact(grants)
}
