package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/flow"
	"sallyport/internal/strict"
)

// A claim is a route's hold on a path of a host.
type claim struct {
	route *Route
	what  string // "" for one of its paths, else the endpoint of the gate's own
	mark  strict.Mark
}

// checkClaims refuses two routes that answer for the same path of the same host, the gate's own paths included: which one
// wins would depend on their order. What they hold is by host and path.
func checkClaims(r *strict.Report, routes []Route) map[string]claim {
	taken := map[string]claim{}
	for i := range routes {
		claimPaths(r, taken, &routes[i])
	}
	for i := range routes {
		claimEndpoints(r, taken, &routes[i])
	}
	return taken
}

// checkPublicPath refuses a path of the process's own that a route answers for: the process would take it on every host.
func checkPublicPath(process *strict.Block, taken map[string]claim, path string) {
	for _, key := range slices.Sorted(maps.Keys(taken)) {
		if _, rest, _ := strings.Cut(key, "/"); "/"+rest == path {
			process.Complain("keys.public_path", "%s belongs to the route at %s already: choose another, such as /openid-connect/jwks",
				check.Quote(path), taken[key].mark)
			return
		}
	}
}

func claimPaths(r *strict.Report, taken map[string]claim, route *Route) {
	for _, host := range route.hosts() {
		for i, path := range route.Route.Paths {
			c := claim{route, "", route.block.Find(fmt.Sprintf("paths[%d]", i)).Mark}
			key := host + path
			first, found := taken[key]
			switch {
			case !found:
				taken[key] = c
			case first.route == route:
				r.Problemf(c.mark, "paths: %s stands here twice: take one out", check.Quote(path))
			default:
				r.Problemf(c.mark, "paths: %s on %s belongs to the route at %s already: give one of them other hosts or paths",
					check.Quote(path), named(host), first.mark.From(c.mark))
			}
		}
	}
}

// claimEndpoints takes the paths that the gate answers itself. Two routes with the same first path on a host are reported
// for that, so not again for what is below it.
func claimEndpoints(r *strict.Report, taken map[string]claim, route *Route) {
	for _, host := range route.hosts() {
		if len(route.Route.Paths) == 0 || taken[host+route.Route.Paths[0]].route != route {
			continue
		}
		for _, e := range route.endpoints() {
			key := host + e.Path
			first, found := taken[key]
			if !found {
				taken[key] = claim{route, e.Endpoint, e.mark}
				continue
			}
			what := "a path"
			if first.what != "" {
				what = "the " + first.what + " endpoint"
			}
			r.Problemf(e.mark, "the %s endpoint %s on %s is %s of the route at %s already: give one of them another path",
				e.Endpoint, check.Quote(e.Path), named(host), what, first.mark.From(e.mark))
		}
	}
}

func (r *Route) hosts() []string {
	if len(r.Route.Hosts) == 0 {
		return []string{""}
	}
	return slices.Compact(slices.Sorted(slices.Values(r.Route.Hosts)))
}

func named(host string) string {
	if host == "" {
		return "any host"
	}
	return host
}

type endpoint struct {
	flow.OwnPath
	mark strict.Mark
}

// endpoints are the paths that the route's flows answer, where they are on. Several issuers share one logout.
func (r *Route) endpoints() (all []endpoint) {
	if !r.HasOIDC {
		return nil
	}
	for n, part := range r.parts() {
		for _, e := range part.ownEndpoints() {
			shared := e.Shared && slices.ContainsFunc(all, func(o endpoint) bool { return o.OwnPath == e.OwnPath })
			if n == 0 || !shared {
				all = append(all, e)
			}
		}
	}
	return all
}

func (r *Route) ownEndpoints() (all []endpoint) {
	if r.block.Find("redirect_uri[0]").Bad || r.block.Find("protected_resource_metadata").Bad {
		return nil
	}
	for _, own := range r.OIDC.Flow.OwnPaths(r.Route.Paths[0]) {
		all = append(all, endpoint{own, r.block.Find(own.Key).Mark})
	}
	return all
}
