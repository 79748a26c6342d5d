package flow

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/provider"
)

// loginPage is the page on which the logins of these tests begin.
const loginPage = "/page?a=1"

// TestLogin: a login sends one authorization request and one token request that fits it, and begins a session of the user.
func TestLogin(t *testing.T) {
	r := newTokenRig(t, nil)
	l := r.login("john", r.browse(loginPage), auth.Login{})
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "app", "redirect_uri": rigOrigin + "/oauth2/callback", "scope": "openid",
		"code_challenge_method": "S256", "max_age": "", "acr_values": "", "response_mode": "",
	} {
		if got := l.request.Get(name); got != want {
			t.Errorf("the authorization request has %s=%q, expected %q", name, got, want)
		}
	}
	r.issuer.Want(provider.Token, func(q *http.Request) error {
		id, secret, _ := q.BasicAuth()
		form, verifier := q.PostForm, sha256.Sum256([]byte(q.PostForm.Get("code_verifier")))
		if id != "app" || secret != "app-secret" || form.Get("grant_type") != "authorization_code" ||
			form.Get("code") != l.response.Get("code") ||
			form.Get("redirect_uri") != l.request.Get("redirect_uri") ||
			base64.RawURLEncoding.EncodeToString(verifier[:]) != l.request.Get("code_challenge") {
			return fmt.Errorf("got %s of the client %q", form.Encode(), id)
		}
		return nil
	})
	res, err := r.endpoint("callback", r.callback(l))
	if err != nil {
		t.Fatal(err)
	}
	if a := res.Answer; a.Status != http.StatusSeeOther || a.Header.Get("Location") != rigOrigin+loginPage ||
		a.Header.Get("Cache-Control") != "no-store" || res.Identity != nil {
		t.Errorf("the callback answers %d %v with the identity %v", a.Status, a.Header, res.Identity)
	}
	cookies := setCookies(res.Header)
	if len(cookies) != 3 || cookies[0].Name != l.cookies[0].Name || cookies[0].MaxAge >= 0 ||
		!strings.HasSuffix(cookies[1].Name, "_rounds") ||
		!strings.HasPrefix(cookies[2].Name, "__Host-session_") {
		t.Fatalf("the callback sets %v, expected the end of the login's cookie, the count of logins and a session's", cookies)
	}
	r.isLoggedIn("john", cookies[2])
	if calls := r.issuer.Requests(provider.Token); calls != 1 {
		t.Errorf("%d token requests", calls)
	}
}

// isLoggedIn checks the user of a session's cookie.
func (r *tokenRig) isLoggedIn(user string, cookie *http.Cookie) {
	r.t.Helper()
	q := r.browse("/")
	q.AddCookie(cookie)
	res, err := r.chain.Authenticate(q)
	if err != nil {
		r.t.Fatal(err)
	}
	i := res.Identity
	if i.Flow != "session" || i.Subject != user || i.IDToken.String("sub") != user || i.Tokens.AccessToken == "" ||
		i.Tokens.RefreshToken == "" || i.Presented {
		r.t.Errorf("the session is %s's of %s", i.Subject, i.Flow)
	}
}

// TestLoginCookie: the login's cookie is bound to the host, and outlives the timeout of the login.
func TestLoginCookie(t *testing.T) {
	r := newTokenRig(t, nil)
	c := r.login("john", r.browse(loginPage), auth.Login{}).cookies[0]
	if !strings.HasPrefix(c.Name, "__Host-authorization_") || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode ||
		c.Path != "/" || c.MaxAge != int((10*time.Minute+lateLoginWindow).Seconds()) {
		t.Errorf("the cookie is %v", c)
	}
}

// A loginRow is an authorization response, valid or not.
type loginRow struct {
	name     string
	change   func(*Settings)
	response func(*tokenRig, *loginOf)      // what is wrong with the response
	request  func(*tokenRig, *auth.Request) // what is wrong with the request that brings it
	want     outcome
	calls    int  // of the token endpoint
	kept     bool // whether the login's cookie stays
	link     string
}

