package auth

import (
	"slices"
	"strings"
)

// MergeScopes returns the scope tokens of values of the parameter scope (RFC 6749 §3.3), each once, in the order in which they first
// occur.
func MergeScopes(values ...string) []string {
	var all []string
	for _, value := range values {
		for token := range strings.FieldsSeq(value) {
			if !slices.Contains(all, token) {
				all = append(all, token)
			}
		}
	}
	return all
}
