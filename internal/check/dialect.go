package check

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Other tools interpret some texts as a pattern, a list, a placeholder or a variable. The gate compares all texts literally, so a rule with
// such a text would protect nothing. These checks refuse it and show what to write instead. If the text may be meant literally and protects
// nothing, they only warn. With route.literal they accept it.

var (
	// pathPattern matches regular expressions, globs and placeholders: /a/.+ /a/* /users/{id} /users/:id /a$ ~ ^/a (?i)/a
	pathPattern = regexp.MustCompile("[*^|<>\"`{}\\[\\]\\\\]|\\(\\?|\\.\\+|\\)[+?]|\\$(/|$)|/:[A-Za-z_]|^[~=@]")
	pathList    = regexp.MustCompile(`,\s*(/|https?:)`)
	pathGroup   = regexp.MustCompile(`[()]`) // a group of a regular expression, or an OData key

	valuePattern = regexp.MustCompile(`^\*$|\.[*+]|^\^|\$$|\[(\^|[a-z]-|0-9)|\(\?|\{[\w.]+\}`)
	valueSign    = regexp.MustCompile(`[*|]|^!`) // of a pattern, and also in literal values

	urlPattern  = regexp.MustCompile("[{}<>^|\"`\\\\\\s]|/\\*")
	urlVariable = regexp.MustCompile(`\$(\d|(host|http_\w+|arg_\w+|is_args|args|query_string|uri|request_uri|document_uri|` +
		`escaped_request_uri|scheme|server_name|remote_addr)\b)`)
	hostPattern = regexp.MustCompile("[*{}$<>()|^~\\[\\]!'\";,=&+]")
)

// A Literal is the setting route.literal: the kinds of texts that are meant literally.
type Literal []string

// Has reports whether texts of a kind, claims, paths or values, are meant literally.
func (l Literal) Has(kind string) bool { return slices.Contains(l, kind) }

// Paths checks the paths of a route or a rule. protects means that the rule refuses requests, so that a path without a match would protect
// nothing. opens means that the rule lets requests pass.
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
		c.Complain(key, "%s: write several paths as a list, each as an element of its own", c.Shown(key))
	case strings.TrimSpace(p) != p:
		c.Complain(key, "%s: a space at its beginning or end matches nothing: take it out", c.Shown(key))
	case pathPattern.MatchString(p), pathGroup.MatchString(p) && protects:
		c.Complain(key, "%s: %s", c.Shown(key), noPattern(p, opens))
	case pathGroup.MatchString(p):
		c.Warn(key, "%s is compared literally, with its parentheses: if that is meant, write literal: [paths] under route:", c.Shown(key))
	}
}

// IsPathPattern reports whether a path looks like a pattern, or like several paths in one text.
func IsPathPattern(p string) bool { return pathPattern.MatchString(p) || pathList.MatchString(p) }

// noPattern returns the error text for a path that looks like a pattern, with the path to write instead. If the rule opens the path, it
// doesn't propose a shorter path, which would open more.
func noPattern(p string, opens bool) string {
	const literal = ", or literal: [paths] under route: if it is meant literally"
	if opens {
		return "a path isn't a pattern: write each path in full" + literal
	}
	prefix := plainPrefix(p)
	if prefix == "/" {
		return "a path is a prefix of whole segments, not a pattern: write such prefixes, check request.path in a rule's allow" + literal
	}
	return fmt.Sprintf("a path is a prefix of whole segments, not a pattern: write %s, which is %s and everything below it, "+
		"or check request.path in a rule's allow%s", prefix, prefix, literal)
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
	errPlaceholder = errors.New("placeholders and wildcards aren't supported in a URL: " +
		"write it as it is sent, with such characters as percent escapes")
	errVariable = errors.New("variables aren't supported in a URL: write it as it is sent, with a literal $ as %24")
)

// urlDialect returns an error for placeholders, wildcards and variables in a URL, which would be sent literally (RFC 3986 §2).
func urlDialect(text string) error {
	switch {
	case urlPattern.MatchString(text):
		return errPlaceholder
	case urlVariable.MatchString(text):
		return errVariable
	}
	return nil
}

// Value checks a value that is compared with claims or sent. denies means that it is in a list that refuses requests, so that a value
// without a match would let all requests pass.
func (c Checker) Value(key, text string, l Literal, denies bool) {
	const literal = ", or literal: [values] under route: if it is meant literally"
	switch {
	case l.Has("values") || text == "":
	case isList(text):
		c.Complain(key, "%s is one value with a comma: write several values as a list%s", c.Shown(key), literal)
	case valuePattern.MatchString(text), denies && valueSign.MatchString(text):
		c.Complain(key, "%s is compared literally, because a value isn't a pattern: %s%s",
			c.Shown(key), instead(KeyName(key), text), literal)
	case valueSign.MatchString(text):
		c.Warn(key, "%s is compared literally, because a value isn't a pattern: if that is meant, write literal: [values] under route:",
			c.Shown(key))
	}
}

// LooksLikePattern reports whether a value looks like a list or a pattern.
func LooksLikePattern(text string) bool {
	return isList(text) || valuePattern.MatchString(text) || valueSign.MatchString(text)
}

// isList reports whether a value looks like a list with commas. A distinguished name, such as a group of a directory, isn't a list: it has
// commas and = (RFC 4514).
func isList(text string) bool { return strings.Contains(text, ",") && !strings.Contains(text, "=") }

// instead returns what to write instead of a pattern.
func instead(key, text string) string {
	switch {
	case text != "*":
		return "write each value in full"
	case key == "audience_required":
		return "write any, which accepts every audience"
	case key == "acl.deny" || key == "claims_forbidden":
		return "write each value in full"
	}
	return "take the key out, if every value may pass"
}
