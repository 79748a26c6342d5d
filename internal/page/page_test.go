package page

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

func mustRender(t *testing.T, s *Set, p *auth.Page, status int) string {
	t.Helper()
	html, err := s.Render(p, status, "id-1")
	if err != nil {
		t.Fatal(err)
	}
	return string(html)
}

// A page can have a list, a form with hidden fields, and two buttons. All values are escaped.
func TestAPageThatAsks(t *testing.T) {
	body := mustRender(t, Builtin(), &auth.Page{
		Title: "Allow access?", Text: "<script>alert(1)</script>", Items: []string{"read",
			"<b>"}, Link: "/oauth2/authorize", Action: "Allow", Post: true,
		Fields: []auth.Field{{Name: "consent", Value: `a"b`}}, Refuse: "Don't",
	}, http.StatusOK)
	for _, expected := range []string{
		`<ul><li>read</li><li>&lt;b&gt;</li></ul>`,
		`<form method="post" action="/oauth2/authorize"><input type="hidden" name="consent" value="a&#34;b">` +
			`<button class="go" id="go">Allow</button>` +
			` <button class="go" id="refuse" name="refuse" value="1">Don&#39;t</button></form>`,
		`&lt;script&gt;`,
	} {
		if !strings.Contains(body, expected) {
			t.Errorf("no %s in %s", expected, body)
		}
	}
	body = mustRender(t, Builtin(), &auth.Page{Title: "Log out?", Link: "/oauth2/logout", Action: "Log out", Post: true}, http.StatusOK)
	if strings.Contains(body, "<ul>") || strings.Contains(body, "hidden") || strings.Contains(body, "refuse") {
		t.Errorf("a page that asks nothing has more than a button: %s", body)
	}
}

// The built-in page passes the checks of an operator's page.
func TestBuiltin(t *testing.T) {
	if _, problems := New(map[string]string{defaultPage: builtinSource, styleName: builtinStyle}); len(problems) > 0 {
		t.Error(problems)
	}
	// without an icon browsers request one, which the policy blocks, and log an error
	body := mustRender(t, Builtin(), &auth.Page{Title: "T"}, http.StatusNotFound)
	if !strings.Contains(body, `<link rel="icon" href="data:,">`) || !strings.Contains(Builtin().Policy(&auth.Page{}), "; img-src data:;") {
		t.Errorf("expected an empty icon that the policy lets in, got the policy %q and\n%s", Builtin().Policy(&auth.Page{}), body)
	}
}

// A page is rendered from the most specific file, or else from the built-in page.
func TestWhichFile(t *testing.T) {
	files := map[string]string{}
	for _, name := range []string{"403.html", "5xx.html", "error.html", "logged_out.html"} {
		files[name] = "the file " + name
	}
	for _, c := range []struct {
		kind   string
		status int
		want   string
		all    string // the file if there is also a page.html
	}{
		{"", 403, "403.html", ""},
		{"", 404, "error.html", ""},
		{"", 502, "5xx.html", ""},
		{"logged_out", 200, "logged_out.html", ""},
		{"logout", 200, "", "page.html"},
		{"choose", 401, "", "page.html"},
	} {
		p := &auth.Page{Kind: c.kind, Title: "T", Link: "/l", Action: "A", Post: c.kind == "logout"}
		set, problems := New(files)
		if problems != nil {
			t.Fatal(problems)
		}
		want := "the file " + c.want
		if c.want == "" {
			want = "<!doctype html>"
		}
		if got := mustRender(t, set, p, c.status); !strings.HasPrefix(got, want) {
			t.Errorf("%s %d: got %.40q, want %s", c.kind, c.status, got, want)
		}
		files[defaultPage] = "the file page.html " + builtinSource
		set, problems = New(files)
		delete(files, defaultPage)
		if problems != nil {
			t.Fatal(problems)
		}
		if c.all != "" {
			want = "the file " + c.all
		}
		if got := mustRender(t, set, p, c.status); !strings.HasPrefix(got, want) {
			t.Errorf("%s %d with page.html: got %.40q, want %s", c.kind, c.status, got, want)
		}
	}
}

var styleElement = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

