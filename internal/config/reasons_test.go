package config

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/authz"
)

// TestEveryReasonIsExplained checks that explain.md has every reason of the program. TestPagesReasons checks the reverse.
func TestEveryReasonIsExplained(t *testing.T) {
	explained := map[string]bool{}
	for _, p := range mustReadPages(t) {
		if filepath.Base(p.name) == "explain.md" {
			p.rows("| refused", func(_, _ string, cells []string) {
				for _, reason := range texts(cells[1]) {
					explained[reason] = true
				}
			})
		}
	}
	reasons := reasonsOfSources(t)
	for reason, where := range reasons {
		if !explained[reason] {
			t.Errorf("%s: the reason %q is in no table of configs/authorization/explain.md", where, reason)
		}
	}
	if len(reasons) < 60 {
		t.Errorf("only %d reasons were found in the sources", len(reasons))
	}
}

// reasonsOfSources returns the reasons of all refusals, each with a place in the sources.
func reasonsOfSources(t *testing.T) map[string]string {
	t.Helper()
	f := &reasonFinder{t: t, files: gotoken.NewFileSet(), found: map[string]string{}}
	err := filepath.WalkDir("..", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(f.files, name, nil, parser.SkipObjectResolution)
		if err == nil {
			ast.Inspect(file, f.inspect)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	required := reflect.TypeFor[authz.RequiredSettings]()
	for n := range required.NumField() { // the reason of a pair is the setting's name
		f.found[required.Field(n).Tag.Get("yaml")] = "internal/authz/settings.go"
	}
	return f.found
}

// A reasonFinder finds the reasons of auth.Errors: arguments of their constructors, values of the field Reason, and texts of errors that
// are reasons.
type reasonFinder struct {
	t     *testing.T
	files *gotoken.FileSet
	found map[string]string
}

var (
	// constructors are functions whose first argument is a reason.
	constructors = []string{"InvalidToken", "InvalidRequest", "Unavailable", "Forbidden", "forbid", "grantError", "errCredentials"}
	// forwarding are files in which a reason isn't a literal, because it comes from elsewhere.
	forwarding = []string{"../flow/errors.go", "../authz/pairs.go", "../authz/refusal.go", "../auth/error.go", "../proxy/explain.go",
		"../proxy/refusals.go", "../app/console.go"}
	reasonCode = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)+$`)
)

func (f *reasonFinder) inspect(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := calleeOf(n)
		if slices.Contains(constructors, name) {
			f.add(n.Args[0])
		}
		if name == "New" && len(n.Args) == 1 {
			if text, ok := textOf(n.Args[0]); ok && reasonCode.MatchString(text) {
				f.add(n.Args[0])
			}
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Reason" {
			f.add(n.Value)
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if s, ok := left.(*ast.SelectorExpr); ok && s.Sel.Name == "Reason" && len(n.Lhs) == len(n.Rhs) {
				f.add(n.Rhs[i])
			}
		}
	}
	return true
}

// add adds a reason, which must be a literal. A text with spaces is an explanation.
func (f *reasonFinder) add(e ast.Expr) {
	at := f.files.Position(e.Pos())
	switch text, ok := textOf(e); {
	case ok && text != "" && !strings.Contains(text, " "):
		f.found[text] = strings.TrimPrefix(at.String(), "../")
	case !ok && !slices.Contains(forwarding, at.Filename):
		f.t.Errorf("%s: a reason that isn't a literal can't be found: write a literal", at)
	}
}

// calleeOf returns the name of a called function without its package.
func calleeOf(c *ast.CallExpr) string {
	switch fun := c.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}

// textOf returns the value of a string literal.
func textOf(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != gotoken.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil
}
