package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/strict"
)

// These tests check the pages in configs: their tables of settings and of reasons, their links and their YAML. Package e2e tests their
// commands.

// A doc is a page.
type doc struct {
	name  string
	lines []string
}

// mustReadPages returns the pages in configs, the README and the changelog.
func mustReadPages(t *testing.T) (all []doc) {
	t.Helper()
	names, err := filepath.Glob("../../configs/flows/*.md")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d pages, %v", len(names), err)
	}
	more, err := filepath.Glob("../../configs/authorization/*.md")
	if err != nil || len(more) < 6 {
		t.Fatalf("%d pages of configs/authorization, %v", len(more), err)
	}
	providers, err := filepath.Glob("../../configs/providers/*.md")
	if err != nil || len(providers) < 6 {
		t.Fatalf("%d pages of configs/providers, %v", len(providers), err)
	}
	top, err := filepath.Glob("../../configs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(slices.Concat(names, more, providers), append(top, "../../README.md", "../../CHANGELOG.md")...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, doc{name, strings.Split(string(text), "\n")})
	}
	return all
}

// rows calls row with each row of the tables whose first line begins with head. The argument where is the place of the row, and first is
// the first cell of the head.
func (p *doc) rows(head string, row func(where, first string, cells []string)) {
	first, inside := "", false
	for n, line := range p.lines {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case strings.HasPrefix(line, head):
			first, inside = cells[0], true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && !strings.HasPrefix(line, "|---"):
			row(fmt.Sprintf("%s:%d", p.name, n+1), first, cells)
		}
	}
}

var (
	quoted = regexp.MustCompile("`([^`]*)`")
	below  = regexp.MustCompile("below `([a-z_]+):`")
)

// TestPagesSettings checks that every setting of the oidc block is in a table of the pages, with its type and its default.
func TestPagesSettings(t *testing.T) {
	seen := map[string]string{}
	for _, p := range mustReadPages(t) {
		p.rows("| setting", func(where, first string, cells []string) {
			parent := ""
			if m := below.FindStringSubmatch(first); m != nil {
				parent = m[1] + "."
			}
			names, types, defaults := texts(cells[0]), strings.Split(cells[1], ", "), texts(cells[2])
			for i, name := range names {
				if seen[parent+name] != "" {
					t.Errorf("%s: %s is at %s too", where, name, seen[parent+name])
				}
				seen[parent+name] = where
				checkRow(t, where, parent+name, nth(types, i), nth(defaults, i))
			}
		})
	}
	for _, f := range oidcShape.Fields {
		typ, nested := strict.Structure(f.Type)
		if nested && f.Type.Kind() == reflect.Pointer {
			allBelow(t, seen, f.Name, typ)
		} else if seen[f.Name] == "" {
			t.Errorf("%s is in no table of settings in configs/flows: add it to the flow's page, or to settings.md", f.Name)
		}
	}
}

// allBelow checks that the pages have all settings below a struct type.
func allBelow(t *testing.T, seen map[string]string, path string, typ reflect.Type) {
	for _, f := range strict.ShapeOf(typ).Fields {
		name := path + "." + f.Name
		elem := f.Type
		if elem.Kind() == reflect.Slice {
			elem = elem.Elem()
		}
		if inner, nested := strict.Structure(elem); nested {
			if elem != f.Type {
				name += "[]"
			}
			allBelow(t, seen, name, inner)
		} else if seen[name] == "" {
			t.Errorf("%s is in no table of settings in configs/flows", name)
		}
	}
}

// texts returns the quoted texts of a cell. The word none is an empty text.
func texts(cell string) (all []string) {
	for rest := cell; rest != ""; {
		m := quoted.FindStringSubmatchIndex(rest)
		if strings.HasPrefix(rest, "none") {
			all, rest = append(all, ""), rest[4:]
		} else if m != nil && m[0] == 0 {
			all, rest = append(all, rest[m[2]:m[3]]), rest[m[1]:]
		}
		_, rest, _ = strings.Cut(rest, ", ")
	}
	return all
}

