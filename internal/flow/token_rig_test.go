package flow

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/testlog"
)

// A tokenRig is the chain of one route, built as the product builds it, with a real provider over HTTP. Its clock stands
// still until a test moves it.
type tokenRig struct {
	t        *testing.T
	issuer   *provider.Provider
	settings *Settings
	deps     Deps
	chain    auth.Chain
	next     *lastFlow
	log      *testlog.Buffer
	clock    *tokenClock
}

const (
	rigOrigin = "https://app.example"
	rigSecret = "a secret of the test, long enough to be one"
)

// newTokenRig builds the chain. The change adapts its settings.
func newTokenRig(t *testing.T, change func(*Settings)) *tokenRig {
	t.Helper()
	clock := &tokenClock{now: time.Now().Truncate(time.Second)}
	r := &tokenRig{t: t, clock: clock, log: &testlog.Buffer{}, next: &lastFlow{}, issuer: provider.Start(t, rigProvider(clock))}
	r.settings = rigSettings(r.issuer.URL)
	if change != nil {
		change(r.settings)
	}
	r.deps = r.newDeps(r.settings)
	route, err := NewRoute([]Part{{Settings: r.settings, Deps: r.deps}})
	if err != nil {
		t.Fatal(err)
	}
	r.chain = append(route.Chain, auth.Entry{Flow: r.next})
	return r
}

func rigProvider(clock *tokenClock) provider.Config {
	redirect := []string{rigOrigin + "/oauth2/callback", "https://other.example/oauth2/callback"}
	return provider.Config{
		Clients: []provider.Client{
			{ID: "app", Secret: "app-secret", RedirectURIs: redirect, PostLogoutRedirectURIs: []string{rigOrigin + "/bye"}},
			{ID: "second", Secret: "second-secret", RedirectURIs: redirect},
			{ID: "keeps", Secret: "keeps-secret", KeepRefreshToken: true},
			{ID: "opaque", Secret: "opaque-secret", OpaqueAccessTokens: true},
		},
		Users:             []provider.User{{Username: "john", Password: "doe"}, {Username: "jane", Password: "doe"}},
		ACRValues:         []string{"1", "2"},
		ExchangeAudiences: []string{"api"},
		Now:               clock.Now,
	}
}

// rigSettings are the defaults of a configuration file, with an issuer and a client.
func rigSettings(issuer string) *Settings {
	s := &Settings{
		AuthMethods: []Method{"session", "authorization_code"},
		Session: session.Settings{Storage: "memory", Audience: "default", IdlingTimeout: 15 * time.Minute, RollingTimeout: time.Hour,
			AbsoluteTimeout: 24 * time.Hour},
		AuthorizationCodeSettings: AuthorizationCodeSettings{
			ResponseType: []string{"code"}, ResponseMode: "query", AuthorizationCookieName: "authorization",
			AuthorizationCookie:         CookieSettings{Path: "/", SameSite: "Lax", HTTPOnly: true},
			AuthorizationRollingTimeout: 10 * time.Minute, VerifyNonce: true,
		},
		SessionSettings: SessionSettings{SessionCookie: CookieSettings{Path: "/", SameSite: "Lax", HTTPOnly: true}, RefreshTokens: true,
			DisableSession: []Method{"client_credentials", "password", "refresh_token"}},
		BearerSettings: BearerSettings{BearerTokenParamType: []string{"header"}, CredentialBodyLimit: 64 << 10},
		RefreshTokenSettings: RefreshTokenSettings{RefreshTokenParamType: []string{"header"},
			RefreshTokenParamName: "x_refresh_token"},
		PasswordSettings:          PasswordSettings{PasswordParamType: []string{"header"}},
		ClientCredentialsSettings: ClientCredentialsSettings{ClientCredentialsParamType: []string{"header"}},
		LoginSettings: LoginSettings{LoginMethods: []Method{"authorization_code"}, LoginAction: "redirect", LoginRedirectMode: "fragment",
			PreserveQueryArgs: true},
		LogoutSettings: LogoutSettings{LogoutMethods: []string{"POST", "DELETE"}, LogoutRevokeAccessToken: true,
			LogoutRevokeRefreshToken: true,
			RevocationTokenParamName: "token"},
	}
	s.Client.IssuerSettings = oidc.IssuerSettings{Issuer: issuer, RediscoveryLifetime: 30 * time.Second, VerifySignature: true,
		VerifyClaims:   true,
		CallsPerClient: 32, HTTPSettings: oidc.HTTPSettings{Timeout: 10 * time.Second, SSLVerify: true, Keepalive: true}}
	s.Client.ClientSettings = oidc.ClientSettings{ClientID: []string{"app"}, ClientSecret: []auth.Secret{"app-secret"},
		ClientArg:               "client_id",
		ClientAssertionAudience: "issuer", IDTokenSignedResponseAlg: []string{"RS256"}}
	s.Client.Scopes = []string{"openid"}
	s.Client.CacheSettings = oidc.CacheSettings{CacheTokens: true, CacheIntrospection: true, CacheUserInfo: true, CacheTTL: time.Hour,
		CacheTTLNeg: 5 * time.Second}
	s.Client.IntrospectionSettings = oidc.IntrospectionSettings{IntrospectionHint: "access_token", IntrospectionTokenParamName: "token",
		IntrospectionAccept: "application/json"}
	s.Client.UserinfoAccept = "application/json"
	return s
}

