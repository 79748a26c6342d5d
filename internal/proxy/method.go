package proxy

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// dependsOnMethod reports whether a rule of the route applies to some methods only, or has an expression that reads the method. If so, a
// request with another method in its query is refused.
func (r *Route) dependsOnMethod() bool {
	return slices.ContainsFunc(r.Rules, func(rule *Rule) bool { return len(rule.Methods) > 0 || rule.Rule != nil && rule.ReadsMethod() })
}

// checkMethodParam returns an error if the query has _method, which some frameworks use instead of the request's method. It isn't removed,
// because queries are forwarded unchanged. Forms aren't checked, because bodies are streamed.
func checkMethodParam(query string) error {
	for pair := range strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' }) {
		if paramName(pair) == "-METHOD" {
			e := auth.InvalidRequest("method_override", errors.New("the query has _method, and the decision depends on the method"))
			e.Description = "This request names two methods."
			return e
		}
	}
	return nil
}

// paramName returns the name of a pair of a query as the most lenient framework parses it, folded by auth.FoldHeader.
func paramName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	if decoded, err := url.QueryUnescape(name); err == nil {
		name = decoded
	}
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "\x00") // as PHP does, which also treats punctuation as _
	return auth.FoldHeader(name)
}