// runLogins runs rows at one provider. A row that changes the settings has its own provider.
func runLogins(t *testing.T, rows []loginRow) {
	t.Helper()
	shared := newTokenRig(t, nil)
	for _, c := range rows {
		if c.change != nil {
			c.run(t, newTokenRig(t, c.change))
			continue
		}
		c.run(t, shared)
		shared.issuer.Break(provider.Token, nil)
		shared.issuer.AdjustAnswer(provider.Token, nil)
		shared.issuer.AdjustIDToken(nil)
	}
}

func (c *loginRow) run(t *testing.T, r *tokenRig) {
	t.Helper()
	calls := r.issuer.Requests(provider.Token)
	l := r.login("john", r.browse(loginPage), auth.Login{})
	if c.response != nil {
		c.response(r, l)
	}
	q := r.callback(l)
	if c.request != nil {
		c.request(r, q)
	}
	_, err := r.endpoint("callback", q)
	if got := outcomeOf(err); got != c.want {
		t.Errorf("%s: got %+v (%v), expected %+v", c.name, got, err, c.want)
	}
	if got := r.issuer.Requests(provider.Token) - calls; got != c.calls {
		t.Errorf("%s: %d calls of the token endpoint, expected %d", c.name, got, c.calls)
	}
	if err == nil {
		return
	}
	if c.link != "" && auth.AsError(err).Link != rigOrigin+c.link {
		t.Errorf("%s: the page leads to %s, expected %s", c.name, auth.AsError(err).Link, c.link)
	}
	cleared := false
	for _, cookie := range setCookies(auth.HeaderOf(err)) {
		cleared = cleared || cookie.Name == l.cookies[0].Name && cookie.MaxAge < 0
		if strings.Contains(cookie.Name, "session") {
			t.Errorf("%s: a session begins", c.name)
		}
	}
	if cleared == c.kept {
		t.Errorf("%s: the login's cookie is cleared: %v", c.name, cleared)
	}
	if strings.Contains(err.Error(), l.response.Get("code")) && l.response.Get("code") != "" {
		t.Errorf("%s: the error holds the code", c.name)
	}
}

var (
	stale       = outcome{status: 400, reason: "login_stale"}
	loginFailed = outcome{status: 400, reason: "login_failed"}
)

// param sets a parameter of the authorization response to values; without values it removes it.
func param(name string, values ...string) func(*tokenRig, *loginOf) {
	return func(_ *tokenRig, l *loginOf) {
		l.response[name] = values
		if len(values) == 0 {
			l.response.Del(name)
		}
	}
}

// later moves the clock before the response arrives.
func later(d time.Duration) func(*tokenRig, *loginOf) {
	return func(r *tokenRig, _ *loginOf) { r.clock.advance(d) }
}

// TestAuthorizationResponses: a response is accepted only with the state of a pending login of this browser, on this origin,
// in time, and from the issuer of the login. All others cause no request to the issuer.
func TestAuthorizationResponses(t *testing.T) {
	runLogins(t, authorizationResponses)
}

