package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Other tools read some texts as a pattern, a list, a placeholder or a variable. Here a text is compared as it stands, so
// a rule for one of those would protect nothing. Such a text is refused with what to write instead; where somebody may mean
// it as it stands, and nothing is protected by it, it is a warning. route.literal takes it as it stands.

var (
	// pathPattern finds regular expressions, globs and placeholders: /a/.+ /a/* /users/{id} /users/:id /a$ ~ ^/a (?i)/a
	pathPattern = regexp.MustCompile("[*^|<>\"`{}\\[\\]\\\\]|\\(\\?|\\.\\+|\\)[+?]|\\$(/|$)|/:[A-Za-z_]|^[~=@]")
	pathList    = regexp.MustCompile(`,\s*(/|https?:)`)
	pathGroup   = regexp.MustCompile(`[()]`) // a group of a regular expression, or an OData key

	valuePattern = regexp.MustCompile(`^\*$|\.[*+]|^\^|\$$|\[(\^|[a-z]-|0-9)|\(\?|\{[\w.]+\}`)
	valueSign    = regexp.MustCompile(`[*|]|^!`) // of a pattern, and found in values as well

	urlPattern  = regexp.MustCompile("[{}<>^|\"`\\\\\\s]|/\\*")
	urlVariable = regexp.MustCompile(`\$(\d|(host|http_\w+|arg_\w+|is_args|args|query_string|uri|request_uri|document_uri|` +
		`escaped_request_uri|scheme|server_name|remote_addr)\b)`)
	hostPattern = regexp.MustCompile("[*{}$<>()|^~\\[\\]!'\";,=&+]")
)

// literal reports whether the route takes texts of a kind as they stand: claims, paths or values.
func (r *Route) literal(kind string) bool { return slices.Contains(r.Route.Literal, kind) }

// checkPaths judges paths of the route, or of a rule, which then is who reads them.
func (r *Route) checkPaths(b *block, paths []string, rule *Rule) {
	for i, p := range paths {
		if key := fmt.Sprintf("paths[%d]", i); !r.literal("paths") {
			r.checkPathDialect(b, key, p, rule)
		}
	}
	b.each("paths", paths, checkPath)
}

func (r *Route) checkPathDialect(b *block, key, p string, rule *Rule) {
	switch {
	case pathList.MatchString(p):
		b.complain(key, "%s: several paths are a list: write each as an element of its own", b.shown(key))
	case strings.TrimSpace(p) != p:
		b.complain(key, "%s: a space at its beginning or end matches nothing: take it out", b.shown(key))
	case pathPattern.MatchString(p):
		b.complain(key, "%s: %s", b.shown(key), noPattern(p, rule))
	case !pathGroup.MatchString(p):
	case rule != nil && rule.protects():
		b.complain(key, "%s: %s", b.shown(key), noPattern(p, rule))
	default:
		b.warn(key, "%s is taken as it stands, its parentheses too: where that is meant, write literal: [paths] under route:",
			b.shown(key))
	}
}

// protects reports whether the rule keeps somebody out.
func (r *Rule) protects() bool { return r.Auth != "off" }

// noPattern says what a path is, and what to write in the place of a pattern. A rule that opens something is never advised
// to take a shorter path, which would open more.
func noPattern(p string, rule *Rule) string {
	const literal = ", or literal: [paths] under route: if it is meant as it stands"
	if rule != nil && !rule.protects() {
		return "a path is no pattern: write each path in full" + literal
	}
	prefix := plainPrefix(p)
	if prefix == "/" {
		return "a path is no pattern, but a prefix of whole segments: write such ones, judge request.path by a rule's allow" + literal
	}
	return fmt.Sprintf("a path is no pattern, but a prefix of whole segments: write %s, which is %s and everything below it, "+
		"or judge request.path by a rule's allow%s", prefix, prefix, literal)
}

// plainPrefix returns the segments of a path before the first that looks like a pattern.
func plainPrefix(p string) string {
	prefix := ""
	for segment := range strings.SplitSeq(strings.TrimPrefix(strings.Trim(p, "~*=^$ "), "/"), "/") {
		if segment == "" || pathPattern.MatchString("/"+segment) || pathGroup.MatchString(segment) || strings.ContainsAny(segment, `?#;%`) {
			break
		}
		prefix += "/" + segment
	}
	if prefix == "" {
		return "/"
	}
	return prefix
}

var (
	errPlaceholder = errors.New("a URL has no placeholders and wildcards: write it as it is sent, with such characters as percent escapes")
	errVariable    = errors.New("a URL has no variables: write it as it is sent, with $ as %24 where that is meant")
)

// checkURLDialect refuses placeholders, wildcards and variables in a URL, which are sent as they stand (RFC 3986 §2).
func checkURLDialect(text string) error {
	switch {
	case urlPattern.MatchString(text):
		return errPlaceholder
	case urlVariable.MatchString(text):
		return errVariable
	}
	return nil
}

// checkValue judges a value that is compared with claims, or sent, as it stands. In a list that keeps people out a value
// that matches nothing lets everybody in.
func (r *Route) checkValue(b *block, key, text string, denies bool) {
	const literal = ", or literal: [values] under route: if it is meant as it stands"
	switch {
	case r.literal("values") || text == "":
	case isList(text):
		b.complain(key, "%s is one value with a comma: write several as a list%s", b.shown(key), literal)
	case valuePattern.MatchString(text), denies && valueSign.MatchString(text):
		b.complain(key, "%s is compared as it stands, because a value is no pattern: %s%s", b.shown(key), instead(keyName(key), text), literal)
	case valueSign.MatchString(text):
		b.warn(key, "%s is compared as it stands, because a value is no pattern: where that is meant, write literal: [values] under route:",
			b.shown(key))
	}
}

// isList reports whether a value looks like several with commas between them. The parts of a distinguished name, as groups
// of directories have, have commas too (RFC 4514).
func isList(text string) bool { return strings.Contains(text, ",") && !strings.Contains(text, "=") }

// instead says what to write in the place of a pattern of values.
func instead(key, text string) string {
	switch {
	case text != "*":
		return "write each value in full"
	case key == "audience_required":
		return "write any, which takes every audience"
	case key == "acl.deny" || key == "claims_forbidden":
		return "write each value in full"
	}
	return "take the key out, if every value may pass"
}
