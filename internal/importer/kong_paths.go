package importer

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/strict"
)

var (
	// oldPlainPath matches the paths that aren't regular expressions in formats before 3.0.
	oldPlainPath = regexp.MustCompile(`^[a-zA-Z0-9._~/%-]*$`)
	// prefixEnding matches the ends of regular expressions that make them a prefix.
	prefixEnding = regexp.MustCompile(`(?:\.\*|/\.\*|\(/\.\*\)\??|\(\?:/\.\*\)\??|/\(\.\*\)|\(\.\*\)|/\?|/)\$?$`)
	plainPrefix  = regexp.MustCompile(`^[a-zA-Z0-9_/-]*$`)
)

// A pathMatch is a path of Kong's route as a prefix, and what a path below it must fulfil besides.
type pathMatch struct {
	prefix    string
	condition string // an expression; empty: every path below the prefix
	whole     bool   // strip_path of Kong removes more than the prefix

	expression bool // it is a regular expression in Kong
}

// pathsOf returns the paths of a route of Kong. Without any it takes all.
func (k *kong) pathsOf(route *entity) (all []pathMatch) {
	for _, v := range route.list("paths") {
		if v.Kind == strict.Scalar {
			all = append(all, k.pathOf(v))
		}
	}
	if len(all) == 0 {
		all = []pathMatch{{prefix: "/"}}
	}
	return all
}

// pathOf returns a path. One that begins with ~ is a regular expression.
func (k *kong) pathOf(v *strict.Value) pathMatch {
	expression, isExpression := strings.CutPrefix(v.Text, "~")
	if !isExpression && k.version < "3" && !oldPlainPath.MatchString(v.Text) {
		isExpression = true
	}
	if !isExpression {
		return pathMatch{prefix: prefixOf(v.Text)}
	}
	expression = strings.TrimPrefix(expression, "^")
	if bare := prefixEnding.ReplaceAllString(expression, ""); plainPrefix.MatchString(bare) {
		return pathMatch{prefix: prefixOf(bare), expression: true, whole: bare != expression && !strings.HasSuffix(expression, "/")}
	}
	return k.expressionPath(v, expression)
}

// expressionPath returns the path of a regular expression: the segments before its first operator, and an expression for the rest.
func (k *kong) expressionPath(v *strict.Value, expression string) pathMatch {
	m := pathMatch{condition: never, expression: true, whole: true}
	literal := literalOf(expression)
	if compiled, err := regexp.Compile(expression); err == nil {
		literal, _ = compiled.LiteralPrefix()
		m.condition = "request.path.matches(" + strconv.Quote("^(?:"+expression+")") + ")"
	}
	m.prefix = prefixOf(literal[:strings.LastIndex(literal, "/")+1])
	if m.condition == never {
		k.Notef(v.Mark, "the regular expression %q isn't one of RE2: all requests below %s are refused; write prefixes, or an expression with "+
			"request.path.matches", expression, m.prefix)
		return m
	}
	k.Notef(v.Mark, "the gate chooses routes by prefixes: the route has all paths below %s, and refuses with 403 those that don't match %q",
		m.prefix, expression)
	return m
}

// literalOf returns a text with which all paths begin that match an expression, which isn't one of RE2.
func literalOf(expression string) string {
	if strings.Contains(expression, "|") {
		return ""
	}
	end := strings.IndexAny(expression+"$", `\.+*?()[]{}^$`)
	if end > 0 && strings.ContainsAny((expression + "$")[end:end+1], "?*{+") { // of the last character
		end--
	}
	return expression[:end]
}

// prefixOf returns a path of Kong as a prefix of whole segments. It leaves a path that the gate doesn't take for check to refuse.
func prefixOf(path string) string {
	if decoded, err := url.PathUnescape(path); err == nil && !strings.Contains(strings.ToLower(path), "%2f") {
		path = decoded
	}
	if trimmed := strings.TrimRight(path, "/"); trimmed != "" {
		return trimmed
	}
	return "/"
}

// covers reports whether a prefix of whole segments covers a path.
func covers(prefix, path string) bool {
	return prefix == "/" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// noteBeginnings notes that Kong compares the beginnings of paths: /admin takes /administrator as well, which now belongs to another route.
func (k *kong) noteBeginnings(groups []*group) {
	for _, g := range groups {
		for _, path := range g.paths {
			if path == "/" || g.claims[0].policy.open() {
				continue
			}
			for _, other := range groups {
				if other != g && other.takes(g.hosts, path) && !sameProtection(other.claims[0], g.claims[0]) {
					k.Notef(g.claims[0].route.at("paths"), "Kong sends every path that begins with %s here, such as %s; here these have the "+
						"rules of the route %s: write a route for them if they exist", path, path+"x", other.name)
					break
				}
			}
		}
	}
}

// takes reports whether a group has a shorter prefix of a path on one of the hosts.
func (g *group) takes(hosts []string, path string) bool {
	if len(g.hosts) > 0 && !slices.Equal(g.hosts, hosts) {
		return false
	}
	for _, prefix := range g.paths {
		if prefix != path && covers(prefix, path) {
			return true
		}
	}
	return false
}

func sameProtection(a, b *claim) bool {
	return a.policy.oidc == b.policy.oidc && a.policy.oauth2 == b.policy.oauth2 && a.policy.acl == b.policy.acl &&
		a.policy.closed == b.policy.closed
}
