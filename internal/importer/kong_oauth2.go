package importer

import (
	"cmp"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/strict"
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
		oidc.Set("consumer_claims", []string{"client_id"})
	}
	if v := c.get("anonymous"); v != nil && !p.required {
		oidc.SetAt(v.Mark, "anonymous", k.consumerName(v))
	}
	document.SetAt(p.oauth2.Mark, "oidc", oidc)
	if c.text("mandatory_scope") == "true" && len(c.list("scopes")) > 0 {
		oidc.Comment("issuer", "Users log in nowhere: clients get tokens of oauth2: in the process file.")
	}
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
				k.Notef(c.at(key), "%s: the gate has one authorization server, with the settings of the plugin at %s", key, k.issuing[0].Mark.From(c.Mark))
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
	for key, text := range map[string]string{
		"enable_implicit_grant": "the implicit grant isn't supported: use authorization_code with PKCE",
		"enable_password_grant": "the password grant isn't supported: use authorization_code with PKCE",
		"global_credentials":    "tokens of one route are accepted on the others only with oauth2.issuer: write the origin of the gate",
	} {
		if c.text(key) == "true" {
			k.Notef(c.at(key), "%s: %s", key, text)
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
	m := NewMapping().SetAt(id.Mark, "client_id", k.identifier(id))
	if c.text("client_type") == "public" {
		m.Set("public", true)
	} else if !k.clientSecret(m, c) {
		return nil
	}
	if name := c.text("name"); name != "" {
		m.Set("name", name)
	}
	grants := k.grants(c)
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
		k.Notef(c.at("client_secret"), "the secret of the client %s isn't in the files, or hashed: sallyport secret makes a new one; set %s to its hash",
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

// importConsumers writes the consumers with their groups.
func (k *kong) importConsumers() {
	var all []*Mapping
	for _, c := range k.all["consumers"] {
		m := NewMapping()
		for _, key := range []string{"username", "custom_id", "id"} {
			if v := c.get(key); v != nil && v.Kind == strict.Scalar {
				m.SetAt(v.Mark, key, k.identifier(v))
			}
		}
		if id := k.onlyClient(c); id != nil && !m.Has("custom_id") {
			m.SetAt(id.Mark, "custom_id", k.identifier(id))
			k.Notef(id.Mark, "the client stands for its consumer by custom_id, which the service receives as X-Consumer-Custom-Id")
		}
		if groups := k.groupsOf(c); len(groups) > 0 {
			m.Set("groups", groups)
		}
		if m.Len() > 0 {
			all = append(all, m)
		}
	}
	if len(all) > 0 {
		k.Process.Set("consumers", all)
	}
	for _, kind := range credentials[1:] {
		k.noteCredentials(kind, "the gate doesn't accept such credentials; let these clients get tokens of the issuer")
	}
}

// onlyClient returns the client_id of a consumer's OAuth 2.0 client, if it has exactly one.
func (k *kong) onlyClient(consumer *entity) *strict.Value {
	var id *strict.Value
	for _, c := range k.ofConsumer("oauth2_credentials", consumer) {
		switch {
		case id != nil:
			k.Notef(c.Mark, "the consumer has several clients: requests of this one can't be mapped to it")
		default:
			id = c.get("client_id")
		}
	}
	return id
}

// noteCredentials notes credentials that aren't imported, once for each list.
func (k *kong) noteCredentials(kind, why string) {
	if n := len(k.all[kind]); n > 0 {
		k.Notef(k.all[kind][0].Mark, "%s: %d aren't imported: %s", kind, n, why)
	}
}

// groupsOf returns the groups of a consumer: those of the acl plugin, and its consumer groups if the acl plugin uses them or there is none.
func (k *kong) groupsOf(consumer *entity) (groups []string) {
	for _, a := range k.ofConsumer("acls", consumer) {
		if g := a.text("group"); g != "" && !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	for _, g := range k.consumerGroups(consumer) {
		if name := g.name(); k.aclsUseConsumerGroups() && !slices.Contains(groups, name) {
			groups = append(groups, name)
		} else if !k.aclsUseConsumerGroups() {
			k.Notef(consumer.Mark, "the consumer isn't in the group %s here, because the acl plugin doesn't use consumer groups", name)
		}
	}
	return groups
}

// consumerGroups returns the consumer groups of a consumer: from its groups, and from the members of the groups.
func (k *kong) consumerGroups(consumer *entity) (groups []*entity) {
	for _, v := range consumer.list("groups") {
		if g := k.find("consumer_groups", v); g != nil {
			groups = append(groups, g)
		}
	}
	for _, m := range k.ofConsumer("consumer_group_consumers", consumer) {
		if m.group != nil && !slices.Contains(groups, m.group) {
			groups = append(groups, m.group)
		}
	}
	return groups
}

// aclsUseConsumerGroups reports whether each acl plugin uses consumer groups, so that they can be groups of the gate.
func (k *kong) aclsUseConsumerGroups() bool {
	return !slices.ContainsFunc(k.all["plugins"], func(p *entity) bool {
		return p.text("name") == "acl" && p.config().text("include_consumer_groups") != "true"
	})
}

// consumerName returns the name of the consumer that a parameter names, by which the gate finds it.
func (k *kong) consumerName(v *strict.Value) any {
	if c := k.find("consumers", v); c != nil {
		return cmp.Or(c.text("username"), c.text("id"))
	}
	return v.Text
}
