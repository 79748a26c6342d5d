package proxy

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// maxReadings bounds the ways to read one path. Who needs more wants to be misunderstood.
const maxReadings = 32

// kept stands for an encoded slash that is a part of a name. No path holds it: controls are refused.
const kept = "\x00"

// ways are how upstreams read what a path with tricks holds. One may do several of them, in any order.
var ways = []func(string) string{
	func(p string) string { return strings.ReplaceAll(p, kept, "/") },
	func(p string) string { return strings.ReplaceAll(p, "//", "/") }, // one pass leaves some of ///, further ones none
	cutAuthority,
	withoutParams,
	withoutLastParams,
	func(p string) string { before, _, _ := strings.Cut(p, ";"); return before },
}

// readings returns the other ways in which an upstream may read a path with tricks, each as it would be decoded, with %2F for a
// slash that stays a part of a name. It returns an error if they are too many, or one holds a dot segment.
func (t *target) readings() ([]string, error) {
	if t.tricks == 0 {
		return nil, nil
	}
	first, err := url.PathUnescape(strings.ReplaceAll(t.raw, "%2F", kept))
	if err != nil {
		return nil, err
	}
	all := []string{first}
	for n := 0; n < len(all); n++ { // all grows meanwhile
		for _, read := range ways {
			if reading := read(all[n]); !slices.Contains(all, reading) {
				all = append(all, reading)
			}
		}
		if len(all) > maxReadings {
			return nil, errors.New("the path can be read in too many ways")
		}
	}
	var others []string
	for _, reading := range all {
		reading = strings.ReplaceAll(reading, kept, "%2F")
		if err := checkDots(reading); err != nil {
			return nil, err
		}
		if reading != t.path {
			others = append(others, reading)
		}
	}
	return others, nil
}

// cutAuthority reads a path that begins with two slashes as a reference to another host (RFC 3986 §4.2), whose path is the rest.
func cutAuthority(path string) string {
	if !strings.HasPrefix(path, "//") {
		return path
	}
	_, rest, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	return "/" + rest
}

// withoutParams cuts the parameters off each segment (RFC 3986 §3.3).
func withoutParams(path string) string {
	segments := strings.Split(path, "/")
	for n := range segments {
		segments[n], _, _ = strings.Cut(segments[n], ";")
	}
	return strings.Join(segments, "/")
}

// withoutLastParams cuts the parameters off the last segment, the only one that could have some by RFC 2396's forerunner (RFC 1808 §2.1).
func withoutLastParams(path string) string {
	last := strings.LastIndexByte(path, '/') + 1
	name, _, _ := strings.Cut(path[last:], ";")
	return path[:last] + name
}
