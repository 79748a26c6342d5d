package importer

import (
	"regexp"
	"strconv"
	"strings"
)

// denied is the expression that no request satisfies.
const denied = "false"

// celText returns a text as a string of an expression.
func celText(text string) string { return strconv.Quote(strings.ToValidUTF8(text, "�")) }

// celList returns texts as a list of an expression.
func celList(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = celText(t)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

var celName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// celKeywords are names that an expression can't select with a dot.
var celKeywords = map[string]bool{"in": true, "as": true, "break": true, "const": true, "continue": true, "else": true, "for": true,
	"function": true, "if": true, "import": true, "let": true, "loop": true, "package": true, "namespace": true, "return": true, "var": true,
	"void": true, "while": true, "true": true, "false": true, "null": true}

// celMember returns the member of a mapping, and the expression that is true if the mapping has it.
func celMember(mapping, name string) (member, has string) {
	if celName.MatchString(name) && !celKeywords[name] {
		return mapping + "." + name, "has(" + mapping + "." + name + ")"
	}
	return mapping + "[" + celText(name) + "]", celText(name) + " in " + mapping
}

// celClaim returns the claim at a path in a set of claims, and the expression that is true if the set has it.
func celClaim(set string, path []string) (claim, has string) {
	var checks []string
	claim = set
	for _, name := range path {
		var check string
		claim, check = celMember(claim, name)
		checks = append(checks, check)
	}
	return claim, strings.Join(checks, " && ")
}

// claimSets says which sets of claims a user can have besides the ID token.
type claimSets struct {
	userinfo bool // it is requested
	token    bool // clients may send access tokens
}

// claim returns the claim of a user: that of the ID token, else of userinfo, and of a token that the client sent. An expression with a
// claim that is missing can't be evaluated, which refuses the request.
func (s claimSets) claim(path []string) string {
	value, has := celClaim("id_token", path)
	if s.userinfo {
		other, _ := celClaim("userinfo", path)
		value = has + " ? " + value + " : " + other
	}
	if s.token {
		presented, _ := celClaim("claims", path)
		value = "token.presented ? " + presented + " : " + value
	}
	if s.userinfo || s.token {
		return "(" + value + ")"
	}
	return value
}

// names returns the sets as a list of an expression.
func (s claimSets) names() string {
	list := "id_token"
	if s.userinfo {
		list += ", userinfo"
	}
	if s.token {
		list += ", token.presented ? claims : id_token"
	}
	return "[" + list + "]"
}

// oneOf returns the expression that is true if an element of a list is one of some texts.
func oneOf(list string, texts []string) string {
	if len(texts) == 1 {
		return celText(texts[0]) + " in " + list
	}
	return list + ".exists(v, v in " + celList(texts) + ")"
}

// celAnd joins expressions, each of which is complete in itself. Empty ones are left out.
func celAnd(parts ...string) string { return celJoin(" && ", denied, "true", parts) }

// celOr joins alternatives.
func celOr(parts ...string) string { return celJoin(" || ", "true", denied, parts) }

// celJoin joins expressions. One that is equal to decisive decides alone, and those that are equal to neutral are left out.
func celJoin(operator, decisive, neutral string, parts []string) string {
	var all []string
	for _, p := range parts {
		switch p {
		case decisive:
			return decisive
		case "", neutral:
		default:
			all = append(all, p)
		}
	}
	switch len(all) {
	case 0:
		return neutral
	case 1:
		return all[0]
	}
	for i, p := range all {
		if splits(p, operator) {
			all[i] = "(" + p + ")"
		}
	}
	return strings.Join(all, operator)
}

// splits reports whether an expression has an operator outside of parentheses and texts that binds less than operator, or another one.
func splits(text, operator string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		case depth == 0 && (c == '?' || (c == '&' || c == '|') && c != operator[1]):
			return true
		}
	}
	return false
}

// maxExpression is the longest expression that a rule takes.
const maxExpression = 4096