// The policy has the hash of the page's style sheet, as a browser computes it. That includes the built-in page.
func TestStyle(t *testing.T) {
	for name, sheet := range map[string]string{
		"plain": "p{color:#123}", "CRLF": "p {\r\n color: #123;\r\n}\r\n", "none": "",
		"picture": "p{background:url(data:image/png;base64,AA==)}",
	} {
		files := map[string]string{"403.html": "<p>\n{{.Style}}\n</p>"}
		if sheet != "" {
			files[styleName] = sheet
		}
		set, problems := New(files)
		if problems != nil {
			t.Fatal(name, problems)
		}
		for _, status := range []int{403, 404} {
			m := styleElement.FindStringSubmatch(mustRender(t, set, &auth.Page{Title: "T"}, status))
			if m == nil {
				t.Fatalf("%s: %d: no style", name, status)
			}
			sum := sha256.Sum256([]byte(strings.ReplaceAll(m[1], "\r\n", "\n")))
			if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(set.Policy(&auth.Page{}),
				want) {
				t.Errorf("%s: %d: the policy is %s, want %s", name, status, set.Policy(&auth.Page{}), want)
			}
		}
	}
}

// A template can fail for a page that no sample covers: then the built-in page is rendered, and the error names the file.
func TestFailing(t *testing.T) {
	set, problems := New(map[string]string{"403.html": `half a page {{if eq .Title "Stop"}}{{index .Items 7}}{{end}}`})
	if problems != nil {
		t.Fatal(problems)
	}
	html, err := set.Render(&auth.Page{Title: "Stop", Text: "Not here."}, 403, "id")
	if err == nil || !strings.Contains(err.Error(), "403.html:1") {
		t.Errorf("the error is %v", err)
	}
	if body := string(html); !strings.HasPrefix(body, "<!doctype html>") ||
		!strings.Contains(body, "Not here.") || strings.Contains(body, "half") {
		t.Errorf("it shows %s", body)
	}
}

// Each mistake is found when the pages are loaded.
func TestProblems(t *testing.T) {
	const form = `<form method="post" action="{{.Link}}">`
	const fields = `{{range .Fields}}<input value="{{.Value}}" name={{.Name}}>{{end}}`
	for _, c := range []struct{ file, text, want string }{
		{"403.html", "\n{{.Titel}}", "403.html:2 there is no .Titel here: there are .Action, .Choices, .Fields, " +
			".Items, .Kind, .Link, .NewTab, .Post, .Refuse, .RequestID, .Status, .Style, .Text, .Title"},
		{"choose.html", `{{range .Choices}}<a href="{{.Link}}">{{.Title}}</a>{{end}}`,
			"choose.html:1 there is no .Title here: there are .Link, .Text; $.Title is the page's"},
		{"403.html", "{{.Title.Text}}", "403.html:1 there is no .Text here, a string has no fields: take it out"},
		{"403.html", "{{if .Link}}", "403.html:1 unexpected EOF: write the {{end}}"},
		{"403.html", "{{env}}", `403.html:1 function "env" not defined: Go's`},
		{"403.html", "{{.Title}", `403.html:1 bad character U+007D`},
		{"403.html", `{{template "_head.html" .}}`, `403.html:1 no such template "_head.html": a part is`},
		{"403.html", "{{index .Items 0}}", "403.html:1 {{index .Items 0}}: error calling index"},
		{"error.html", "{{if ge .Status 500}}{{slice .Text 0 9}}{{end}}", "error.html:1 {{slice .Text 0 9}}: error calling slice"},
		{"403.html", "<p {{.Title}}", "403.html:0"},
		{"403.html", "<p>\n<script>alert(1)</script>", "403.html:2 no script runs on these pages (Content-Security-Policy): take it out"},
		{"403.html", "<p\nonclick='x()'>", "403.html:1 no script runs"},
		{"403.html", "<style>p{}</style>", "403.html:1 a <style> of its own"},
		{"403.html", `<p class=a style="color:red">`, "403.html:1 style attributes aren't applied"},
		{"403.html", `<link rel=stylesheet href="/a.css">`, "403.html:1 no sheet is fetched"},
		{"403.html", `<img alt="" src="/logo.png">`, "403.html:1 no picture is fetched"},
		{"403.html", `<iframe src="/x"></iframe>`, "403.html:1 nothing is fetched"},
		{"style.css", "a{}\n@import url(x.css);", "style.css:2 nothing is fetched"},
		{"style.css", "a{background:url('/logo.png')}", "style.css:1 nothing is fetched"},
		{"style.css", "a{}</style><p>", "style.css:1 a sheet holds no HTML"},
		{"_head.html", "{{", "_head.html:1 "},
		{"choose.html", `{{range .Choices}}{{.Text}}{{end}}`, "choose.html:0 it lacks the choices"},
		{"choose.html", `{{with index .Choices 0}}<a href="{{.Link}}">{{.Text}}</a>{{end}}`, "choose.html:0 it lacks the choices"},
		{"logout.html", `<a href="{{.Link}}">Log out</a>`, "logout.html:0 it lacks the form"},
		{"logout.html", `<form action="{{.Link}}"><button>x</button></form>`, "logout.html:0 it lacks the form"},
		{"logout.html", form + `</form>`, "logout.html:0 it lacks the form"},
		{"logout.html", form + `x</form><button>x</button>`, "logout.html:0 it lacks the form's button"},
		{"consent.html", form + `<button>x</button></form>`, "consent.html:0 it lacks the form's hidden fields"},
		{"consent.html", form + `{{range .Fields}}<input type=hidden name="{{.Name}}">{{end}}<button>x</button></form>`,
			"consent.html:0 it lacks the form's hidden fields"},
		{"consent.html", form + `{{range .Fields}}<input value="{{.Value}}" name={{.Name}}>{{end}}<button>x</button></form>`,
			"consent.html:0 it lacks the button that refuses"},
		{"consent.html", form + fields + `<button>x</button><button name="refuse">no</button></form>`,
			"consent.html:0 it lacks the button that refuses"},
		{"consent.html", form + fields + `<button name="refuse" value="1">no</button></form>`, "consent.html:0 it lacks the form's button"},
		{"page.html", "{{.Title}}", "page.html:0 as choose it lacks the choices"},
	} {
		set, problems := New(map[string]string{c.file: c.text})
		if len(problems) == 0 || set != nil {
			t.Errorf("%s: %s: it is taken", c.file, c.text)
			continue
		}
		if p := problems[0]; !strings.HasPrefix(fmt.Sprintf("%s:%d %s", p.File, p.Line, p.Text), c.want) {
			t.Errorf("%s: %s\ngot  %s:%d %s\nwant %s", c.file, c.text, p.File, p.Line, p.Text, c.want)
		}
	}
}

