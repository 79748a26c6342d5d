package forwardauth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// copied answers a proxy that copies a fixed list of headers from the answer to the request: the answer has all of them, those that aren't
// set with an empty value, which overwrites what a client sent. It refuses a request with a header that isn't in the list and must not
// reach the upstream.
func copied(w http.ResponseWriter, a *answer) error {
	for _, name := range a.Remove {
		if _, listed := slices.BinarySearch(a.names, name); !listed {
			e := auth.Forbidden("header_not_removable", fmt.Errorf("%q is a name that clients must not use, "+
				"in a spelling or with an ending that the proxy doesn't overwrite: let the proxy remove it", name))
			e.Description = "The request has a header that this service doesn't accept."
			return e
		}
	}
	h := w.Header()
	h.Set(passesHeader, "1")
	h.Set("X-Accel-Expires", "0") // nginx keeps no answer, whatever its proxy_cache_valid says
	for _, name := range a.names {
		switch lines := a.Set[name]; {
		case a.isOwn(name):
		case lines != nil:
			h[name] = lines
		case slices.Contains(a.Remove, name) || a.client[name] == nil:
			h[name] = []string{""}
		default:
			h[name] = a.client[name] // it passes as the client sent it
		}
	}
	a.respond(h)
	w.WriteHeader(http.StatusOK)
	return nil
}

// respond adds the headers for the client's response. A proxy that can pass on one cookie gets one, and rather one that is set than one
// that is deleted: two would be joined to one line, in which the attributes of one apply to the other.
func (a *answer) respond(h http.Header) {
	for name, lines := range a.Response {
		if name == "Set-Cookie" {
			lines = slices.Clone(lines)
			slices.SortStableFunc(lines, func(x, y string) int { return deletes(x) - deletes(y) })
			if a.OneCookie {
				lines = lines[:1]
			}
		}
		h[name] = lines
	}
}

// deletes returns 1 for a Set-Cookie line that deletes a cookie, 0 for others.
func deletes(line string) int {
	if strings.Contains(line, "Max-Age=0") {
		return 1
	}
	return 0
}

// The prefixes of the headers by which prefixed answers, and the header that lists those to remove.
const (
	requestPrefix  = "X-Sallyport-Request-"
	responsePrefix = "X-Sallyport-Response-"
	removeHeader   = "X-Sallyport-Remove"
)

// IsReserved reports whether a header in an answer is one for the proxy itself. name is in lower case.
func IsReserved(name string) bool {
	return strings.HasPrefix(name, "x-sallyport-") || strings.HasPrefix(name, "x-envoy-") || strings.HasPrefix(name, "x-accel-")
}

// passesHeader marks the answer to a question about a request that may pass. HAProxy and Caddy look for it.
const passesHeader = "X-Sallyport-Passes"

// absent returns the names of a that the request for the upstream must not have: those that aren't set, and don't pass as the client sent
// them.
func (a *answer) absent() (all []string) {
	for _, name := range a.names {
		if a.Set[name] == nil && !a.isOwn(name) && (a.client[name] == nil || slices.Contains(a.Remove, name)) {
			all = append(all, name)
		}
	}
	for _, name := range a.Remove {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// prefixed answers deploy/haproxy/sallyport.lua: a prefix says whether a header is for the request or for the response.
func prefixed(w http.ResponseWriter, a *answer) error {
	h := w.Header()
	for name, lines := range a.Set {
		h[requestPrefix+name] = lines
	}
	for name, lines := range a.Response {
		h[responsePrefix+name] = lines
	}
	h.Set(removeHeader, strings.Join(a.absent(), ","))
	h.Set(passesHeader, "1")
	w.WriteHeader(http.StatusOK)
	return nil
}

// mutated answers Envoy over HTTP: it sets the headers that its configuration lists, and removes those of a header of its own.
func mutated(w http.ResponseWriter, a *answer) error {
	h := w.Header()
	for name, lines := range a.Set {
		h[name] = lines
	}
	a.respond(h)
	h.Set("X-Envoy-Auth-Headers-To-Remove", strings.Join(a.absent(), ","))
	w.WriteHeader(http.StatusOK)
	return nil
}
