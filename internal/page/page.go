// Package page holds the HTML pages that people see: the built-in ones, and the operator's own in their place.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

const (
	styleName = "style.css"
	forAll    = "page.html" // of every page that has no file of its own
)

//go:embed page.html
var builtinSource string

//go:embed style.css
var builtinStyle string

var builtinTemplate = template.Must(template.New(forAll).Parse(builtinSource))

// A Set is one folder's pages. It is immutable.
type Set struct {
	own    map[string]*template.Template // by the file's name
	style  string                        // the sheet
	policy string
}

// Builtin are the pages where nobody has brought any.
func Builtin() *Set { return builtin }

var builtin = &Set{style: builtinStyle, policy: policy(builtinStyle)}

// policy lets a page show itself, its one style sheet, named by its hash, and pictures and fonts that it holds itself: no
// script, no outside resource, no frame. Forms may lead to the provider, where a logout goes on.
func policy(style string) string {
	return "default-src 'none'; style-src " + hashOf(style) + "; img-src data:; font-src data:; base-uri 'none'; frame-ancestors 'none'"
}

// submits is the one script that a page may have: it presses the button of the page's form.
const submits = "document.forms[0].submit()"

// submitTemplate is the built-in page with that script.
var submitTemplate = template.Must(template.New(forAll).Parse(strings.Replace(builtinSource, "</body>", "<script>"+submits+"</script>\n</body>", 1)))

// hashOf is how a policy names an inline text (CSP Level 3 §2.3.1).
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// view is what a template sees: its fields are the operator's interface, and configs/pages.md describes them.
type view struct {
	*auth.Page
	Kind      string // choose, logout, logged_out, consent, or error
	Status    int
	RequestID string
	Style     template.HTML // the whole element
}

func (s *Set) view(p *auth.Page, status int, id string) view {
	v := view{Page: p, Kind: p.Kind, Status: status, RequestID: id, Style: template.HTML("<style>" + s.style + "</style>")} // #nosec G203: an operator's sheet, without </style
	if v.Kind == "" {
		v.Kind = "error"
	}
	return v
}

// Render returns a page as HTML. If the operator's own template fails, it is the built-in page, and the error says why.
func (s *Set) Render(p *auth.Page, status int, id string) (html []byte, err error) {
	v := s.view(p, status, id)
	if p.Kind == auth.PageSubmit {
		return execute(submitTemplate, v)
	}
	for _, name := range candidates(p.Kind, status) {
		t := s.own[name]
		if t == nil {
			continue
		}
		if html, err = execute(t, v); err == nil {
			return html, nil
		}
		break
	}
	html, failure := execute(builtinTemplate, v)
	if failure != nil {
		return nil, failure
	}
	return html, err
}

func execute(t *template.Template, v view) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, err
	}
	return bytes.TrimLeft(b.Bytes(), " \t\r\n"), nil
}

// Policy is the Content-Security-Policy of a page.
func (s *Set) Policy(p *auth.Page) string {
	if p.Kind == auth.PageSubmit {
		return s.policy + "; script-src " + hashOf(submits)
	}
	return s.policy
}

// candidates are the files that may hold a page, the most special first.
func candidates(kind string, status int) []string {
	if kind != "" {
		return []string{kind + ".html", forAll}
	}
	return []string{fmt.Sprintf("%d.html", status), fmt.Sprintf("%dxx.html", status/100), "error.html", forAll}
}

// Names are all that a folder may hold, besides parts.
func Names() []string {
	names := []string{styleName, forAll, "error.html", "4xx.html", "5xx.html"}
	for _, kind := range kinds {
		names = append(names, kind+".html")
	}
	for _, status := range statuses {
		names = append(names, fmt.Sprintf("%d.html", status))
	}
	slices.Sort(names)
	return names
}

// Part reports whether a file is one that pages take in: {{template "_NAME.html" .}}.
func Part(name string) bool { return strings.HasPrefix(name, "_") && strings.HasSuffix(name, ".html") }
