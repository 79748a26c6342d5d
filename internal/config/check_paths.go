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

// A pathOwner is the setting to which a path of a host belongs.
type pathOwner struct {
	route    *Route
	endpoint string // of the gate; "" for a path of the route
	mark     strict.Mark
}

// checkPaths refuses two routes with the same path of the same host, including the paths that the gate itself serves, because their order
// would decide. It returns the owners of the paths by host and path. The host "" is every host.
func checkPaths(r *strict.Report, routes []Route) map[string]pathOwner {
	owners := map[string]pathOwner{}
	for i := range routes {
		addPaths(r, owners, &routes[i])
	}
	for i := range routes {
		addEndpoints(r, owners, &routes[i])
	}
	return owners
}

// checkPublicPath refuses a public_path that belongs to a route, because the process serves it on every host.
func checkPublicPath(process *strict.Block, owners map[string]pathOwner, path string) {
	for _, key := range slices.Sorted(maps.Keys(owners)) {
		if _, rest, _ := strings.Cut(key, "/"); "/"+rest == path {
			process.Complain("keys.public_path", "%s belongs to the route at %s already: choose another, such as /openid-connect/jwks",
				check.Quote(path), owners[key].mark)
			return
		}
	}
}

// addPaths adds the paths of a route, and reports those that have an owner.
func addPaths(r *strict.Report, owners map[string]pathOwner, route *Route) {
	for _, host := range route.hosts() {
		for i, path := range route.Route.Paths {
			own := pathOwner{route, "", route.block.Find(fmt.Sprintf("paths[%d]", i)).Mark}
			key := host + path
			first, found := owners[key]
			switch {
			case !found:
				owners[key] = own
			case first.route == route:
				r.Problemf(own.mark, "paths: %s is written twice: take one out", check.Quote(path))
			default:
				r.Problemf(own.mark, "paths: %s on %s belongs to the route at %s already: give one of them other hosts or paths",
					check.Quote(path), hostName(host), first.mark.From(own.mark))
			}
		}
	}
}

// addEndpoints adds the paths of a route that the gate itself serves, and reports those that have an owner. It leaves out routes whose
// first path belongs to another route, because addPaths has reported them.
func addEndpoints(r *strict.Report, owners map[string]pathOwner, route *Route) {
	for _, host := range route.hosts() {
		if len(route.Route.Paths) == 0 || owners[host+route.Route.Paths[0]].route != route {
			continue
		}
		for _, e := range route.endpoints() {
			key := host + e.Path
			first, found := owners[key]
			if !found {
				owners[key] = pathOwner{route, e.Endpoint, e.mark}
				continue
			}
			what := "a path"
			if first.endpoint != "" {
				what = "the " + first.endpoint + " endpoint"
			}
			r.Problemf(e.mark, "the %s endpoint %s on %s is %s of the route at %s already: give one of them another path",
				e.Endpoint, check.Quote(e.Path), hostName(host), what, first.mark.From(e.mark))
		}
	}
}

// hosts returns the route's hosts without repetitions, or "" for every host.
func (r *Route) hosts() []string {
	if len(r.Route.Hosts) == 0 {
		return []string{""}
	}
	return slices.Compact(slices.Sorted(slices.Values(r.Route.Hosts)))
}

// hostName returns a host for a message.
func hostName(host string) string {
	if host == "" {
		return "any host"
	}
	return host
}

// An endpoint is a path that the gate itself serves, and the place of its setting.
type endpoint struct {
	flow.OwnPath
	mark strict.Mark
}

// endpoints returns the paths that the route's flows serve. Several issuers can share one, such as that of logouts.
func (r *Route) endpoints() (all []endpoint) {
	if !r.HasOIDC {
		return nil
	}
	for n, part := range r.perIssuer() {
		for _, e := range part.ownEndpoints() {
			shared := e.Shared && slices.ContainsFunc(all, func(o endpoint) bool { return o.OwnPath == e.OwnPath })
			if n == 0 || !shared {
				all = append(all, e)
			}
		}
	}
	return all
}

// ownEndpoints returns the paths that the flows of one issuer serve, unless a setting of such a path has a problem.
func (r *Route) ownEndpoints() (all []endpoint) {
	if r.block.Find("redirect_uri[0]").Bad || r.block.Find("protected_resource_metadata").Bad {
		return nil
	}
	for _, own := range r.OIDC.Flow.OwnPaths(r.Route.Paths[0]) {
		all = append(all, endpoint{own, r.block.Find(own.Key).Mark})
	}
	return all
}
