package flow

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

// TestLoginTimesOut: a login lasts for authorization_rolling_timeout, even if the browser keeps the cookie. A later response
// links to the requested page.
func TestLoginTimesOut(t *testing.T) {
	k, err := keyring.New([]auth.Secret{"a secret of the test, long enough to be one"})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	now := begun
	cookies := &loginCookies{
		keyring: k, cookie: newCookie("a_", CookieSettings{Path: "/", SameSite: "Lax", HTTPOnly: true}), timeout: 10 * time.Minute,
	}
	f := &authorizationCode{cookies: cookies, now: func() time.Time { return now }, home: "/"}
	f.settings.AuthorizationRollingTimeout = cookies.timeout
	asked := &auth.Request{Request: httptest.NewRequest("GET", "/page?x=1", nil), Origin: "http://127.0.0.1"}
	l := newLogin(asked, nil, "app", nil, begun)
	kept := http.Header{}
	if err := cookies.store(kept, asked, l); err != nil {
		t.Fatal(err)
	}
	line, err := http.ParseSetCookie(kept.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	comes := httptest.NewRequest("GET", "/oauth2/callback", nil)
	comes.AddCookie(&http.Cookie{Name: line.Name, Value: line.Value})
	response := &auth.Request{Request: comes, Origin: "http://127.0.0.1"}
	for after, good := range map[time.Duration]bool{
		0: true, 10 * time.Minute: true, 10*time.Minute + time.Second: false, time.Hour: false, 30 * 24 * time.Hour: false,
	} {
		now = begun.Add(after)
		got, _, err := f.recall(response, url.Values{"state": {l.state()}})
		switch e := auth.AsError(err); {
		case good && (err != nil || got.Return != "/page?x=1"):
			t.Errorf("after %v: %v", after, err)
		case !good && (err == nil || e.Reason != "login_stale" || e.Link != "http://127.0.0.1/page?x=1"):
			t.Errorf("after %v: %v, expected login_stale with a way back", after, err)
		}
	}
}
