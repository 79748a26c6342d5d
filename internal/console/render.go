package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

//go:embed *.html
var files embed.FS

//go:embed style.css
var style string

var functions = template.FuncMap{"text": text, "visible": visible, "when": when, "ago": ago}

var templates = template.Must(template.New("").Funcs(functions).ParseFS(files, "*.html"))

// policy is the Content-Security-Policy of all pages: no script, nothing from elsewhere, and no page that frames them.
var policy = "default-src 'none'; style-src 'sha256-" + hashOf(style) + "'; img-src data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// securityHeaders are the headers of all pages. With Referrer-Policy no-referrer, a browser would send forms with Origin: null.
var securityHeaders = map[string]string{
	"Content-Security-Policy":      policy,
	"Content-Type":                 "text/html; charset=utf-8",
	"Cache-Control":                "no-store",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "same-origin",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
}

// A view is the data of a template.
type view struct {
	*visitor
	Title string
	Tab   string // the page in the navigation
	Style template.HTML
	Data  any
}

// show writes a page.
func (c *Console) show(w http.ResponseWriter, v *visitor, status int, name, title string, data any) {
	tab := name
	if name == "refusal" {
		tab = "refusals"
	} else if name == "end" {
		tab = "sessions"
	}
	var b bytes.Buffer
	element := template.HTML("<style>" + style + "</style>") // #nosec G203: the sheet is a part of the program
	if err := templates.ExecuteTemplate(&b, name+".html", view{v, title, tab, element, data}); err != nil {
		c.Log.Error("a page of the console can't be rendered", "page", name, "error", err)
		http.Error(w, "the page can't be shown: see the log", http.StatusInternalServerError)
		return
	}
	for header, value := range securityHeaders {
		w.Header().Set(header, value)
	}
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// message writes a page of one sentence.
func (c *Console) message(w http.ResponseWriter, v *visitor, status int, title, text string) {
	c.show(w, v, status, "message", title, text)
}

// text returns a text that a stranger may have chosen as HTML: isolated, so that letters of another direction don't reorder what stands
// beside it, and visible.
func text(s string) template.HTML {
	return template.HTML("<bdi>" + template.HTMLEscapeString(visible(s)) + "</bdi>") // #nosec G203: it is escaped
}

// visible returns a text in which characters that can't be seen have the form \u{202e}.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsGraphic(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(`\u{` + strconv.FormatInt(int64(r), 16) + `}`)
	}
	return b.String()
}

// when returns a time as HTML.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format("2006-01-02 15:04:05") + " UTC</time>") // #nosec G203
}

// ago returns how long ago a time was.
func ago(t time.Time) string { return time.Since(t).Truncate(time.Second).String() }
