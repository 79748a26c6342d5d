package page

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// kinds are the kinds of pages that are not errors.
var kinds = []string{auth.PageChoose, auth.PageLogout, auth.PageLoggedOut, auth.PageConsent, auth.PageResume}

// statuses are the statuses of the gate's error pages.
var statuses = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusRequestEntityTooLarge, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
	http.StatusGatewayTimeout,
}

// A sample is a page that a template may have to show.
type sample struct {
	page   auth.Page
	status int
}

// samplesOf returns the samples of a file: for each kind and status that it serves, the page with the most fields and the one with the
// fewest.
func samplesOf(name string) (all []sample) {
	for _, kind := range kinds {
		if slices.Contains(candidates(kind, 0), name) {
			all = append(all, samplesOfKind(kind)...)
		}
	}
	for _, status := range statuses {
		if slices.Contains(candidates("", status), name) {
			title := http.StatusText(status)
			all = append(all,
				sample{auth.Page{Title: title, Text: "A sentence that says what happened.", Link: "/sample/link", Action: "Go on"}, status},
				sample{auth.Page{Title: title}, status})
		}
	}
	return all
}

func samplesOfKind(kind string) []sample {
	page := auth.Page{Kind: kind, Title: "A title", Text: "A sentence."}
	switch kind {
	case auth.PageChoose:
		var bare auth.Page
		for n := range 3 {
			bare = page
			page.Choices = append(page.Choices, auth.Choice{Text: "A choice", Link: fmt.Sprintf("/sample/choice-%d", n)})
		}
		return []sample{{page, http.StatusUnauthorized}, {bare, http.StatusUnauthorized}}
	case auth.PageConsent:
		page.Link, page.Action, page.Post, page.Refuse = "/sample/consent", "Allow", true, "Don't allow"
		page.Fields = []auth.Field{{Name: "sample-name", Value: "sample-value"}}
		bare := page
		page.Items = []string{"read", "write"}
		return []sample{{page, http.StatusOK}, {bare, http.StatusOK}}
	}
	page.Link, page.Action, page.Post = "/sample/link", "Go on", kind == auth.PageLogout || kind == auth.PageResume
	return []sample{{page, http.StatusOK}}
}

var (
	forms   = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	inputs  = regexp.MustCompile(`(?i)<input\b[^>]*>`)
	buttons = regexp.MustCompile(`(?i)<(?:button|input)\b[^>]*>`)
	typed   = regexp.MustCompile(`(?i)\stype\s*=\s*["']?(submit|image)\b`)
	posts   = regexp.MustCompile(`(?i)\smethod\s*=\s*["']?post\b`)
	refuses = regexp.MustCompile(`(?i)\sname\s*=\s*["']?refuse\b`)
	valued  = regexp.MustCompile(`(?i)\svalue\s*=\s*(?:"[^"]|'[^']|[^"'\s>])`)
)

// has reports whether a tag has an attribute with a value. The value must need no escaping.
func has(tag, attribute, value string) bool {
	return regexp.MustCompile(`(?i)\s` + attribute + `\s*=\s*["']?` + regexp.QuoteMeta(value) + `(?:["'\s>]|$)`).MatchString(tag)
}

// missing returns which element the rendered sample lacks that users need to continue, or "".
func (s *sample) missing(html string) string {
	for _, c := range s.page.Choices {
		if !has(html, "href", c.Link) {
			return "the choices: write {{range .Choices}}<a href=\"{{.Link}}\">{{.Text}}</a>{{end}}"
		}
	}
	if !s.page.Post {
		return ""
	}
	inner := ""
	for _, m := range forms.FindAllStringSubmatch(html, -1) {
		if posts.MatchString(m[1]) && has(m[1], "action", s.page.Link) {
			inner += m[2]
		}
	}
	return s.missingInForm(inner)
}

// missingInForm returns which element the form lacks, or "".
func (s *sample) missingInForm(inner string) string {
	if inner == "" {
		return "the form: write <form method=\"post\" action=\"{{.Link}}\">, and below it what it sends"
	}
	for _, f := range s.page.Fields {
		isField := func(tag string) bool { return has(tag, "name", f.Name) && has(tag, "value", f.Value) }
		if !slices.ContainsFunc(inputs.FindAllString(inner, -1), isField) {
			return "the form's hidden fields: " +
				"write {{range .Fields}}<input type=\"hidden\" name=\"{{.Name}}\" value=\"{{.Value}}\">{{end}} in the form"
		}
	}
	submit, refuse := false, false
	for _, tag := range buttons.FindAllString(inner, -1) {
		switch {
		case refuses.MatchString(tag):
			refuse = refuse || valued.MatchString(tag)
		case strings.HasPrefix(strings.ToLower(tag), "<button") || typed.MatchString(tag):
			submit = true
		}
	}
	switch {
	case !submit:
		return "the form's button: write <button>{{.Action}}</button> in the form"
	case s.page.Refuse != "" && !refuse:
		return "the button that refuses: write <button name=\"refuse\" value=\"1\">{{.Refuse}}</button> in the form"
	}
	return ""
}
