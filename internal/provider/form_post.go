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

// formPostScript submits the form. Without scripts the user presses the button.
const formPostScript = `document.getElementById("form-post").submit()`

// formPostPolicy is the part of Content-Security-Policy that allows formPostScript, by its hash.
var formPostPolicy = func() string {
	sum := sha256.Sum256([]byte(formPostScript))
	return "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

type formField struct{ Name, Value string }

// formPost sends an authorization response as a page whose form posts it to the client (OAuth 2.0 Form Post Response Mode §2).
// The page has no form-action policy, because browsers would apply that to the client's redirects after the form, too.
func formPost(w http.ResponseWriter, a *authorizationRequest, answer url.Values) {
	var fields []formField
	for _, name := range slices.Sorted(maps.Keys(answer)) {
		fields = append(fields, formField{name, answer.Get(name)})
	}
	writeHTML(w, http.StatusOK, "form_post.html", struct {
		Action template.URL // a registered redirect URI, with any scheme
		Client string
		Fields []formField
	}{template.URL(a.redirectURI), a.client.Name, fields}, formPostPolicy) // #nosec G203
}

var (
	formPostAction = regexp.MustCompile(`<form method="post" action="([^"]*)" id="form-post">`)
	formPostInput  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// readFormPost returns the action and the fields of a page that formPost wrote, for LogIn.
func readFormPost(page string) (action string, form url.Values, ok bool) {
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