// Unusual but correct files have no problems.
func TestNoProblems(t *testing.T) {
	for _, files := range []map[string]string{
		{"logout.html": `<FORM ACTION={{.Link}} METHOD=POST><input type="submit"></FORM>`},
		{"consent.html": "<form\n action='{{.Link}}'\n method='post'>" +
			"{{range .Fields}}<input value='{{.Value}}' name='{{.Name}}' hidden>{{end}}" +
			"<button>x</button><input type=submit name=refuse value={{.Refuse}}></form>"},
		{"403.html": `{{template "_head.html" .}}{{.Text}}`, "_head.html": `<title>{{.Title}}</title>{{.Style}}`},
		{"403.html": `<img alt="" src="data:image/png;base64,AA=="><svg><use href="#a"/></svg><p>no script, style = calm, on = off</p>`},
		{"4xx.html": `{{define "x"}}{{.Title}}{{end}}{{template "x" .}}`, "5xx.html": `{{define "x"}}other{{end}}{{template "x" .}}`},
	} {
		if _, problems := New(files); problems != nil {
			t.Errorf("%v: %v", files, problems)
		}
	}
}

// configs/pages.md describes every file and every field, and no other.
func TestPagesAreDescribed(t *testing.T) {
	text, err := os.ReadFile("../../configs/pages.md")
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(string(text), -1) {
		for _, name := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(m[1], -1) {
			described[name[1]] = true
		}
	}
	want := map[string]bool{"_NAME.html": true, "pages": true}
	for _, name := range Names() {
		want[name] = true
	}
	for _, field := range fieldsOf(reflect.TypeFor[view]()) {
		want["."+field] = true
	}
	for name := range want {
		if !described[name] {
			t.Errorf("%s isn't described", name)
		}
	}
	for name := range described {
		if !want[name] {
			t.Errorf("%s is described, and isn't there", name)
		}
	}
}
