package auth

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCookiesAreBounded: of thousands of cookies, which HTTP/2 sends in a few bytes, the first ones are looked at.
func TestCookiesAreBounded(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "first=1; "+strings.Repeat("a=b; ", 1_800)+"last=1")
	q := &Request{Request: r}
	if got := len(q.AllCookies()); got != maxCookies {
		t.Errorf("%d cookies are looked at, expected %d", got, maxCookies)
	}
	if got := fmt.Sprint(q.CookieValues("first"), q.CookieValues("last")); got != "[1] []" {
		t.Errorf("got %s", got)
	}
}
