package proxy

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"

	"sallyport/internal/auth"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// pagePolicy lets a page show itself and its one style sheet, named by its hash: no script, no outside resource, no frame.
// Forms may lead to the provider, where a logout goes on.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; frame-ancestors 'none'"
}()

// writeHTML writes the one calm page that people see: what happened, and where they can go on.
func writeHTML(w http.ResponseWriter, status int, p *auth.Page, id string) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		*auth.Page
		Style  template.CSS
		Status int
		ID     string
	}{p, template.CSS(pageStyle), status, id}) // #nosec G203: the style is ours
	if err != nil {
		writeProblem(w, status, p, id)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	w.Write(bytes.TrimLeft(b.Bytes(), "\n"))
}
