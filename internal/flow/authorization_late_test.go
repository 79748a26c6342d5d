package flow

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// TestLateResponses: a response of no use leads a browser with a session to the login's page or the route's first page. It begins and ends
// no session.
func TestLateResponses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*tokenRig, *loginOf)
		to      string
	}{
		"the back button, after the login's cookie is gone": {func(_ *tokenRig, l *loginOf) { l.cookies = nil }, "/"},
		"a bookmark": {func(_ *tokenRig, l *loginOf) { l.response.Del("state") }, "/"},
		"a response that was used": {func(r *tokenRig, l *loginOf) {
			if _, err := r.endpoint("callback", r.callback(l)); err != nil {
				r.t.Fatal(err)
			}
		}, loginPage},
		"a login page that was left open": {later(11 * time.Minute), loginPage},
		"a stranger's address": {func(_ *tokenRig, l *loginOf) {
			l.response.Set("state", "https://evil.example/")
			l.response.Set("redirect_uri", "https://evil.example/")
		}, "/"},
	} {
		r := newTokenRig(t, nil)
		session := r.sessionCookie("john")
		l := r.login("jane", r.browse(loginPage), auth.Login{})
		c.prepare(r, l)
		calls := r.issuer.Requests("/token")
		for range maxRepeatedLogins {
			q := r.callback(l)
			q.AddCookie(session)
			res, err := r.endpoint("callback", q)
			if err != nil || res.Answer.Status != http.StatusSeeOther || res.Answer.Header.Get("Location") != rigOrigin+c.to || res.Identity != nil {
				t.Fatalf("%s: %v, %v", name, res, err)
			}
			for _, set := range setCookies(res.Header) {
				if strings.Contains(set.Name, "session") {
					t.Errorf("%s: it sets %v", name, set)
				}
				if strings.HasSuffix(set.Name, loginCountSuffix) {
					l.cookies = append([]*http.Cookie{set}, l.cookies...)
				}
			}
		}
		if r.issuer.Requests("/token") != calls {
			t.Errorf("%s: a code was redeemed", name)
		}
		r.isLoggedIn("john", session)
		q := r.callback(l)
		q.AddCookie(session)
		if _, err := r.endpoint("callback", q); outcomeOf(err) != stale { // it doesn't go round
			t.Errorf("%s, again and again: %v", name, err)
		}
	}
}

// TestNoCookies: a browser that sends no cookie gets a page that says so after one round: at the redirection endpoint, or at the page after the login.
func TestNoCookies(t *testing.T) {
	r := newTokenRig(t, nil)
	l := r.login("john", r.browse(loginPage), auth.Login{})
	all := l.cookies
	l.cookies = nil
	if _, err := r.endpoint("callback", r.callback(l)); outcomeOf(err) != (outcome{status: 400, reason: "login_without_cookie"}) {
		t.Errorf("without the login's cookie: %v", err)
	}
	l.cookies = all
	res, err := r.endpoint("callback", r.callback(l))
	if err != nil {
		t.Fatal(err)
	}
	var count, session *http.Cookie
	for _, c := range setCookies(res.Header) {
		if strings.HasSuffix(c.Name, loginCountSuffix) {
			count = c
		} else if c.MaxAge >= 0 {
			session = c
		}
	}
	ask := func(page string, cookies ...*http.Cookie) error {
		q := r.browse(page)
		for _, c := range cookies {
			q.AddCookie(c)
		}
		_, err := r.chain.Challenge(q, auth.Login{})
		return err
	}
	err = ask(loginPage, count)
	if outcomeOf(err) != notSetUp || !strings.Contains(auth.AsError(err).Title, "cookie") || auth.AsError(err).Link != rigOrigin+loginPage {
		t.Errorf("the page after the login, without the session's cookie: %v", err)
	}
	if cleared := setCookies(auth.HeaderOf(err)); len(cleared) != 1 || cleared[0].Name != count.Name || cleared[0].MaxAge >= 0 {
		t.Errorf("it sets %v, expected that the user can try again", cleared)
	}
	if err := ask("/other", count); err != nil {
		t.Errorf("another page: %v", err)
	}
	if err := ask(loginPage, count, as(session, "not one of ours")); err != nil {
		t.Errorf("with a session that has ended: %v", err)
	}
	r.clock.advance(repeatedLoginWindow)
	if err := ask(loginPage, count); err != nil {
		t.Errorf("later: %v", err)
	}
}

// TestRepeatedLogins: three logins in a row whose session isn't found are the last ones, though the browser sends its cookie.
func TestRepeatedLogins(t *testing.T) {
	r := newTokenRig(t, nil)
	var count []*http.Cookie
	for n := range maxRepeatedLogins + 1 {
		q := r.browse(loginPage)
		for _, c := range count {
			q.AddCookie(c)
		}
		q.AddCookie(&http.Cookie{Name: "__Host-session_x", Value: "x"})
		sent := &http.Cookie{Name: newSessionCookies(&r.settings.SessionSettings, loginIDOf(r.settings.view()), false)[0].secureName, Value: "x"}
		q.AddCookie(sent)
		if n == maxRepeatedLogins {
			if _, err := r.chain.Challenge(q, auth.Login{}); outcomeOf(err) != notSetUp || !strings.Contains(err.Error(), "3 logins in a row") {
				t.Errorf("after %d logins: %v", n, err)
			}
			return
		}
		l := r.login("john", q, auth.Login{})
		l.cookies = append(l.cookies, count...)
		res, err := r.endpoint("callback", r.callback(l))
		if err != nil {
			t.Fatal(err)
		}
		count = setCookies(res.Header)[1:2]
	}
}

func as(c *http.Cookie, value string) *http.Cookie { return &http.Cookie{Name: c.Name, Value: value} }