var authorizationResponses = []loginRow{
	{name: "good", calls: 1},
	{name: "no state", response: param("state"), want: stale, kept: true, link: "/"},
	{name: "an empty state", response: param("state", ""), want: stale, kept: true},
	{name: "two states", response: func(_ *tokenRig, l *loginOf) { l.response.Add("state", l.response.Get("state")) },
		want: stale, kept: true},
	{name: "a state that is too long", response: param("state", strings.Repeat("x", 101)), want: stale, kept: true},
	{name: "another login's state", response: func(r *tokenRig, l *loginOf) {
		l.response.Set("state", r.login("jane", r.browse("/"), auth.Login{}).response.Get("state"))
	}, want: stale, kept: true},
	{name: "another browser's", response: func(_ *tokenRig, l *loginOf) {
		l.cookies = l.cookies[:0:0]
		l.cookies = append(l.cookies, &http.Cookie{Name: "x"})
	}, want: stale, kept: true, link: "/"},
	{name: "another login's cookie under this one's name", response: func(r *tokenRig, l *loginOf) {
		l.cookies[0].Value = r.login("john", r.browse("/"), auth.Login{}).cookies[0].Value
	}, want: stale, kept: true},
	{name: "a cookie of other keys", response: func(r *tokenRig, l *loginOf) { l.cookies[0].Value = forgedLogin(r, l) },
		want: stale, kept: true},
	{name: "a neighbour's cookie before", response: func(r *tokenRig, l *loginOf) {
		l.cookies = append([]*http.Cookie{{Name: l.cookies[0].Name, Value: forgedLogin(r, l)}}, l.cookies...)
	}, calls: 1},
	{name: "too many cookies before", response: func(r *tokenRig, l *loginOf) {
		forged := &http.Cookie{Name: l.cookies[0].Name, Value: forgedLogin(r, l)}
		l.cookies = append([]*http.Cookie{l.cookies[0], forged, forged, forged, forged}[1:], l.cookies...)
	}, want: stale, kept: true},
	{name: "in time", response: later(10 * time.Minute), want: loginFailed, calls: 1}, // the provider's code lasts for a minute
	{name: "too late", response: later(10*time.Minute + time.Second), want: stale, kept: true, link: loginPage},
	{name: "at another origin", request: func(_ *tokenRig, q *auth.Request) { q.Origin = "https://other.example" },
		want: stale, kept: true},

	{name: "no iss", response: param("iss"), want: loginFailed, link: loginPage},
	{name: "another issuer's", response: param("iss", "https://evil.example"), want: loginFailed},
	{name: "two iss", response: func(_ *tokenRig, l *loginOf) { l.response.Add("iss", l.response.Get("iss")) }, want: loginFailed},
	{name: "no code", response: param("code"), want: loginFailed},
	{name: "an empty code", response: param("code", ""), want: loginFailed},
	{name: "two codes", response: func(_ *tokenRig, l *loginOf) { l.response.Add("code", "x") }, want: loginFailed},
	{name: "an unknown code", response: param("code", "nonsense-code"), want: loginFailed, calls: 1},
	{name: "another login's code", response: func(r *tokenRig, l *loginOf) {
		l.response.Set("code", r.login("jane", r.browse("/"), auth.Login{}).response.Get("code"))
	}, want: loginFailed, calls: 1}, // PKCE
	{name: "denied", response: param("error", "access_denied"), want: outcome{status: 403, reason: "login_denied"}, link: loginPage},
	{name: "in trouble", response: param("error", "server_error"),
		want: outcome{status: 503, reason: "login_server_error", retry: true}, kept: true},
	{name: "busy", response: param("error", "temporarily_unavailable"),
		want: outcome{status: 503, reason: "login_server_error", retry: true}, kept: true},
	{name: "another error", response: param("error", "invalid_scope"), want: notSetUp},
	{name: "an error of another issuer", response: func(_ *tokenRig, l *loginOf) {
		l.response.Set("error", "access_denied")
		l.response.Set("iss", "https://evil.example")
	}, want: loginFailed},

	{name: "a script", request: header("Sec-Fetch-Mode", "cors"), want: stale, kept: true},
	{name: "a frame", request: header("Sec-Fetch-Dest", "iframe"), want: stale, kept: true},
	{name: "a prefetch", request: header("Sec-Purpose", "prefetch"), want: stale, kept: true},
	{name: "a POST", request: func(_ *tokenRig, q *auth.Request) { q.Method = "POST" },
		want: outcome{status: 405, reason: "method_not_allowed"}, kept: true},
}

func header(name, value string) func(*tokenRig, *auth.Request) {
	return func(_ *tokenRig, q *auth.Request) { q.Header.Set(name, value) }
}

