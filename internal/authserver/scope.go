package authserver

import (
	"slices"
	"strings"
)

// isScope reports whether a text is a scope-token (RFC 6749 §3.3).
func isScope(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// grantedScope returns a requested scope in the client's order, without repetitions. It reports false if a scope is not allowed. There is
// no default scope: if a client requests none, the token has none.
func grantedScope(asked string, allowed []string) (scope string, ok bool) {
	var granted []string
	for word := range strings.SplitSeq(asked, " ") {
		switch {
		case word == "" || slices.Contains(granted, word):
		case !slices.Contains(allowed, word):
			return "", false
		default:
			granted = append(granted, word)
		}
	}
	return strings.Join(granted, " "), true
}

// stillAllowed returns the part of a granted scope that the client is allowed now.
func stillAllowed(scope string, allowed []string) string {
	words := strings.Fields(scope)
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return !slices.Contains(allowed, w) }), " ")
}
