package proxy

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// strip removes the longest of the route's prefixes from an escaped path. It compares decoded segments, so that an encoded slash doesn't
// end the prefix: the rest must be the path that was authorized.
func (r *route) strip(raw string) string {
	longest := 0
	for _, prefix := range r.prefixes {
		longest = max(longest, prefix.length(raw))
	}
	return cmp.Or(raw[longest:], "/")
}

// stripped returns the prefix that strip removes, or "". The upstream needs it for links to itself.
func (r *route) stripped(raw string) string {
	if !r.StripPath {
		return ""
	}
	return strings.TrimSuffix(raw, r.strip(raw))
}

// A pathPrefix has the decoded segments of a route's path.
type pathPrefix []string

// length returns the number of bytes of the prefix in an escaped path, or 0 if the path doesn't have it.
func (p pathPrefix) length(raw string) int {
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

// checkStripped returns an error if a reading of the path begins with two slashes once the prefix is removed: some servers parse that as a
// host and a path.
func (r *route) checkStripped(t *target) error {
	rest := target{raw: r.strip(t.raw), ambiguities: t.ambiguities}
	readings, err := rest.readings()
	if slices.ContainsFunc(readings, func(p string) bool { return strings.HasPrefix(p, "//") }) {
		err = errors.New("without the route's prefix, the path may begin with two slashes for the upstream")
	}
	return err
}

// newPrefixes returns the route's paths for strip.
func newPrefixes(paths []string) (all []pathPrefix) {
	for _, p := range paths {
		if p = strings.Trim(p, "/"); p != "" {
			all = append(all, strings.Split(p, "/"))
		}
	}
	return all
}
