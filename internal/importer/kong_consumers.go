package importer

import (
	"cmp"
	"slices"

	"sallyport/internal/strict"
)

// importConsumers writes the consumers with their groups.
func (k *kong) importConsumers() {
	var all []*Mapping
	for _, c := range k.all["consumers"] {
		all = append(all, k.consumer(c)...)
	}
	if len(all) > 0 {
		k.Process.Set("consumers", all)
	}
	for _, kind := range credentials[1:] {
		k.noteCredentials(kind, "the gate doesn't accept such credentials; let these clients get tokens of the issuer")
	}
}

// consumer returns a consumer. Its first client of the oauth2 plugin is its id, and each further one is a consumer of its own: claims of an
// issuer are compared with custom_id and username, so no user can have the groups of a client.
func (k *kong) consumer(c *entity) []*Mapping {
	m, groups := NewMapping(), k.groupsOf(c)
	for _, key := range []string{"username", "custom_id", "id"} {
		if v := c.get(key); v != nil && v.Kind == strict.Scalar {
			m.SetAt(v.Mark, key, k.identifier(v))
		}
	}
	all := []*Mapping{m}
	for n, client := range k.ofConsumer("oauth2_credentials", c) {
		id := client.get("client_id")
		if id == nil {
			continue
		}
		k.Notef(id.Mark, "the client stands for its consumer by id, which the service receives as X-Consumer-Id")
		if n > 0 {
			m = NewMapping()
			all = append(all, m)
		}
		m.SetAt(id.Mark, "id", k.identifier(id))
	}
	for _, made := range all {
		if len(groups) > 0 {
			made.Set("groups", groups)
		}
	}
	return slices.DeleteFunc(all, func(m *Mapping) bool { return m.Len() == 0 })
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
