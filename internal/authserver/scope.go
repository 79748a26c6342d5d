package authserver

import (
	"slices"
	"strings"
)

// isScope reports whether a text is a scope-token (RFC 6749 §3.3).
func isScope(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// grantedScope returns the scope of a token for which a client asks: in the client's order, each once, and all of it among
// the allowed ones; ok is false otherwise. Who asks for none gets none: a token holds what was asked for.
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

// stillAllowed returns what is left of a scope that was granted when the client was allowed more.
func stillAllowed(scope string, allowed []string) string {
	words := strings.Fields(scope)
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return !slices.Contains(allowed, w) }), " ")
}
