package flow

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

// TestManyLoginCookies: however many cookies of logins a request brings, each is opened once at most, and few of them: a client
// that sends one name 1,800 times makes no more work than one that sends 64 names.
func TestManyLoginCookies(t *testing.T) {
	k, err := keyring.New([]auth.Secret{"a secret of the test, long enough to be one"})
	if err != nil {
		t.Fatal(err)
	}
	f := &authorizationCode{keyring: k, now: time.Now, cookie: newCookie("authorization_x_", "/", "", "Lax", true, nil)}
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
		allocs := testing.AllocsPerRun(1, func() { f.boundLogins(r) })
		if cleared := len(f.boundLogins(r)["Set-Cookie"]); cleared > 2*maxLogins {
			t.Errorf("%s: %d cookies are cleared", name, cleared)
		}
		if allocs > 100*2*maxLogins { // to open one takes a few
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// TestLoginsAreBounded: of the logins that a browser has begun, the newest stay.
func TestLoginsAreBounded(t *testing.T) {
	k, err := keyring.New([]auth.Secret{"a secret of the test, long enough to be one"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := &authorizationCode{keyring: k, now: func() time.Time { return now }, cookie: newCookie("a_", "/", "", "Lax", true, nil)}
	f.settings.AuthorizationRollingTimeout = time.Hour
	r := &auth.Request{Request: httptest.NewRequest("GET", "/page", nil), Origin: "http://127.0.0.1"}
	begun := httptest.NewRecorder()
	for n := range maxLogins + 3 {
		if err := f.remember(begun.Header(), r, newLogin(r, nil, "app", nil, now.Add(time.Duration(n)*time.Second))); err != nil {
			t.Fatal(err)
		}
	}
	next := httptest.NewRequest("GET", "/page", nil)
	var names []string
	for _, c := range begun.Result().Cookies() {
		next.AddCookie(c)
		names = append(names, c.Name)
	}
	h := f.boundLogins(&auth.Request{Request: next, Origin: "http://127.0.0.1"})
	dropped := httptest.NewRecorder()
	dropped.Header()["Set-Cookie"] = h["Set-Cookie"]
	got := map[string]bool{}
	for _, c := range dropped.Result().Cookies() {
		got[c.Name] = true
	}
	for n, name := range names {
		if oldest := n < 4; got[name] != oldest { // one more is about to begin
			t.Errorf("login %d of %d: dropped is %v, expected %v", n, len(names), got[name], oldest)
		}
	}
}
