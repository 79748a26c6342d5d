package provider_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"sallyport/internal/provider"
)

const callback = "http://app.test/oauth2/callback"

// config returns a configuration with a client of each kind and two users.
func config() provider.Config {
	return provider.Config{
		Clients: []provider.Client{
			{ID: "app", Secret: "s3cret", RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{"http://app.test/bye"}},
			{ID: "post", Secret: "s3cret", AuthMethod: "client_secret_post", RedirectURIs: []string{callback},
				Claims: map[string]any{"groups": []string{"robots"}}},
			{ID: "public", RedirectURIs: []string{callback, "http://127.0.0.1/cb"}},
			{ID: "odd:id &+", Secret: "a b+c%&:ü", RedirectURIs: []string{callback}},
			{ID: "opaque", Secret: "s3cret", RedirectURIs: []string{callback}, OpaqueAccessTokens: true, KeepRefreshToken: true,
				IDTokenAlg: "EdDSA", AccessTokenAudience: []string{"api", "other"}},
		},
		Users: []provider.User{
			{Username: "john", Password: "doe", Claims: map[string]any{"sub": "u-1", "name": "John Doe", "email": "john@example.com",
				"groups": []string{"staff"}, "realm_access": map[string]any{"roles": []string{"admin"}}}},
			{Username: "jane", Password: "roe"},
		},
		Scopes:    []string{"orders:read"},
		ACRValues: []string{"1", "2"},
	}
}

// A clock is a time that only advance changes.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start starts a provider with config and a clock.
func start(t *testing.T) (*provider.Provider, *clock) {
	t.Helper()
	c := config()
	k := &clock{now: time.Now()}
	c.Now = k.Now
	return provider.Start(t, c), k
}

// browser returns a client that stores cookies and stops at the first redirect to another server.
func browser(p *provider.Provider) *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), p.URL) {
			return nil
		}
		return http.ErrUseLastResponse
	}}
}

func oauthConfig(p *provider.Provider, clientID, secret string) *oauth2.Config {
	return &oauth2.Config{ClientID: clientID, ClientSecret: secret, RedirectURL: callback, Scopes: []string{"openid", "profile", "email"},
		Endpoint: oauth2.Endpoint{AuthURL: p.URL + "/authorize", TokenURL: p.URL + "/token", AuthStyle: oauth2.AuthStyleInHeader}}
}

// mustLogIn logs john in and returns the parameters of the redirect.
func mustLogIn(t *testing.T, p *provider.Provider, b *http.Client, address string) url.Values {
	t.Helper()
	r, err := p.LogIn(b, address, "john", "doe")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return redirected(t, r)
}

// redirected checks that r is a redirect to the client and returns its parameters.
func redirected(t *testing.T, r *http.Response) url.Values {
	t.Helper()
	if r.StatusCode != http.StatusSeeOther {
		t.Fatalf("expected a redirect, got %s", r.Status)
	}
	to, err := r.Location()
	if err != nil {
		t.Fatal(err)
	}
	if got := to.Scheme + "://" + to.Host + to.Path; got != callback {
		t.Fatalf("redirected to %s, expected %s", got, callback)
	}
	return to.Query()
}

// mustTokens logs john in and redeems the code.
func mustTokens(t *testing.T, p *provider.Provider, c *oauth2.Config) *oauth2.Token {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	answer := mustLogIn(t, p, browser(p), c.AuthCodeURL("st", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("nonce", "n-1")))
	token, err := c.Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// post sends a form, with Basic authentication if clientID isn't empty, and decodes the JSON response.
func post(t *testing.T, address, clientID, secret string, form url.Values) (*http.Response, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if clientID != "" {
		r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret))
	}
	return send(t, r)
}

func get(t *testing.T, address, bearer string) (*http.Response, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	return send(t, r)
}

func send(t *testing.T, r *http.Request) (*http.Response, map[string]any) {
	t.Helper()
	return sendWith(t, http.DefaultClient, r)
}

func sendWith(t *testing.T, c *http.Client, r *http.Request) (*http.Response, map[string]any) {
	t.Helper()
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if strings.Contains(answer.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(body, &object); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
	}
	return answer, object
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
