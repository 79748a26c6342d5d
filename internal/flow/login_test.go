package flow

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

// TestManyLoginCookies: each login cookie of a request is opened at most once, and only a limited number, whether they have
// one name or many.
func TestManyLoginCookies(t *testing.T) {
	k, err := keyring.New([]auth.Secret{"a secret of the test, long enough to be one"})
	if err != nil {
		t.Fatal(err)
	}
	f := &loginCookies{keyring: k, cookie: newCookie("authorization_x_", CookieSettings{Path: "/", SameSite: "Lax", HTTPOnly: true}),
		timeout: time.Hour}
	for name, cookies := range map[string]func(n int) string{
		"one name":   func(int) string { return "authorization_x_0123456789ab=nonsense" },
		"many names": func(n int) string { return fmt.Sprintf("authorization_x_%012x=nonsense", n) },
	} {
		var all []string
		for n := range 1_800 {
			all = append(all, cookies(n))
		}
		q := httptest.NewRequest("GET", "/", nil)
		q.Header.Set("Cookie", strings.Join(all, "; "))
		r := &auth.Request{Request: q, Origin: "http://127.0.0.1"}
		allocs := testing.AllocsPerRun(1, func() { f.dropOldest(r) })
		if cleared := len(f.dropOldest(r)["Set-Cookie"]); cleared > 2*maxLogins {
			t.Errorf("%s: %d cookies are cleared", name, cleared)
		}
		if allocs > 100*2*maxLogins { // one takes a few
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// TestLoginsAreBounded: of a browser's pending logins, the newest stay.
func TestLoginsAreBounded(t *testing.T) {
	k, err := keyring.New([]auth.Secret{"a secret of the test, long enough to be one"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := &loginCookies{keyring: k, cookie: newCookie("a_", CookieSettings{Path: "/", SameSite: "Lax", HTTPOnly: true}), timeout: time.Hour}
	r := &auth.Request{Request: httptest.NewRequest("GET", "/page", nil), Origin: "http://127.0.0.1"}
	begun := httptest.NewRecorder()
	for n := range maxLogins + 3 {
		if err := f.store(begun.Header(), r, newLogin(r, nil, "app", nil, now.Add(time.Duration(n)*time.Second))); err != nil {
			t.Fatal(err)
		}
	}
	next := httptest.NewRequest("GET", "/page", nil)
	var names []string
	for _, c := range begun.Result().Cookies() {
		next.AddCookie(c)
		names = append(names, c.Name)
	}
	h := f.dropOldest(&auth.Request{Request: next, Origin: "http://127.0.0.1"})
	dropped := httptest.NewRecorder()
	dropped.Header()["Set-Cookie"] = h["Set-Cookie"]
	got := map[string]bool{}
	for _, c := range dropped.Result().Cookies() {
		got[c.Name] = true
	}
	if kept := len(names) - len(got); kept < 20 || kept >= maxLogins { // the next login is one more
		t.Errorf("%d logins are kept", kept)
	}
	for n, name := range names {
		if oldest := n < len(got); got[name] != oldest {
			t.Errorf("login %d of %d: dropped is %v, expected %v", n, len(names), got[name], oldest)
		}
	}
}

// TestLoginCookieSizes: 20 tabs that open at once can all log in, and a URL of 1,600 bytes fits a cookie. A longer one is an
// error, and not cut.
func TestLoginCookieSizes(t *testing.T) {
	k, err := keyring.New([]auth.Secret{"a secret of the test, long enough to be one"})
	if err != nil {
		t.Fatal(err)
	}
	f := &loginCookies{keyring: k, cookie: newCookie("authorization_01234567_",
		CookieSettings{Path: "/", SameSite: "Lax", HTTPOnly: true}), timeout: time.Hour}
	begin := func(target string) (*login, int, error) {
		r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil), Origin: "https://app.example.com"}
		r.URL, err = url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		l, h := newLogin(r, nil, "app", nil, time.Now()), http.Header{}
		err := f.store(h, r, l)
		set, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
		return l, len(set), err
	}
	if _, size, err := begin("/projects/4711/board?view=mine"); err != nil || 21*size > maxLoginBytes {
		t.Errorf("21 logins need %d bytes (%v)", 21*size, err)
	}
	long := "/search?q=" + strings.Repeat("x7Kq%20p2Vz", 160)[:1600]
	if l, size, err := begin(long); err != nil || l.Return != long || size > 4096 {
		t.Errorf("a long link: %d bytes, %v", size, err)
	}
	random := make([]byte, 3000)
	rand.Read(random)
	if _, size, err := begin("/search?q=" + base64.RawURLEncoding.EncodeToString(random)); !errors.Is(err, errReturnTooLong) {
		t.Errorf("a link of 4,000 random bytes: %d bytes, %v", size, err)
	}
}

// TestLoginsReturnWhereTheyBegan: a login returns to the page that the policy decided about, even if its URL holds bytes
// that a URI may not. net/url would decode its escapes then, and an encoded slash would become a separator.
func TestLoginsReturnWhereTheyBegan(t *testing.T) {
	r := &auth.Request{Request: httptest.NewRequest(http.MethodGet, "/", nil), Origin: "https://app.example", RawPath: "/a%2Fb%3A%7C"}
	r.URL, _ = url.ParseRequestURI("/a%2Fb%3A|?q=%3A|&token=x")
	if l := newLogin(r, []string{"token"}, "app", nil, time.Unix(0, 0)); l.Return != "/a%2Fb%3A%7C?q=%3A|" {
		t.Errorf("the login returns to %q", l.Return)
	}
}
