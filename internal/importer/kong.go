package importer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/strict"
)

// importKong imports files of decK and Kong's declarative configuration. Several files are one configuration, as for decK.
//
// kong_entities.go collects the entities. For each route kong_policy.go finds its plugins; kong_claims.go finds out which routes have the
// same
// host and path, kong_rules.go makes one route of the gate of them.
func importKong(sources []Source) (*Result, error) {
	k := newKong()
	for _, s := range sources {
		root, err := parseYAML(s)
		if err != nil {
			return nil, err
		}
		k.read(root)
	}
	k.connect()
	if err := k.refuseRouters(); err != nil {
		return nil, err
	}
	k.noteUnknownKeys()
	k.importConsumers()
	k.importRoutes()
	k.importAuthServer()
	k.unusedPlugins()
	if len(k.Routes) == 0 {
		return nil, errors.New("no route to import: " + sourceNames(sources) + " has no services with routes")
	}
	k.Header = "Made by sallyport import kong from " + sourceNames(sources) + "."
	return k.Result, nil
}

func sourceNames(sources []Source) string {
	var names []string
	for _, s := range sources {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// A kong is a configuration of Kong while it is imported.
type kong struct {
	*Result
	version   string                           // of the format: 1.1, 2.1, 3.0
	all       map[string][]*entity             // by kind
	index     map[string]*entity               // by kind and id or name
	owned     map[string]map[*entity][]*entity // by kind and consumer; see ofConsumer
	defaults  map[string]*strict.Value         // decK's _info.defaults, by kind
	configs   map[string]*strict.Value         // decK's _plugin_configs
	envVaults map[string]string                // names of vaults of environment variables, and the prefix of their variables

	closed  map[*entity][]string // plugins that closed routes, and the names of those
	dropped map[*entity][]string // plugins that routes have no longer
	oidcs   map[*entity]*Mapping // of openid-connect plugins
	issuing []*entity            // the oauth2 plugins of routes
}

func newKong() *kong {
	return &kong{
		Result: NewResult(), version: "3.0", all: map[string][]*entity{}, index: map[string]*entity{},
		owned: map[string]map[*entity][]*entity{}, defaults: map[string]*strict.Value{},
		configs: map[string]*strict.Value{}, envVaults: map[string]string{"env": ""},
		closed: map[*entity][]string{}, dropped: map[*entity][]string{}, oidcs: map[*entity]*Mapping{},
	}
}

// refuseRouters returns an error if a route is an expression. Such a route has no hosts and paths, so the requests that it takes from other
// routes would be judged by those.
func (k *kong) refuseRouters() error {
	for _, r := range k.all["routes"] {
		if e := r.get("expression"); e != nil && e.Text != "" {
			return fmt.Errorf("%s: expression: routes of the expressions router can't be imported: "+
				"write routes with hosts, paths and methods", e.Mark)
		}
	}
	return nil
}

// unusedPlugins notes plugins that concern no route that is imported, and what the other plugins did.
func (k *kong) unusedPlugins() {
	for _, p := range k.all["plugins"] {
		name := p.text("name")
		if routes := k.closed[p]; len(routes) > 0 {
			k.Notef(p.Mark, "%s can't be imported, and requests must not pass without it, so %s refused by rules with allow: \"false\": "+
				"protect the route by oidc: or rules:, and take that rule out", name, areRoutes(routes))
		}
		if routes := k.dropped[p]; len(routes) > 0 {
			k.Notef(p.Mark, "%s isn't imported: the gate doesn't %s", name, passing[name])
		}
	}
}

// areRoutes returns the subject of a note with its verb.
func areRoutes(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) == 1 {
		return "the route " + names[0] + " is"
	}
	return "the routes " + strings.Join(names, ", ") + " are"
}

// sortedKeys returns the keys of a map, sorted.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