func (r *tokenRig) newDeps(s *Settings) Deps {
	r.t.Helper()
	log := slog.New(slog.NewJSONHandler(r.log, nil))
	issuer, err := oidc.NewIssuer(oidc.Config{IssuerSettings: s.Client.IssuerSettings, Now: r.clock.Now, Log: log})
	clients, errClients := oidc.NewClients(oidc.ClientConfig{Settings: s.Client, Issuer: issuer, HashKey: []byte("of the test")})
	k, errKeyring := keyring.New([]auth.Secret{rigSecret})
	sessions, errSessions := session.New(session.Config{Settings: s.Session, Keyring: k, Now: r.clock.Now, Log: log})
	if err := errors.Join(err, errClients, errKeyring, errSessions); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { sessions.Close() })
	return Deps{Clients: clients, Sessions: sessions, Keyring: k, Base: "/", HashKey: []byte("of the test"), Now: r.clock.Now, Log: log}
}

// ask makes a request from a client address, with headers as names and values.
func (r *tokenRig) ask(method, target string, header ...string) *auth.Request {
	return r.askWith(method, target, "", header...)
}

// askWith makes a request with a body: a form, unless a header says otherwise.
func (r *tokenRig) askWith(method, target, body string, header ...string) *auth.Request {
	q := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for n := 0; n+1 < len(header); n += 2 {
		q.Header.Add(header[n], header[n+1])
	}
	q = q.WithContext(r.t.Context())
	return &auth.Request{Request: q, Origin: rigOrigin, Hostname: "app.example", Path: q.URL.Path,
		ClientAddr: netip.MustParseAddr("192.0.2.1"), ID: "1"}
}

// browse makes the request of a user's browser for a page.
func (r *tokenRig) browse(target string, header ...string) *auth.Request {
	return r.ask("GET", target, append([]string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		header...)...)
}

// endpoint serves a request at the gate's own endpoint of that name.
func (r *tokenRig) endpoint(name string, q *auth.Request) (*auth.Result, error) {
	for _, e := range r.chain.Endpoints() {
		if e.Name == name && (e.Path == q.Path || e.Path == "" && e.Matches(q)) {
			return e.Serve(q)
		}
	}
	r.t.Fatalf("the chain has no endpoint %s at %s", name, q.Path)
	return nil, nil
}

// A lastFlow is the end of a chain. It counts its calls.
type lastFlow struct{ asked int }

func (l *lastFlow) Authenticate(*auth.Request) (*auth.Result, error) {
	l.asked++
	return nil, auth.ErrNoCredential
}

// A tokenClock stands still until a test moves it.
type tokenClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *tokenClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *tokenClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// An outcome is the result of a flow, as far as tables compare it.
type outcome struct {
	status int    // 0: a result; -1: no credential
	code   string // of RFC 6750 §3.1
	reason string // for the log
	retry  bool   // Retry-After
}

