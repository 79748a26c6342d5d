package authz

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// comparisons are the functions that compare a string literally.
var comparisons = []string{operators.Equals, operators.NotEquals, operators.In, "startsWith", "endsWith"}

// checkLiterals returns an error if an expression compares a field of the request with a string that it can never be equal to, such as a
// pattern of another tool. Such a rule would refuse every request, or with != none.
func checkLiterals(ast *cel.Ast) error {
	for _, e := range celast.MatchDescendants(celast.NavigateAST(ast.NativeRep()), celast.KindMatcher(celast.CallKind)) {
		call := e.AsCall()
		if !slices.Contains(comparisons, call.FunctionName()) {
			continue
		}
		sides := call.Args()
		if call.IsMemberFunction() {
			sides = append([]celast.Expr{call.Target()}, sides...)
		}
		if len(sides) != 2 {
			continue
		}
		whole := !call.IsMemberFunction()
		for n, side := range sides {
			if field := requestField(side); field != "" {
				for _, text := range literalTexts(sides[1-n]) {
					if err := checkLiteral(field, text, whole); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// requestField returns the field of request that an expression selects, or "".
func requestField(e celast.Expr) string {
	if e.Kind() != celast.SelectKind {
		return ""
	}
	s := e.AsSelect()
	if operand := s.Operand(); operand.Kind() != celast.IdentKind || operand.AsIdent() != "request" {
		return ""
	}
	return s.FieldName()
}

// literalTexts returns the string of a literal, or all strings of a list.
func literalTexts(e celast.Expr) (all []string) {
	switch e.Kind() {
	case celast.LiteralKind:
		if text, ok := e.AsLiteral().Value().(string); ok {
			all = append(all, text)
		}
	case celast.ListKind:
		for _, element := range e.AsList().Elements() {
			all = append(all, literalTexts(element)...)
		}
	}
	return all
}

// pattern matches the path patterns of other tools.
var pattern = regexp.MustCompile(`\*|\{\w*\}|\[\^|\.\+|^\^|\$$|\(\?`)

// checkLiteral checks a string that a field is compared with. Whole means that it is compared with the whole field.
func checkLiteral(field, text string, whole bool) error {
	switch {
	case field == "client_ip" && whole:
		a, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("request.client_ip is one address, and %q is none: "+
				"for a network of whole parts write request.client_ip.startsWith(\"10.\"), and list several addresses", text)
		}
		if a.String() != text {
			return fmt.Errorf("request.client_ip is written %q, never %q", a, text)
		}
	case field == "path" && pattern.MatchString(text):
		return fmt.Errorf("request.path is compared with %q as it stands: "+
			"write request.path.startsWith(\"/admin/\"), or request.path.matches(...) for a regular expression", text)
	case field == "path" && whole && !strings.HasPrefix(text, "/"):
		return fmt.Errorf("request.path begins with a slash, and %q doesn't", text)
	case field == "method" && strings.ToUpper(text) != text:
		return fmt.Errorf("request.method is in upper case: write %q", strings.ToUpper(text))
	case field == "scheme" && whole && text != "http" && text != "https":
		return fmt.Errorf("request.scheme is http or https, never %q", text)
	}
	return nil
}