// forgedLogin returns the cookie of a login, sealed with another secret.
func forgedLogin(r *tokenRig, l *loginOf) string {
	theirs, err := keyring.New([]auth.Secret{"another secret of the test, long enough to be one"})
	if err != nil {
		r.t.Fatal(err)
	}
	plain, opened := r.deps.Keyring.Unseal(l.cookies[0].Name, l.cookies[0].Value)
	sealed, err := theirs.Seal(l.cookies[0].Name, plain)
	if err != nil || !opened {
		r.t.Fatal(err, opened)
	}
	return sealed
}

// claimOfID changes the ID tokens that the provider issues.
func claimOfID(name string, v any) func(*tokenRig, *loginOf) {
	return func(r *tokenRig, _ *loginOf) { r.issuer.AdjustIDToken(set(name, v)(r)) }
}

// TestLoginTokens: the tokens of a token response begin a session only if they are verified.
func TestLoginTokens(t *testing.T) {
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	answered := func(change func(*tokenRig, map[string]any)) func(*tokenRig, *loginOf) {
		return func(r *tokenRig, _ *loginOf) {
			r.issuer.AdjustAnswer(provider.Token, func(answer map[string]any) { change(r, answer) })
		}
	}
	rows := []loginRow{
		{name: "no nonce", response: claimOfID("nonce", nil), want: loginFailed},
		{name: "another nonce", response: claimOfID("nonce", "x"), want: loginFailed},
		{name: "a nonce that is no string", response: claimOfID("nonce", 1), want: loginFailed},
		{name: "another nonce where it isn't verified", response: claimOfID("nonce", "x"),
			change: func(s *Settings) { s.VerifyNonce = false }},
		{name: "another at_hash", response: claimOfID("at_hash", "x"), want: loginFailed},
		{name: "no at_hash", response: claimOfID("at_hash", nil)}, // optional with a code (OIDC Core §3.1.3.6)
		{name: "another azp", response: claimOfID("azp", "second"), want: notSetUp},
		{name: "an empty azp", response: claimOfID("azp", ""), want: notSetUp},
		{name: "another aud", response: claimOfID("aud", "second"), want: notSetUp},
		{name: "aud in words", response: claimOfID("aud", "x app"), want: notSetUp},
		{name: "another issuer", response: claimOfID("iss", "https://evil.example"), want: notSetUp},
		{name: "expired", response: claimOfID("exp", 1000), want: notSetUp},
		{name: "issued in the future", response: claimOfID("iat", 1<<33), want: notSetUp},
		{name: "no sub", response: claimOfID("sub", nil), want: notSetUp},
		{name: "an empty sub", response: claimOfID("sub", ""), want: notSetUp},
		{name: "no ID token", response: answered(func(_ *tokenRig, a map[string]any) { delete(a, "id_token") }), want: notSetUp},
		{name: "an ID token that is no string", response: answered(func(_ *tokenRig, a map[string]any) { a["id_token"] = 1 }),
			want: notSetUp},
		{name: "another login's ID token", response: answered(func(r *tokenRig, a map[string]any) {
			a["id_token"] = r.issuer.IDToken("jane", "app", nil)
		}), want: loginFailed},
		{name: "an access token as the ID token", response: answered(func(_ *tokenRig, a map[string]any) {
			a["id_token"] = a["access_token"]
		}), want: loginFailed},
		{name: "a stranger's signature", response: answered(func(r *tokenRig, a map[string]any) {
			a["id_token"] = r.issuer.SignJWT(payloadOf(a["id_token"].(string)), provider.WithKey(stranger))
		}), want: loginFailed},
		{name: "no signature", response: answered(func(r *tokenRig, a map[string]any) {
			a["id_token"] = r.issuer.SignJWT(payloadOf(a["id_token"].(string)), provider.WithAlg("none"))
		}), want: notSetUp},
		{name: "another algorithm than the pinned one", response: answered(func(r *tokenRig, a map[string]any) {
			a["id_token"] = r.issuer.SignJWT(payloadOf(a["id_token"].(string)), provider.WithAlg("ES256"))
		}), want: notSetUp},
		{name: "older than max_age", change: maxAge(time.Minute), response: claimOfID("auth_time", 1000), want: loginFailed},
		{name: "no auth_time although max_age", change: maxAge(time.Minute), response: claimOfID("auth_time", nil), want: loginFailed},
		{name: "within max_age", change: maxAge(time.Minute)},
	}
	for n := range rows {
		rows[n].calls = 1
	}
	runLogins(t, rows)
}

