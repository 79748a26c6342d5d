package importer

import (
	"cmp"
	"slices"
	"strings"

	"sallyport/internal/strict"
)

// An entity is a service, route, plugin, consumer and so on of Kong, with the entities that it belongs to.
type entity struct {
	*strict.Value
	kind     string        // the key of its list
	defaults *strict.Value // may be nil

	service, route, consumer, group *entity // nil: none
	orphan                          bool    // it names an entity that doesn't exist
}

// get returns the value of a key, or nil if it isn't set.
func (e *entity) get(key string) *strict.Value {
	for _, v := range []*strict.Value{e.Value, e.defaults} {
		if v == nil {
			continue
		}
		if p := v.Get(key); p != nil && !p.Value.Null {
			return p.Value
		}
	}
	return nil
}

// text returns the text of a key, or "".
func (e *entity) text(key string) string {
	if v := e.get(key); v != nil && v.Kind == strict.Scalar {
		return v.Text
	}
	return ""
}

// list returns the elements of a key. A scalar is one element.
func (e *entity) list(key string) []*strict.Value { return elements(e.get(key)) }

func elements(v *strict.Value) []*strict.Value {
	switch {
	case v == nil || v.Null:
		return nil
	case v.Kind == strict.List:
		return v.Items
	}
	return []*strict.Value{v}
}

// texts returns the texts of the elements of a value.
func texts(v *strict.Value) (all []string) {
	for _, item := range elements(v) {
		if item.Kind == strict.Scalar && !item.Null {
			all = append(all, item.Text)
		}
	}
	return all
}

// config returns an entity whose keys are those of config.
func (e *entity) config() *entity {
	if v := e.get("config"); v != nil && v.Kind == strict.Mapping {
		return &entity{Value: v, kind: "config"}
	}
	return &entity{Value: strict.NewMapping(e.Mark), kind: "config"}
}

// name returns the name of an entity, or its id.
func (e *entity) name() string {
	return cmp.Or(e.text("name"), e.text("username"), e.text("custom_id"), e.text("id"), strings.TrimSuffix(e.kind, "s"))
}

// at returns the place of a key, or of the entity.
func (e *entity) at(key string) strict.Mark {
	if p := e.Get(key); p != nil {
		return p.Mark
	}
	return e.Mark
}

// lists are the top-level keys that have entities, and the lists in each that have entities belonging to it.
var lists = map[string][]string{
	"services":        {"routes", "plugins"},
	"routes":          {"plugins"},
	"consumers":       append([]string{"plugins", "acls"}, credentials...),
	"consumer_groups": {"plugins", "consumers"},
	"upstreams":       {"targets"},
	"plugins":         nil, "acls": nil, "targets": nil, "certificates": nil, "ca_certificates": nil, "snis": nil, "vaults": nil,
	"consumer_group_consumers": nil, "consumer_group_plugins": nil,
}

// credentials are the lists of credentials of consumers.
var credentials = []string{"oauth2_credentials", "keyauth_credentials", "basicauth_credentials", "jwt_secrets", "hmacauth_credentials",
	"mtls_auth_credentials", "keyauth_enc_credentials"}

// silent are the top-level keys that say nothing about requests.
var silent = []string{
	"parameters", "workspaces", "oauth2_tokens", "oauth2_authorization_codes", "clustering_data_planes", "tags", "sm_vaults",
}

// read adds the entities of a file.
func (k *kong) read(root *strict.Value) {
	file := &entity{Value: root}
	k.version = cmp.Or(file.text("_format_version"), k.version)
	if info := file.get("_info"); info != nil {
		if d := (&entity{Value: info}).get("defaults"); d != nil {
			for _, p := range d.Pairs {
				k.defaults[p.Key+"s"] = p.Value
			}
		}
	}
	if c := file.get("_plugin_configs"); c != nil {
		for _, p := range c.Pairs {
			k.configs[p.Key] = p.Value
		}
	}
	for _, p := range root.Pairs {
		_, known := lists[p.Key]
		switch {
		case known || slices.Contains(credentials, p.Key):
			k.addAll(p.Key, p.Value, nil)
		case strings.HasPrefix(p.Key, "x-"), strings.HasPrefix(p.Key, "_"): // anchors and comments
		case !slices.Contains(silent, p.Key) && len(elements(p.Value)) > 0:
			k.Notef(p.Mark, "%s isn't imported: the gate has nothing like it", p.Key)
		}
	}
	k.readVaults()
}

// readVaults finds the vaults of environment variables.
func (k *kong) readVaults() {
	for _, v := range k.all["vaults"] {
		if v.text("name") == "env" {
			k.envVaults[v.text("prefix")] = v.config().text("prefix")
		}
	}
}

