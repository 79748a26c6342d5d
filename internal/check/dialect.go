package check

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

// A Literal says which texts of a route are meant as they stand, by route.literal.
type Literal []string

// Has reports whether texts of a kind are meant as they stand: claims, paths or values.
func (l Literal) Has(kind string) bool { return slices.Contains(l, kind) }

// Paths judges the paths of a route or a rule. protects says that the paths keep requests out, so that one that matches nothing would
// protect nothing; opens says that they let requests in.
func (c Checker) Paths(paths []string, l Literal, protects, opens bool) {
	for i, p := range paths {
		if key := fmt.Sprintf("paths[%d]", i); !l.Has("paths") {
			c.pathDialect(key, p, protects, opens)
		}
	}
	c.Each("paths", paths, Path)
}

func (c Checker) pathDialect(key, p string, protects, opens bool) {
	switch {
	case pathList.MatchString(p):
		c.Complain(key, "%s: several paths are a list: write each as an element of its own", c.Shown(key))
	case strings.TrimSpace(p) != p:
		c.Complain(key, "%s: a space at its beginning or end matches nothing: take it out", c.Shown(key))
	case pathPattern.MatchString(p), pathGroup.MatchString(p) && protects:
		c.Complain(key, "%s: %s", c.Shown(key), noPattern(p, opens))
	case pathGroup.MatchString(p):
		c.Warn(key, "%s is taken as it stands, its parentheses too: where that is meant, write literal: [paths] under route:", c.Shown(key))
	}
}

// IsPathPattern reports whether a path looks like a pattern, or like several paths in one text.
func IsPathPattern(p string) bool { return pathPattern.MatchString(p) || pathList.MatchString(p) }

// noPattern says what a path is, and what to write in the place of a pattern. A rule that opens something is never advised
// to take a shorter path, which would open more.
func noPattern(p string, opens bool) string {
	const literal = ", or literal: [paths] under route: if it is meant as it stands"
	if opens {
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

// urlDialect refuses placeholders, wildcards and variables in a URL, which are sent as they stand (RFC 3986 §2).
func urlDialect(text string) error {
	switch {
	case urlPattern.MatchString(text):
		return errPlaceholder
	case urlVariable.MatchString(text):
		return errVariable
	}
	return nil
}

// Value judges a value that is compared with claims, or sent, as it stands. denies says that it is in a list that keeps requests
// out: a value that matches nothing would let all of them in.
func (c Checker) Value(key, text string, l Literal, denies bool) {
	const literal = ", or literal: [values] under route: if it is meant as it stands"
	switch {
	case l.Has("values") || text == "":
	case isList(text):
		c.Complain(key, "%s is one value with a comma: write several as a list%s", c.Shown(key), literal)
	case valuePattern.MatchString(text), denies && valueSign.MatchString(text):
		c.Complain(key, "%s is compared as it stands, because a value is no pattern: %s%s", c.Shown(key), instead(KeyName(key), text), literal)
	case valueSign.MatchString(text):
		c.Warn(key, "%s is compared as it stands, because a value is no pattern: where that is meant, write literal: [values] under route:",
			c.Shown(key))
	}
}

// LooksLikePattern reports whether a value looks like a list or a pattern.
func LooksLikePattern(text string) bool {
	return isList(text) || valuePattern.MatchString(text) || valueSign.MatchString(text)
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