func maxAge(d time.Duration) func(*Settings) { return func(s *Settings) { s.MaxAge = &d } }

// payloadOf decodes the claims of a JWT.
func payloadOf(token string) map[string]any {
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var c auth.Claims
	if errors.Join(err, c.UnmarshalJSON(raw)) != nil {
		panic("no JWT: " + token)
	}
	return c
}

// TestCodeOnce: a login's code is redeemed once, even if the browser keeps the login's cookie. After an outage the response
// may be repeated.
func TestCodeOnce(t *testing.T) {
	r := newTokenRig(t, nil)
	l := r.login("john", r.browse(loginPage), auth.Login{})
	answers(r.issuer, provider.Token, 500, `{"error":"invalid_grant"}`)
	_, err := r.endpoint("callback", r.callback(l))
	if got := outcomeOf(err); got != unavailable || len(auth.HeaderOf(err)) > 0 || auth.AsError(err).Link != rigOrigin+loginPage {
		t.Errorf("the issuer in trouble: %+v, %v", got, auth.HeaderOf(err))
	}
	r.issuer.Break(provider.Token, nil)
	if _, err := r.endpoint("callback", r.callback(l)); err != nil {
		t.Errorf("the same response after that: %v", err)
	}
	for range 2 {
		if _, err := r.endpoint("callback", r.callback(l)); outcomeOf(err) != stale || auth.AsError(err).Link != rigOrigin+loginPage {
			t.Errorf("the same response again: %v", err)
		}
	}
	if calls := r.issuer.Requests(provider.Token); calls != 2 {
		t.Errorf("%d token requests, expected 2", calls)
	}
}

// TestCodeAtAnIssuerInTrouble: only a token response that is about the code ends a login.
func TestCodeAtAnIssuerInTrouble(t *testing.T) {
	breaks := func(status int, body string) func(*tokenRig, *loginOf) {
		return func(r *tokenRig, _ *loginOf) { answers(r.issuer, provider.Token, status, body) }
	}
	rows := []loginRow{
		{name: "429", response: breaks(429, `{"error":"invalid_grant"}`), want: unavailable, kept: true, link: loginPage},
		{name: "503", response: breaks(503, ``), want: unavailable, kept: true},
		{name: "garbage", response: breaks(200, `<html>`), want: unavailable, kept: true},
		{name: "no token", response: breaks(200, `{}`), want: unavailable, kept: true},
		{name: "a redirect", response: breaks(307, ``), want: notSetUp},
		{name: "a page with 400", response: breaks(400, `<html>`), want: notSetUp},
		{name: "a page with 408", response: breaks(408, `<html>`), want: unavailable, kept: true},
		{name: "invalid_grant", response: breaks(400, `{"error":"invalid_grant"}`), want: loginFailed},
		{name: "an error in a 200", response: breaks(200, `{"error":"bad_verification_code"}`), want: notSetUp},
		{name: "invalid_grant in a 200", response: breaks(200, `{"error":"invalid_grant"}`), want: loginFailed},
		{name: "our client refused", response: breaks(401, `{"error":"invalid_client"}`), want: notSetUp},
		{name: "slow", change: func(s *Settings) { s.Client.Timeout = time.Second },
			response: func(r *tokenRig, _ *loginOf) { r.issuer.Hold(provider.Token) }, want: unavailable, kept: true},
	}
	for n := range rows {
		rows[n].calls = 1
	}
	runLogins(t, rows)
	down := loginRow{name: "down", response: func(r *tokenRig, _ *loginOf) { r.issuer.Close() }, want: unavailable, kept: true}
	down.run(t, newTokenRig(t, nil))
}