// addAll adds the entities of a list, and those in them.
func (k *kong) addAll(kind string, list *strict.Value, owner *entity) {
	for _, v := range elements(list) {
		e := &entity{Value: v, kind: kind, defaults: k.defaults[kind]}
		if v.Kind != strict.Mapping {
			if kind != "consumers" && kind != "acls" || v.Kind != strict.Scalar {
				k.Notef(v.Mark, "%s: expected a mapping, got %s: it is left out", kind, v.Kind)
				continue
			}
			e.Value = strict.NewMapping(v.Mark)
			e.Put(strict.Pair{Mark: v.Mark, Key: map[string]string{"consumers": "username", "acls": "group"}[kind], Value: v})
		}
		e.belong(owner)
		if owner != nil && kind == "consumers" { // of a consumer group: a reference
			e.kind = "consumer_group_consumers"
			k.add(e)
			continue
		}
		k.add(e)
		for _, inner := range lists[kind] {
			if p := v.Get(inner); p != nil {
				k.addAll(inner, p.Value, e)
			}
		}
	}
}

// belong makes an entity belong to the one in which it is written.
func (e *entity) belong(owner *entity) {
	if owner == nil {
		return
	}
	switch owner.kind {
	case "services":
		e.service = owner
	case "routes":
		e.route = owner
	case "consumers":
		e.consumer = owner
	case "consumer_groups", "upstreams":
		e.group = owner
	}
}

// connect finds the entities that others name by a foreign key.
func (k *kong) connect() {
	for _, kind := range []string{"routes", "plugins", "acls", "targets", "consumer_group_consumers", "consumer_group_plugins"} {
		for _, e := range k.all[kind] {
			k.refer(e)
		}
	}
	for _, kind := range credentials {
		for _, e := range k.all[kind] {
			k.refer(e)
		}
	}
	for _, p := range k.all["plugins"] {
		if name := p.text("_config"); name != "" && k.configs[name] != nil {
			p.defaults = strict.NewMapping(p.Mark)
			p.defaults.Put(strict.Pair{Mark: p.Mark, Key: "config", Value: withDefaults(p.config().Value, k.configs[name])})
			p.Value = without(p.Value, "config")
		}
	}
}

// withDefaults returns a mapping with the keys of another one that it doesn't have.
func withDefaults(v, defaults *strict.Value) *strict.Value {
	all := strict.NewMapping(v.Mark)
	for _, p := range append(slices.Clone(v.Pairs), defaults.Pairs...) {
		if all.Get(p.Key) == nil {
			all.Put(p)
		}
	}
	return all
}

// without returns a mapping without a key.
func without(v *strict.Value, key string) *strict.Value {
	all := strict.NewMapping(v.Mark)
	for _, p := range v.Pairs {
		if p.Key != key {
			all.Put(p)
		}
	}
	return all
}

// refer sets the entities to which the foreign keys of an entity refer.
func (k *kong) refer(e *entity) {
	for _, f := range []struct {
		key, kind string
		to        **entity
	}{
		{"service", "services", &e.service}, {"route", "routes", &e.route}, {"consumer", "consumers", &e.consumer},
		{"consumer_group", "consumer_groups", &e.group}, {"upstream", "upstreams", &e.group},
	} {
		if v := e.get(f.key); v != nil {
			if *f.to = k.find(f.kind, v); *f.to == nil {
				e.orphan = true
				k.Notef(v.Mark, "%s: there is no such entity in the files: import the files together", f.key)
			}
		}
	}
	if e.kind == "consumer_group_consumers" && e.consumer == nil {
		e.consumer = k.find("consumers", e.Value)
	}
}

// find returns the entity that a foreign key names: by a text, or by id, name or username in a mapping.
func (k *kong) find(kind string, v *strict.Value) *entity {
	names := []string{v.Text}
	if v.Kind == strict.Mapping {
		named := &entity{Value: v}
		names = []string{named.text("id"), named.text("name"), named.text("username"), named.text("custom_id")}
	}
	for _, name := range names {
		if e := k.index[kind+" "+name]; e != nil && name != "" {
			return e
		}
	}
	return nil
}

// ofConsumer returns the entities of a kind that belong to a consumer.
func (k *kong) ofConsumer(kind string, consumer *entity) []*entity {
	if k.owned[kind] == nil {
		k.owned[kind] = map[*entity][]*entity{}
		for _, e := range k.all[kind] {
			k.owned[kind][e.consumer] = append(k.owned[kind][e.consumer], e)
		}
	}
	return k.owned[kind][consumer]
}

// add adds an entity, which others can name from now on.
func (k *kong) add(e *entity) {
	k.all[e.kind] = append(k.all[e.kind], e)
	for _, key := range []string{"id", "name", "username", "custom_id"} {
		if name := e.text(key); name != "" && k.index[e.kind+" "+name] == nil {
			k.index[e.kind+" "+name] = e
		}
	}
}
