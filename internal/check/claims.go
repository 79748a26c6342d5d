package check

import (
	"regexp"
	"slices"
	"strings"
)

var (
	// claimPattern finds what JSONPath, JSON Pointer, jq and templates write: $.a .a /a a[0] a.* {{.a}}
	claimPattern = regexp.MustCompile(`^[$./]|[*{}\[\]]|^\s|\s$|,`)
	index        = regexp.MustCompile(`^\d+$`)
)

// plainClaims are texts, numbers or lists of texts by their standards (RFC 7519 §4.1, OIDC Core §2 and §5.1, RFC 8693 §4.2):
// there is no claim within them.
var plainClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "acr", "amr", "auth_time", "sid", "scope", "client_id", "email", "name",
	"preferred_username",
}

// Dotted returns the path that a name with dots or slashes may have been meant as.
func Dotted(name string) string {
	names := strings.FieldsFunc(name, func(c rune) bool { return strings.ContainsRune("$./[]{}*, ", c) })
	return strings.Join(slices.DeleteFunc(names, index.MatchString), ", ")
}

// ClaimPath judges a path to a claim: the names from the outermost claim inwards. denies says that requests are kept out by what is
// there: a path that leads nowhere would let all of them in.
func (c Checker) ClaimPath(key string, path []string, l Literal, denies bool) {
	var names []string
	for _, name := range path {
		if d := Dotted(name); d != "" {
			names = append(names, d)
		}
	}
	if len(path) > 0 {
		c.Claim(key, path, "where it is a claim within a claim, write ["+strings.Join(names, ", ")+"]", l, denies)
	}
}

// Claim judges a path to a claim, of one name where claims at the top are named. A name that is a URI is a claim's usual name.
func (c Checker) Claim(key string, path []string, remedy string, l Literal, denies bool) {
	const literal = ", or literal: [claims] under route: if it is meant as it stands"
	if l.Has("claims") {
		return
	}
	for i, name := range path {
		switch uri := strings.Contains(name, ":"); {
		case name == "" && len(path) > 1:
			c.Complain(key, "a name of the path is empty, and matches nothing: take it out")
		case uri:
		case claimPattern.MatchString(name):
			c.Complain(key, "%s is one claim's name, and no pattern and no list: %s%s", Quote(name), remedy, literal)
		case i > 0 && index.MatchString(name):
			c.Complain(key, "a list isn't looked into by position, so %s matches nothing: end the path before it%s", Quote(name), literal)
		case strings.Contains(name, ".") && denies:
			c.Complain(key, "%s is one claim whose name has a dot, and where it is missing all may pass: %s%s", Quote(name), remedy, literal)
		case strings.Contains(name, "."):
			c.Warn(key, "this is one claim whose name has a dot: %s", remedy)
		}
	}
	if len(path) > 1 && slices.Contains(plainClaims, path[0]) {
		c.Complain(key, "there is no claim within %s, so the path matches nothing: write [%s]%s", path[0], path[0], literal)
	}
}
