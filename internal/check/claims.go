package check

import (
	"regexp"
	"slices"
	"strings"
)

var (
	// claimPattern matches paths of JSONPath, JSON Pointer, jq and templates: $.a .a /a a[0] a.* {{.a}}
	claimPattern = regexp.MustCompile(`^[$./]|[*{}\[\]]|^\s|\s$|,`)
	index        = regexp.MustCompile(`^\d+$`)
)

// plainClaims are claims without nested claims: their standards define them as strings, numbers or lists of strings (RFC 7519 §4.1, OIDC
// Core §2 and §5.1, RFC 8693 §4.2).
var plainClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "acr", "amr", "auth_time", "sid", "scope", "client_id",
	"email", "name",
	"preferred_username",
}

// Dotted returns the path that the author of a name with dots or slashes probably meant, as a list.
func Dotted(name string) string {
	names := strings.FieldsFunc(name, func(c rune) bool { return strings.ContainsRune("$./[]{}*, ", c) })
	return strings.Join(slices.DeleteFunc(names, index.MatchString), ", ")
}

// ClaimPath checks a path to a claim: the names from the outermost claim inwards. denies means that the value of the claim refuses
// requests, so that a wrong path would let all requests pass.
func (c Checker) ClaimPath(key string, path []string, l Literal, denies bool) {
	var names []string
	for _, name := range path {
		if d := Dotted(name); d != "" {
			names = append(names, d)
		}
	}
	if len(path) > 0 {
		c.Claim(key, path, "for a claim within a claim write ["+strings.Join(names, ", ")+"]", l, denies)
	}
}

// Claim checks a path to a claim. remedy is the advice for a name that looks like several. A URI is an ordinary name.
func (c Checker) Claim(key string, path []string, remedy string, l Literal, denies bool) {
	const literal = ", or literal: [claims] under route: if it is meant literally"
	if l.Has("claims") {
		return
	}
	for i, name := range path {
		switch uri := strings.Contains(name, ":"); {
		case name == "" && len(path) > 1:
			c.Complain(key, "a name of the path is empty, which matches nothing: take it out")
		case uri:
		case claimPattern.MatchString(name):
			c.Complain(key, "%s is the name of one claim, not a pattern or a list: %s%s", Quote(name), remedy, literal)
		case i > 0 && index.MatchString(name):
			c.Complain(key, "elements of a list can't be selected by position, so %s matches nothing: end the path before it%s",
				Quote(name), literal)
		case strings.Contains(name, ".") && denies:
			c.Complain(key, "%s is one claim whose name has a dot, and requests without it would pass: %s%s", Quote(name), remedy, literal)
		case strings.Contains(name, "."):
			c.Warn(key, "this is one claim whose name has a dot: %s", remedy)
		}
	}
	if len(path) > 1 && slices.Contains(plainClaims, path[0]) {
		c.Complain(key, "%s has no claims within it, so the path matches nothing: write [%s]%s", path[0], path[0], literal)
	}
}
