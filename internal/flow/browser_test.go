package flow_test

import (
	"net/http"
	"net/http/cookiejar"
	"strings"

	"sallyport/internal/auth"
)

// login logs a user in with a browser, and returns the session cookie. More are headers of the request that begins the
// login.
func (g *gate) login(user string, more ...string) *http.Cookie {
	g.Helper()
	return g.sessionIn(g.loginHeaders(user, more...)...)
}

// loginHeaders logs a user in with a browser, and returns the headers of the answer that begins the session.
func (g *gate) loginHeaders(user string, more ...string) []http.Header {
	g.Helper()
	res, err := g.endpoint("callback", g.callbackOf(user, more...))
	if err != nil {
		g.Fatal(err)
	}
	return []http.Header{res.Header, res.Answer.Header}
}

// callbackOf lets a user log in at the provider with a browser, and returns the authorization response.
func (g *gate) callbackOf(user string, more ...string) *auth.Request {
	g.Helper()
	page := append([]string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, more...)
	begun, err := g.chain.Challenge(g.request("GET /page", page...), auth.Login{})
	if err != nil {
		g.Fatal(err)
	}
	jar, _ := cookiejar.New(nil) // never fails
	browser := &http.Client{Jar: jar, CheckRedirect: func(q *http.Request, _ []*http.Request) error {
		if q.URL.Host == "app.example" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	response, err := g.issuer.LogIn(browser, begun.Header.Get("Location"), user, "doe")
	if err != nil {
		g.Fatal(err)
	}
	response.Body.Close()
	target, _ := strings.CutPrefix(response.Header.Get("Location"), origin)
	r := g.request("GET "+target, page...)
	for _, c := range setIn(begun.Header) {
		r.AddCookie(c)
	}
	return r
}

func setIn(h http.Header) []*http.Cookie {
	return (&http.Response{Header: h}).Cookies()
}

// sessionIn returns the session cookie that one of the headers sets.
func (g *gate) sessionIn(headers ...http.Header) *http.Cookie {
	g.Helper()
	for _, h := range headers {
		for _, c := range setIn(h) {
			if strings.HasPrefix(c.Name, "__Host-session_") && c.MaxAge >= 0 {
				return c
			}
		}
	}
	g.Fatal("no session cookie was set")
	return nil
}

// carries returns a request for a page with cookies.
func (g *gate) carries(cookies ...*http.Cookie) *auth.Request {
	r := g.request("GET /page")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// as returns a cookie with another value.
func as(c *http.Cookie, value string) *http.Cookie { return &http.Cookie{Name: c.Name, Value: value} }

// clears asserts that the response deletes the session cookie, keeps that it does not.
func clears(g *gate, res *auth.Result) { g.clearing(res, true) }
func keeps(g *gate, res *auth.Result)  { g.clearing(res, false) }

func (g *gate) clearing(res *auth.Result, want bool) {
	g.Helper()
	cleared := false
	if res != nil {
		for _, c := range setIn(res.Header) {
			cleared = cleared || c.MaxAge < 0 && strings.HasPrefix(c.Name, "__Host-session_") && c.Secure && c.Path == "/"
		}
	}
	if cleared != want {
		g.Errorf("the session cookie is cleared: %v, in %v", cleared, res)
	}
}
