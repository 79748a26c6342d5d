package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
)

// formPostScript sends the page's form off; a browser without scripts shows its button.
const formPostScript = `document.getElementById("form-post").submit()`

// formPostPolicy lets that one script run, named by its hash.
var formPostPolicy = func() string {
	sum := sha256.Sum256([]byte(formPostScript))
	return "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

type formField struct{ Name, Value string }

// formPost answers by a page that posts itself to the client (OAuth 2.0 Form Post Response Mode §2). Its policy has no
// form-action, which would hold for the redirects after the form, too: where the client leads on to is its own affair.
func formPost(w http.ResponseWriter, a *authorizationRequest, answer url.Values) {
	var fields []formField
	for _, name := range slices.Sorted(maps.Keys(answer)) {
		fields = append(fields, formField{name, answer.Get(name)})
	}
	writeHTML(w, http.StatusOK, "form_post.html", struct {
		Action template.URL // registered, whatever its scheme
		Client string
		Fields []formField
	}{template.URL(a.redirectURI), a.client.Name, fields}, formPostPolicy) // #nosec G203
}

var (
	formPostAction = regexp.MustCompile(`<form method="post" action="([^"]*)" id="form-post">`)
	formPostInput  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// readFormPost does what the page's script does, for LogIn: it returns where the form goes and what it holds.
func readFormPost(page string) (action string, form url.Values, found bool) {
	m := formPostAction.FindStringSubmatch(page)
	if m == nil {
		return "", nil, false
	}
	form = url.Values{}
	for _, input := range formPostInput.FindAllStringSubmatch(page, -1) {
		form.Add(html.UnescapeString(input[1]), html.UnescapeString(input[2]))
	}
	return html.UnescapeString(m[1]), form, true
}
