package provider

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

//go:embed form_post.html login.html logout.html message.html whoami.html
var pageFiles embed.FS

//go:embed page.css
var pageStyle string

// The style and the script are ours, and no page's data is in them.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"style":  func() template.CSS { return template.CSS(pageStyle) },    // #nosec G203
	"submit": func() template.JS { return template.JS(formPostScript) }, // #nosec G203
}).ParseFS(pageFiles, "*.html"))

// pagePolicy lets a page show itself, its one style sheet, named by its hash, and its empty icon: no script unless a page adds
// one, no outside resource, no frame.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
}()

// writeMessage writes a page that only says something.
func writeMessage(w http.ResponseWriter, status int, title, text string) {
	writePage(w, status, "message.html", struct{ Title, Text string }{title, text}, "")
}

// writePage writes a page whose form, if it has one, leads to this provider and from there to formTarget.
func writePage(w http.ResponseWriter, status int, name string, data any, formTarget string) {
	writeHTML(w, status, name, data, "; form-action 'self' "+formTarget)
}

func writeHTML(w http.ResponseWriter, status int, name string, data any, morePolicy string) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "The page can't be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy+morePolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with none at all, Origin is null and our own forms look like foreign ones
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
