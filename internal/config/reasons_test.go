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

// Every reason that the program can log stands in explain.md; that each that a page names can be logged, TestPagesReasons says.
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

// reasonsOfSources are the codes of all refusals, each with a place where it is written.
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

// A reasonFinder finds the reasons of auth.Errors: as arguments of what makes them, as the field Reason, and as the text of an
// error that serves as one.
type reasonFinder struct {
	t     *testing.T
	files *gotoken.FileSet
	found map[string]string
}

var (
	// By name: functions whose first argument is a reason.
	makers = []string{"InvalidToken", "InvalidRequest", "Unavailable", "Forbidden", "grantError", "errCredentials"}
	// Where a reason is no literal: these hand on what stands elsewhere.
	handedOn   = []string{"../flow/errors.go", "../authz/pairs.go", "../auth/error.go", "../proxy/explain.go"}
	reasonCode = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)+$`)
)

func (f *reasonFinder) inspect(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := calleeOf(n)
		if slices.Contains(makers, name) {
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

// add takes a reason, which must be written where it is used. What has spaces is explain's own words.
func (f *reasonFinder) add(e ast.Expr) {
	at := f.files.Position(e.Pos())
	switch text, ok := textOf(e); {
	case ok && text != "" && !strings.Contains(text, " "):
		f.found[text] = strings.TrimPrefix(at.String(), "../")
	case !ok && !slices.Contains(handedOn, at.Filename):
		f.t.Errorf("%s: a reason that isn't written where it is used can't be found: write it there", at)
	}
}

// calleeOf is the bare name of what is called.
func calleeOf(c *ast.CallExpr) string {
	switch fun := c.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}

// textOf is a string literal's value.
func textOf(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != gotoken.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil
}
