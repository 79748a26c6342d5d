package page

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// kinds are the pages that ask or tell something else than a refusal.
var kinds = []string{auth.PageChoose, auth.PageLogout, auth.PageLoggedOut, auth.PageConsent}

// statuses are those of the gate's refusals.
var statuses = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusRequestEntityTooLarge, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

// A sample is something that a page may have to show.
type sample struct {
	page   auth.Page
	status int
}

// samplesOf are the fullest and the barest that a file may have to show, for each kind and status that it is for.
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
	page.Link, page.Action, page.Post = "/sample/link", "Go on", kind == auth.PageLogout
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

// has reports whether a tag has an attribute with this value, which needs no escaping.
func has(tag, attribute, value string) bool {
	return regexp.MustCompile(`(?i)\s` + attribute + `\s*=\s*["']?` + regexp.QuoteMeta(value) + `(?:["'\s>]|$)`).MatchString(tag)
}

// missing says what a page lacks without which people can't go on; empty if nothing.
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
	return s.lacks(inner)
}

// lacks says what the form lacks.
func (s *sample) lacks(inner string) string {
	if inner == "" {
		return "the form: write <form method=\"post\" action=\"{{.Link}}\">, and below it what it sends"
	}
	for _, f := range s.page.Fields {
		if !slices.ContainsFunc(inputs.FindAllString(inner, -1), func(tag string) bool { return has(tag, "name", f.Name) && has(tag, "value", f.Value) }) {
			return "the form's hidden fields: write {{range .Fields}}<input type=\"hidden\" name=\"{{.Name}}\" value=\"{{.Value}}\">{{end}} in the form"
		}
	}
	yes, no := false, false
	for _, tag := range buttons.FindAllString(inner, -1) {
		switch {
		case refuses.MatchString(tag):
			no = no || valued.MatchString(tag)
		case strings.HasPrefix(strings.ToLower(tag), "<button") || typed.MatchString(tag):
			yes = true
		}
	}
	switch {
	case !yes:
		return "the form's button: write <button>{{.Action}}</button> in the form"
	case s.page.Refuse != "" && !no:
		return "the button that refuses: write <button name=\"refuse\" value=\"1\">{{.Refuse}}</button> in the form"
	}
	return ""
}
