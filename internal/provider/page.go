package provider

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

//go:embed form_post.html logged_out.html login.html logout.html message.html whoami.html
var pageFiles embed.FS

//go:embed page.css
var pageStyle string

// The style and the script are constant: they contain no data of the page.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"style":  func() template.CSS { return template.CSS(pageStyle) },    // #nosec G203
	"submit": func() template.JS { return template.JS(formPostScript) }, // #nosec G203
}).ParseFS(pageFiles, "*.html"))

// pagePolicy is the start of each page's Content-Security-Policy. It allows the style sheet, by its hash, and the data URL of the
// icon; no script, no external resource and no frame.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
}()

// writeMessage writes a page with a title and a text.
func writeMessage(w http.ResponseWriter, status int, title, text string) {
	writePage(w, status, "message.html", struct{ Title, Text string }{title, text}, "")
}

// writePage writes a page whose form may post to this provider, which may redirect to formTarget, a CSP source or "".
func writePage(w http.ResponseWriter, status int, name string, data any, formTarget string) {
	writeHTML(w, status, name, data, "; form-action 'self' "+formTarget)
}

// writeHTML executes a template of pages. It appends morePolicy to the Content-Security-Policy.
func writeHTML(w http.ResponseWriter, status int, name string, data any, morePolicy string) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "The page can't be rendered.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy+morePolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer the Origin of the provider's own forms would be null
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
