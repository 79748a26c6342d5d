package flow

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

func preservesPosts(s *Settings) { s.PreservePost = true }

// timedOut returns a cookie of a session of john's that has timed out.
func (r *tokenRig) timedOut() *http.Cookie {
	r.t.Helper()
	cookie := r.sessionCookie("john")
	r.clock.advance(16 * time.Minute)
	return cookie
}

// sessionCookie logs a user in and returns the session's cookie.
func (r *tokenRig) sessionCookie(user string) *http.Cookie {
	r.t.Helper()
	res, err := r.endpoint("callback", r.callback(r.login(user, r.browse("/"), auth.Login{})))
	if err != nil {
		r.t.Fatal(err)
	}
	all := setCookies(res.Header)
	return all[len(all)-1]
}

// postForm makes the request of a browser that sends a form of the site.
func (r *tokenRig) postForm(body string, cookies ...*http.Cookie) *auth.Request {
	q := r.askWith("POST", "/form?x=1", body, "Accept", "text/html", "Origin", rigOrigin, "Sec-Fetch-Site", "same-origin",
		"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	for _, c := range cookies {
		q.AddCookie(c)
	}
	return q
}

const (
	filePart  = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n\r\nhello\r\n--b--\r\n"
	plainPart = "--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nhello\r\n--b--\r\n"
)

// TestFormsThatAreKept: a form is kept only if each condition holds.
func TestFormsThatAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		settings func(*Settings)
		body     string
		change   func(*tokenRig, *auth.Request)
		notForms bool // the gate asks for no form
		kept     bool
	}{
		"good":                   {kept: true},
		"without Fetch Metadata": {kept: true, change: without("Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")},
		"multipart":              {kept: true, body: plainPart, change: header("Content-Type", "multipart/form-data; boundary=b")},
		"64 KiB":                 {kept: true, body: strings.Repeat("a", 64<<10)},
		"off":                    {settings: func(s *Settings) { s.PreservePost = false }},
		"not for the upstream":   {notForms: true},
		"another method":         {change: func(_ *tokenRig, q *auth.Request) { q.Method = "PUT" }},
		"no Origin":              {change: without("Origin")},
		"another Origin":         {change: header("Origin", "https://evil.example")},
		"Origin null":            {change: header("Origin", "null")},
		"two Origins":            {change: func(_ *tokenRig, q *auth.Request) { q.Header.Add("Origin", rigOrigin) }},
		"cross-site":             {change: header("Sec-Fetch-Site", "cross-site")},
		"same-site":              {change: header("Sec-Fetch-Site", "same-site")},
		"a script":               {change: header("Sec-Fetch-Mode", "cors")},
		"a frame":                {change: header("Sec-Fetch-Dest", "iframe")},
		"a program":              {change: header("Accept", "application/json")},
		"JSON":                   {change: header("Content-Type", "application/json")},
		"plain text":             {change: header("Content-Type", "text/plain")},
		"no type":                {change: without("Content-Type")},
		"two types":              {change: func(_ *tokenRig, q *auth.Request) { q.Header.Add("Content-Type", "text/plain") }},
		"compressed":             {change: header("Content-Encoding", "gzip")},
		"a file":                 {body: filePart, change: header("Content-Type", "multipart/form-data; boundary=b")},
		"multipart without end":  {body: plainPart[:60], change: header("Content-Type", "multipart/form-data; boundary=b")},
		"no boundary":            {body: plainPart, change: header("Content-Type", "multipart/form-data")},
		"over 64 KiB":            {body: strings.Repeat("a", 64<<10+1)},
		"over 64 KiB, unannounced": {body: strings.Repeat("a", 64<<10+1),
			change: func(_ *tokenRig, q *auth.Request) { q.ContentLength = -1 }},
		"no cookie":       {change: without("Cookie")},
		"a forged cookie": {change: func(_ *tokenRig, q *auth.Request) { q.Header.Set("Cookie", q.Header.Get("Cookie")[:60]) }},
		"too long ago":    {change: func(r *tokenRig, _ *auth.Request) { r.clock.advance(15 * time.Minute) }},
		"logged out": {change: func(r *tokenRig, q *auth.Request) {
			out := r.browse("/oauth2/logout", "Sec-Fetch-Site", "same-origin", "Cookie", q.Header.Get("Cookie"))
			if _, err := r.endpoint("logout", out); err != nil {
				r.t.Fatal(err)
			}
		}},
	} {
		settings := preservesPosts
		if c.settings != nil {
			settings = c.settings
		}
		r := newTokenRig(t, settings)
		cookie := r.timedOut()
		if c.body == "" {
			c.body = "a=b"
		}
		q := r.postForm(c.body, cookie)
		if c.change != nil {
			c.change(r, q)
		}
		answer, err := r.chain.Challenge(q, auth.Login{Form: !c.notForms})
		switch {
		case c.kept && (err != nil || answer.Status != http.StatusSeeOther):
			t.Errorf("%s: %v, expected a login", name, err)
		case !c.kept && !errors.Is(err, auth.ErrNoCredential):
			t.Errorf("%s: %v, %v, expected that no login begins", name, answer, err)
		case c.kept && strings.Contains(answer.Header.Get("Location"), "hello"):
			t.Errorf("%s: the address has the form", name)
		}
	}
	r := newTokenRig(t, preservesPosts)
	if _, err := r.chain.Challenge(r.postForm("a=b", r.sessionCookie("john")), auth.Login{Form: true}); !errors.Is(err, auth.ErrNoCredential) {
		t.Errorf("a session that lives: %v", err)
	}
}

