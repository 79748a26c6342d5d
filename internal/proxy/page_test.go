package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// A page can ask a question: with a list, a form's hidden fields, and two buttons. What stands in it is text, never HTML.
func TestAPageThatAsks(t *testing.T) {
	w := httptest.NewRecorder()
	writeHTML(w, http.StatusOK, &auth.Page{
		Title: "Allow access?", Text: "<script>alert(1)</script>", Items: []string{"read", "<b>"}, Link: "/oauth2/authorize", Action: "Allow", Post: true,
		Fields: []auth.Field{{Name: "consent", Value: `a"b`}}, Refuse: "Don't",
	}, "id")
	body := w.Body.String()
	for _, expected := range []string{
		`<ul><li>read</li><li>&lt;b&gt;</li></ul>`,
		`<form method="post" action="/oauth2/authorize"><input type="hidden" name="consent" value="a&#34;b"><button class="go" id="go">Allow</button>` +
			` <button class="go" id="refuse" name="refuse" value="1">Don&#39;t</button></form>`,
		`&lt;script&gt;`,
	} {
		if !strings.Contains(body, expected) {
			t.Errorf("no %s in %s", expected, body)
		}
	}
	w = httptest.NewRecorder()
	writeHTML(w, http.StatusOK, &auth.Page{Title: "Log out?", Link: "/oauth2/logout", Action: "Log out", Post: true}, "id")
	if body := w.Body.String(); strings.Contains(body, "<ul>") || strings.Contains(body, "hidden") || strings.Contains(body, "refuse") {
		t.Errorf("a page that asks nothing has more than a button: %s", body)
	}
}
