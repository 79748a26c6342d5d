package proxy

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// judgesMethods reports whether a request's method decides which rule of the route holds, or what one allows. Where it does, a
// request that names another method for the upstream to run is refused; elsewhere every method is judged alike.
func (r *Route) judgesMethods() bool {
	return slices.ContainsFunc(r.Rules, func(rule *Rule) bool { return len(rule.Methods) > 0 || rule.Rule != nil && rule.ReadsMethod() })
}

// checkMethodParam refuses a query with _method, which some frameworks run in place of the request's own method. It is refused
// rather than taken out, because a query goes on as it came. A parameter of a form isn't looked for: bodies stream.
func checkMethodParam(query string) error {
	for pair := range strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' }) {
		if paramName(pair) == "-METHOD" {
			e := auth.InvalidRequest("method_override", errors.New("the query holds _method, and this request is judged by its method"))
			e.Description = "This request names two methods."
			return e
		}
	}
	return nil
}

// paramName returns the folded name of a pair of a query, as the most lenient framework reads it.
func paramName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	if decoded, err := url.QueryUnescape(name); err == nil {
		name = decoded
	}
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "\x00") // as PHP reads it, which takes any sign for _, too
	return auth.FoldHeader(name)
}