func without(names ...string) func(*tokenRig, *auth.Request) {
	return func(_ *tokenRig, q *auth.Request) {
		for _, name := range names {
			q.Header.Del(name)
		}
	}
}

// keepForm keeps a form of john's, logs a user in and returns the cookies with which the browser comes to the page about the form.
func (r *tokenRig) keepForm(user string) []*http.Cookie {
	r.t.Helper()
	l := r.login(user, r.postForm("a=b&c=d", r.timedOut()), auth.Login{Form: true})
	res, err := r.endpoint("callback", r.callback(l))
	if err != nil {
		r.t.Fatal(err)
	}
	if to := res.Answer.Header.Get("Location"); to != rigOrigin+"/oauth2/resume" || res.Identity != nil {
		r.t.Fatalf("the login ends at %s", to)
	}
	return append(l.cookies, setCookies(res.Header)...)
}

// resume asks the endpoint for kept forms.
func (r *tokenRig) resume(method string, cookies []*http.Cookie, header ...string) (*auth.Result, error) {
	r.t.Helper()
	q := r.ask(method, "/oauth2/resume", append([]string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		header...)...)
	for _, c := range cookies {
		if c.MaxAge >= 0 {
			q.AddCookie(c)
		}
	}
	return r.endpoint("resume", q)
}

// TestFormIsSent: after the login of the same user, a page asks about the form, and its button sends it once as it was.
func TestFormIsSent(t *testing.T) {
	for action, change := range map[string]func(*Settings){
		"redirect":  preservesPosts,
		"response":  func(s *Settings) { s.PreservePost, s.LoginAction = true, "response" },
		"elsewhere": func(s *Settings) { s.PreservePost, s.LoginRedirectURI = true, []string{"/elsewhere"} },
	} {
		r := newTokenRig(t, change)
		cookies := r.keepForm("john")
		for range 2 {
			res, err := r.resume("GET", cookies)
			if err != nil || res.Answer.Page.Kind != auth.PageResume || !res.Answer.Page.Post || res.Resume != nil ||
				!strings.Contains(res.Answer.Page.Text, "for /form was") {
				t.Fatalf("%s: %v, %v", action, res, err)
			}
		}
		for name, headers := range map[string][]string{
			"no Origin": nil, "another site's": {"Origin", "https://evil.example"},
			"a cross-site one": {"Origin", rigOrigin, "Sec-Fetch-Site", "cross-site"},
		} {
			if _, err := r.resume("POST", cookies, headers...); outcomeOf(err) != (outcome{status: 403, reason: "form_from_elsewhere"}) {
				t.Errorf("%s: %v", name, err)
			}
		}
		res, err := r.resume("POST", cookies, "Origin", rigOrigin)
		if err != nil {
			t.Fatal(err)
		}
		q := res.Resume
		body, _ := io.ReadAll(q.Body)
		if q.Method != "POST" || q.RequestURI != "/form?x=1" || q.URL.Path != "/form" || q.URL.RawQuery != "x=1" ||
			string(body) != "a=b&c=d" || q.ContentLength != 7 || q.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%s: it sends %s %s %q", action, q.Method, q.RequestURI, body)
		}
		if _, err := r.resume("POST", cookies, "Origin", rigOrigin); outcomeOf(err) != (outcome{status: 404, reason: "form_gone"}) {
			t.Errorf("a second time: %v", err)
		}
		if strings.Contains(r.log.String(), "c=d") {
			t.Error("the log has the form")
		}
	}
}

// TestFormIsNotSent: a form is shown to its user alone, and not after its time.
func TestFormIsNotSent(t *testing.T) {
	for name, c := range map[string]struct {
		user string
		late time.Duration
		want outcome
	}{
		"another user": {"jane", 0, outcome{status: 403, reason: "form_of_another"}},
		"too late":     {"john", 14*time.Minute + 59*time.Second, outcome{status: 404, reason: "form_gone"}},
	} {
		for _, method := range []string{"GET", "POST"} {
			r := newTokenRig(t, preservesPosts)
			cookies := r.keepForm(c.user)
			if c.late > 0 {
				r.clock.advance(c.late / 2)
				r.resume("GET", cookies) // the session stays in use
				r.clock.advance(c.late/2 + time.Second)
			}
			_, err := r.resume(method, cookies, "Origin", rigOrigin)
			if outcomeOf(err) != c.want {
				t.Errorf("%s, %s: %v", name, method, err)
			}
			if _, err := r.resume("GET", cookies); outcomeOf(err).reason != "form_gone" {
				t.Errorf("%s, %s: the form is still there: %v", name, method, err)
			}
		}
	}
	r := newTokenRig(t, preservesPosts)
	if _, err := r.resume("POST", r.keepForm("john")[:2], "Origin", rigOrigin); !errors.Is(err, auth.ErrNoCredential) {
		t.Errorf("without a session: %v", err)
	}
}