var (
	passes       = outcome{}
	noCredential = outcome{status: -1}
)

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return passes
	case errors.Is(err, auth.ErrNoCredential):
		return noCredential
	}
	e := auth.AsError(err)
	return outcome{e.Status, e.Code, e.Reason, e.RetryAfter > 0}
}

func refuses(reason string) outcome {
	return outcome{status: 401, code: "invalid_token", reason: reason}
}
func malformed(reason string) outcome {
	return outcome{status: 400, code: "invalid_request", reason: reason}
}

// notSetUp is an error that only the operator can fix.
var notSetUp = outcome{status: 500, code: "server_error", reason: "not_set_up"}

func away(reason string) outcome {
	return outcome{status: 503, code: "temporarily_unavailable", reason: reason, retry: true}
}

// answers makes an endpoint of the provider return this status and body.
func answers(p *provider.Provider, e provider.Endpoint, status int, body string) {
	p.Break(e, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// sent makes the provider assert the parameters of each token request, and that the client app authenticates.
func (r *tokenRig) sent(want url.Values) {
	r.issuer.Want(provider.Token, func(q *http.Request) error {
		id, secret, _ := q.BasicAuth()
		if q.PostForm.Encode() != want.Encode() || id != "app" || secret != "app-secret" {
			return fmt.Errorf("got %s of the client %q, expected %s", q.PostForm.Encode(), id, want.Encode())
		}
		return nil
	})
}

// grant requests a token response from the provider as a client, without the gate.
func (r *tokenRig) grant(client, secret string, form url.Values) map[string]any {
	r.t.Helper()
	q, err := http.NewRequest("POST", r.issuer.URL+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	q.SetBasicAuth(client, secret)
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	var answer auth.Claims
	if err := answer.UnmarshalJSON(body); err != nil || res.StatusCode != 200 {
		r.t.Fatalf("the provider answered %d %s", res.StatusCode, body)
	}
	return answer
}

// refreshToken requests a refresh token of a user for a client.
func (r *tokenRig) refreshToken(client, user string) string {
	token, _ := r.grant(client, client+"-secret", url.Values{
		"grant_type": {"password"}, "username": {user}, "password": {"doe"}, "scope": {"openid"},
	})["refresh_token"].(string)
	return token
}

// A loginOf is a login that a browser has begun, up to the provider's response.
type loginOf struct {
	request  url.Values // of the authorization request
	cookies  []*http.Cookie
	response url.Values // of the authorization response
}

// login begins a login and logs the user in at the provider.
func (r *tokenRig) login(user string, page *auth.Request, want auth.Login) *loginOf {
	r.t.Helper()
	answer, err := r.chain.Challenge(page, want)
	if err != nil {
		r.t.Fatal(err)
	}
	l := &loginOf{cookies: setCookies(answer.Header)}
	address, err := url.Parse(answer.Header.Get("Location"))
	if err != nil {
		r.t.Fatal(err)
	}
	l.request = address.Query()
	back := r.atProvider(user, address.String())
	l.response = back.Query()
	return l
}

// atProvider logs a user in and returns the URL to which the provider redirects the browser.
func (r *tokenRig) atProvider(user, address string) *url.URL {
	r.t.Helper()
	jar, _ := cookiejar.New(nil) // never fails
	browser := &http.Client{Jar: jar, CheckRedirect: func(q *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(q.URL.Host, ".example") {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	res, err := r.issuer.LogIn(browser, address, user, "doe")
	if err != nil {
		r.t.Fatal(err)
	}
	res.Body.Close()
	back, err := res.Location()
	if err != nil {
		r.t.Fatalf("the provider sent the browser nowhere: %d", res.StatusCode)
	}
	return back
}

// callback returns the browser's request with a login's authorization response.
func (r *tokenRig) callback(l *loginOf, header ...string) *auth.Request {
	q := r.browse("/oauth2/callback?"+l.response.Encode(), header...)
	for _, c := range l.cookies {
		q.AddCookie(c)
	}
	return q
}

func setCookies(h http.Header) []*http.Cookie {
	return (&http.Response{Header: http.Header{"Set-Cookie": h["Set-Cookie"]}}).Cookies()
}