// nth returns the value at an index, or the only value.
func nth(list []string, i int) string {
	if len(list) == 1 {
		return list[0]
	}
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

// checkRow checks the type and the default of a setting in a row.
func checkRow(t *testing.T, where, path, typ, byDefault string) {
	t.Helper()
	at, f, tag := reflect.TypeFor[OIDC](), (*strict.Field)(nil), reflect.StructTag("")
	for name := range strings.SplitSeq(path, ".") {
		s, nested := strict.Structure(at)
		name = strings.TrimSuffix(name, "[]")
		if !nested || strict.ShapeOf(s).ByName[name] == nil {
			t.Errorf("%s: there is no setting %s", where, path)
			return
		}
		f = strict.ShapeOf(s).ByName[name]
		tag = s.FieldByIndex(f.Index).Tag
		at = f.Type
		if at.Kind() == reflect.Slice {
			at = at.Elem()
		}
	}
	if want := kindOf(f.Type); typ != want {
		t.Errorf("%s: %s is a %s, and the page says %s", where, path, want, typ)
	}
	want := tag.Get("default")
	if c, ok := reflect.Zero(strict.Element(f.Type)).Interface().(strict.Choices); ok {
		if _, defaults := c.Choices(f.Name); len(defaults) > 0 {
			want = "[" + strings.Join(defaults, ", ") + "]"
		}
	}
	if byDefault != want {
		t.Errorf("%s: the default of %s is %q, and the page says %q", where, path, want, byDefault)
	}
}

// kindOf returns the word of the pages for a type.
func kindOf(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case strict.SecretType:
		return "secret"
	case strict.DurationType:
		return "time"
	}
	return map[reflect.Kind]string{
		reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "number", reflect.Slice: "list", reflect.Struct: "mapping",
	}[t.Kind()]
}

// TestPagesReasons checks that the program has every reason that a page names.
func TestPagesReasons(t *testing.T) {
	reasons := reasonsOfSources(t)
	found := 0
	for _, p := range mustReadPages(t) {
		p.rows("| refused", func(where, _ string, cells []string) {
			for _, reason := range texts(cells[1]) {
				found++
				if reasons[reason] == "" {
					t.Errorf("%s: no request is refused for %q", where, reason)
				}
			}
		})
	}
	if found < 50 {
		t.Errorf("only %d reasons were found", found)
	}
}

var (
	link     = regexp.MustCompile(`\]\(([^):#]*)(#[^)]*)?\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInURL = regexp.MustCompile("[^a-z0-9 _-]")
)

// anchor returns the anchor of a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(notInURL.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// TestPagesLinks checks that the files and headings of all links exist.
func TestPagesLinks(t *testing.T) {
	for _, p := range mustReadPages(t) {
		for _, m := range link.FindAllStringSubmatch(strings.Join(p.lines, "\n"), -1) {
			file := p.name
			if m[1] != "" {
				file = filepath.Join(filepath.Dir(p.name), m[1])
			}
			if _, err := os.Stat(file); err != nil || m[2] != "" && !hasHeading(file, m[2][1:]) {
				t.Errorf("%s: the link to %s leads nowhere", p.name, m[1]+m[2])
			}
		}
	}
}

func hasHeading(file, name string) bool {
	text, _ := os.ReadFile(file)
	return slices.ContainsFunc(headings.FindAllStringSubmatch(string(text), -1), func(h []string) bool { return anchor(h[1]) == name })
}

// TestPagesPictures checks that pictures are plain text of at most 100 columns.
func TestPagesPictures(t *testing.T) {
	for _, p := range mustReadPages(t) {
		inside := false
		for n, line := range p.lines {
			switch {
			case strings.HasPrefix(line, "```"):
				inside = line == "```text"
			case inside && (len(line) > 100 || strings.ContainsFunc(line, func(r rune) bool { return r > '~' && r != '✗' })):
				t.Errorf("%s:%d: a picture is ASCII of at most 100 columns, besides the mark of sallyport explain", p.name, n+1)
			}
		}
	}
}
