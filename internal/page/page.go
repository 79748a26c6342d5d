// Package page renders the HTML pages that users see: the built-in ones, or the operator's own.
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
	styleName   = "style.css"
	defaultPage = "page.html" // for every page without a file of its own
)

//go:embed page.html
var builtinSource string

//go:embed style.css
var builtinStyle string

var builtinTemplate = template.Must(template.New(defaultPage).Parse(builtinSource))

// A Set has the pages of one folder. It is immutable.
type Set struct {
	own    map[string]*template.Template // by file name
	style  string                        // the style sheet
	policy string                        // the Content-Security-Policy
}

// Builtin returns the built-in pages.
func Builtin() *Set { return builtin }

var builtin = &Set{style: builtinStyle, policy: policy(builtinStyle)}

// policy returns the Content-Security-Policy of pages with a style sheet. It allows that sheet, by its hash, and images and fonts from data
// URLs. It allows no script, no external resource and no frame. It allows forms to any origin, because a logout continues at the OpenID
// Provider.
func policy(style string) string {
	return "default-src 'none'; style-src " + hashOf(style) +
		"; img-src data:; font-src data:; base-uri 'none'; frame-ancestors 'none'"
}

// submitScript is the only script that a page may have: it submits the page's form.
const submitScript = "document.forms[0].submit()"

// submitTemplate is the built-in page with that script.
var submitTemplate = template.Must(template.New(defaultPage).Parse(strings.Replace(builtinSource,
	"</body>", "<script>"+submitScript+"</script>\n</body>", 1)))

// hashOf returns the hash source of an inline style or script (CSP Level 3 §2.3.1).
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// A view is the data of a template. Its fields are an interface for operators, which configs/pages.md describes.
type view struct {
	*auth.Page
	Kind      string // choose, logout, logged_out, consent, resume, or error
	Status    int
	RequestID string
	Style     template.HTML // the <style> element
}

func (s *Set) view(p *auth.Page, status int, id string) view {
	style := template.HTML("<style>" + s.style + "</style>") // #nosec G203: the operator wrote it, and readStyle refuses </style
	v := view{Page: p, Kind: p.Kind, Status: status, RequestID: id, Style: style}
	if v.Kind == "" {
		v.Kind = "error"
	}
	return v
}

// Render returns a page as HTML. If the operator's template fails, Render returns the built-in page together with the template's error.
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

// Policy returns the Content-Security-Policy of a page.
func (s *Set) Policy(p *auth.Page) string {
	if p.Kind == auth.PageSubmit {
		return s.policy + "; script-src " + hashOf(submitScript)
	}
	return s.policy
}

// candidates returns the names of the files that may hold a page, the most specific first.
func candidates(kind string, status int) []string {
	if kind != "" {
		return []string{kind + ".html", defaultPage}
	}
	return []string{fmt.Sprintf("%d.html", status), fmt.Sprintf("%dxx.html", status/100), "error.html", defaultPage}
}

// Names returns the names of all files that a folder may have, except parts.
func Names() []string {
	names := []string{styleName, defaultPage, "error.html", "4xx.html", "5xx.html"}
	for _, kind := range kinds {
		names = append(names, kind+".html")
	}
	for _, status := range statuses {
		names = append(names, fmt.Sprintf("%d.html", status))
	}
	slices.Sort(names)
	return names
}

// Part reports whether a file is a part, which pages include by {{template "_NAME.html" .}}.
func Part(name string) bool { return strings.HasPrefix(name, "_") && strings.HasSuffix(name, ".html") }
