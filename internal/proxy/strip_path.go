package proxy

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// strip takes the route's longest prefix off a path as it is sent. Its segments are compared decoded, one by one, so that an encoded
// slash never ends the prefix: what is left must be what was judged, however the upstream reads it.
func (r *route) strip(raw string) string {
	longest := 0
	for _, prefix := range r.prefixes {
		longest = max(longest, prefix.of(raw))
	}
	return cmp.Or(raw[longest:], "/")
}

// stripped is what strip takes off, which the upstream needs for links to itself; empty if that is nothing.
func (r *route) stripped(raw string) string {
	if !r.StripPath {
		return ""
	}
	return strings.TrimSuffix(raw, r.strip(raw))
}

// A pathPrefix is a path of a route, by its decoded segments.
type pathPrefix []string

// of is how many bytes of a path as it is sent the prefix takes; 0 if the path isn't below it.
func (p pathPrefix) of(raw string) int {
	length := 0
	for _, segment := range p {
		if length == len(raw) || raw[length] != '/' {
			return 0
		}
		end := len(raw)
		if next := strings.IndexByte(raw[length+1:], '/'); next >= 0 {
			end = length + 1 + next
		}
		if decoded, err := url.PathUnescape(raw[length+1 : end]); err != nil || decoded != segment {
			return 0
		}
		length = end
	}
	return length
}

// checkStripped refuses a path that may be read as one with two slashes at its beginning, once the route's prefix is off: some
// servers take what follows for a host, and the rest for the path.
func (r *route) checkStripped(t *target) error {
	rest := target{raw: r.strip(t.raw), tricks: t.tricks}
	readings, err := rest.readings()
	if slices.ContainsFunc(readings, func(p string) bool { return strings.HasPrefix(p, "//") }) {
		err = errors.New("without the route's prefix the path may be read as one that begins with two slashes")
	}
	return err
}

// newPrefixes are the route's paths as strip compares them.
func newPrefixes(paths []string) (all []pathPrefix) {
	for _, p := range paths {
		if p = strings.Trim(p, "/"); p != "" {
			all = append(all, strings.Split(p, "/"))
		}
	}
	return all
}
