package proxy

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// maxReadings is the maximum number of readings of a path. Only an attack needs more.
const maxReadings = 32

// slashMark stands for an encoded slash that isn't a separator. It can't be in a path, because control characters are refused.
const slashMark = "\x00"

// rewrites are the ways in which upstreams change a path with ambiguities. An upstream may do several of them, in any order.
var rewrites = []func(string) string{
	func(p string) string { return strings.ReplaceAll(p, slashMark, "/") },
	func(p string) string { return strings.ReplaceAll(p, "//", "/") }, // one pass leaves two slashes of ///, another one
	cutAuthority,
	withoutParams,
	withoutLastParams,
	func(p string) string { before, _, _ := strings.Cut(p, ";"); return before },
}

// readings returns the other paths that an upstream may make of a path with ambiguities. They are decoded, with %2F for a slash that isn't
// a separator. It returns an error if there are too many, or if one of them has a dot segment.
func (t *target) readings() ([]string, error) {
	if t.ambiguities == 0 {
		return nil, nil
	}
	first, err := url.PathUnescape(strings.ReplaceAll(t.raw, "%2F", slashMark))
	if err != nil {
		return nil, err
	}
	all := []string{first}
	for n := 0; n < len(all); n++ { // the loop appends to all
		for _, rewrite := range rewrites {
			if reading := rewrite(all[n]); !slices.Contains(all, reading) {
				all = append(all, reading)
			}
		}
		if len(all) > maxReadings {
			return nil, errors.New("the path can be read in too many ways")
		}
	}
	var others []string
	for _, reading := range all {
		reading = strings.ReplaceAll(reading, slashMark, "%2F")
		if err := checkDots(reading); err != nil {
			return nil, err
		}
		if reading != t.path {
			others = append(others, reading)
		}
	}
	return others, nil
}

// cutAuthority removes the authority from a path that begins with two slashes, which is a network-path reference (RFC 3986 §4.2).
func cutAuthority(path string) string {
	if !strings.HasPrefix(path, "//") {
		return path
	}
	_, rest, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	return "/" + rest
}

// withoutParams removes the parameters of each segment (RFC 3986 §3.3).
func withoutParams(path string) string {
	segments := strings.Split(path, "/")
	for n := range segments {
		segments[n], _, _ = strings.Cut(segments[n], ";")
	}
	return strings.Join(segments, "/")
}

// withoutLastParams removes the parameters of the last segment, the only one that can have parameters by RFC 1808 §2.1.
func withoutLastParams(path string) string {
	last := strings.LastIndexByte(path, '/') + 1
	name, _, _ := strings.Cut(path[last:], ";")
	return path[:last] + name
}
