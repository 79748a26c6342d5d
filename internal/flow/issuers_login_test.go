package flow

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// The page on which a user chooses an issuer has links to the requested page. A long URL is not repeated in each of them:
// the user logs in first.
func TestChoicesAreBounded(t *testing.T) {
	l := &issuerLogins{arg: "login_issuer"}
	for n := range 100 {
		l.list = append(l.list, issuerLogin{name: fmt.Sprint("idp", n)})
	}
	for address, want := range map[string]string{
		"/app":                                "http://gate/app?login_issuer=idp0",
		"/app?a=b&login_issuer=idp7&c":        "http://gate/app?a=b&c&login_issuer=idp0",
		"/app?login_issuer=idp7":              "http://gate/app?login_issuer=idp0",
		"/a%20b?c=%26":                        "http://gate/a%20b?c=%26&login_issuer=idp0",
		"/app?" + long:                        "login_return_too_long",
		"/" + long:                            "login_return_too_long",
		"/" + long + "?a=b":                   "login_return_too_long",
		"/app?" + strings.Repeat("&", 60_000): "login_return_too_long",
	} {
		r := &auth.Request{Request: httptest.NewRequest("GET", address, nil), Origin: "http://gate"}
		answer, err := l.page(r)
		if err != nil {
			if got := auth.AsError(err).Reason; got != want {
				t.Errorf("%.40s: %v, expected %s", address, err, want)
			}
			continue
		}
		page, size := answer.Page, 0
		for _, c := range page.Choices {
			size += len(c.Link)
		}
		if got := page.Choices[0].Link; got != want {
			t.Errorf("%.40s: the first link is %.100s, expected %s", address, got, want)
		}
		if size > len(l.list)*(maxChoiceLink+100) {
			t.Errorf("%.40s: the page's links have %d bytes", address, size)
		}
	}
}

var long = strings.Repeat("x", 60_000)

// The query is parsed once, however many issuers the page lists.
func TestChoicesReadTheQueryOnce(t *testing.T) {
	allocations := func(issuers int) float64 {
		l := &issuerLogins{arg: "login_issuer"}
		for n := range issuers {
			l.list = append(l.list, issuerLogin{name: fmt.Sprint("idp", n)})
		}
		query := strings.Repeat("a=b&login_issuer=x&", 300)
		r := &auth.Request{Request: httptest.NewRequest("GET", "/?"+query, nil), Origin: "http://gate"}
		return testing.AllocsPerRun(10, func() { l.page(r) })
	}
	few, many := allocations(1), allocations(101)
	if each := (many - few) / 100; each > 8 {
		t.Errorf("%.0f allocations for each further issuer", each)
	}
}
