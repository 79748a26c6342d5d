package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sallyport/internal/strict"
	"slices"
	"strings"
	"testing"
	"time"
)

// The pages of configs: what they say of settings, of reasons in the log and of other files is so. That their commands
// do what they show, internal/e2e tests.

// A doc is one of them.
type doc struct {
	name  string
	lines []string
}

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
	top, err := filepath.Glob("../../configs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(slices.Concat(names, more), append(top, "../../README.md", "../../CHANGELOG.md")...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, doc{name, strings.Split(string(text), "\n")})
	}
	return all
}

// rows are the cells of the tables whose first line begins with head; first is the text of its first cell.
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

// Every setting of the oidc: block is in a table of the pages, with its type and its default.
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
					t.Errorf("%s: %s stands at %s, too", where, name, seen[parent+name])
				}
				seen[parent+name] = where
				checkRow(t, where, parent+name, nth(types, i), nth(defaults, i))
			}
		})
	}
	for i := range oidcShape.Fields {
		f := &oidcShape.Fields[i]
		typ, nested := strict.Structure(f.Type)
		if nested && f.Type.Kind() == reflect.Pointer {
			allBelow(t, seen, f.Name, typ)
		} else if seen[f.Name] == "" {
			t.Errorf("%s is in no table of settings in configs/flows: write it into the flow's page, or into settings.md", f.Name)
		}
	}
}

// allBelow demands that the members of a mapping are there, and theirs.
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

// texts are the quoted texts of a cell, or "" for none.
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

// nth is a value for each, or the one for all.
func nth(list []string, i int) string {
	if len(list) == 1 {
		return list[0]
	}
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

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

// kindOf is how the pages call a type.
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
	return map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "number", reflect.Slice: "list", reflect.Struct: "mapping"}[t.Kind()]
}

// Every reason that a page names is one that the program can log.
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

// anchor is how a heading is named in links.
func anchor(heading string) string {
	return strings.ReplaceAll(notInURL.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// Every link leads to a file that is there, and to a heading in it.
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

// Pictures are plain text that fits a window.
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

// Every piece of YAML in a page loads; "# ..." stands for issuer and client, and what no piece says stands around it.
func TestPagesYAML(t *testing.T) {
	dir := t.TempDir()
	mustWriteClient(t, dir)
	if err := os.CopyFS(filepath.Join(dir, "pages"), os.DirFS("../../configs/pages")); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range mustReadPages(t) {
		var snippet []string
		inside := false
		for n, line := range p.lines {
			switch {
			case line == "```yaml":
				inside, snippet = true, nil
			case line == "```" && inside:
				inside = false
				found++
				name := filepath.Join(dir, fmt.Sprintf("%s-%d.yaml", filepath.Base(p.name), n))
				if err := os.WriteFile(name, []byte(whole(snippet)), 0o600); err != nil {
					t.Fatal(err)
				}
				mustLoadExample(t, name)
			case inside && strings.TrimSpace(line) == "# ...":
				indent, _, _ := strings.Cut(line, "#")
				snippet = append(snippet, indent+"issuer: https://idp.example.com/realms/main", indent+"client_id: app")
			case inside:
				snippet = append(snippet, line)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d pieces were found", found)
	}
}

// whole is a piece of a file with the route and the issuer that it leaves out.
func whole(piece []string) string {
	begins := func(keys ...string) bool {
		return slices.ContainsFunc(piece, func(line string) bool {
			return slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(line, key+":") })
		})
	}
	text := strings.Join(piece, "\n") + "\n"
	if !begins("route", "routes") {
		text += "route: {upstream: http://127.0.0.1:8081}\n"
	}
	if !begins("oidc", "routes") {
		text += "oidc: {issuer: https://idp.example.com/realms/main, client_id: app}\n"
	}
	return text
}

// mustWriteClient writes what the pages' clients have: a secret, a key and a certificate.
func mustWriteClient(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string][]byte{"JWK_X": public[1:33], "JWK_Y": public[33:], "JWK_D": private} {
		t.Setenv(name, base64.RawURLEncoding.EncodeToString(value))
	}
	t.Setenv("OIDC_CLIENT_SECRET", "secret")
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"oidc-secret": []byte("0123456789abcdef0123456789abcdef"),
		"client.pem":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"client.key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
