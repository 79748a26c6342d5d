package oidc

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

func TestIDToken(t *testing.T) {
	p, c, now := begin(t, nil)
	claims := func(name string, v any) map[string]any {
		m := map[string]any{"iss": p.Issuer(), "sub": "john", "aud": "app",
			"exp": now.Now().Add(time.Minute).Unix(), "iat": now.Now().Unix(), "nonce": "n"}
		m[name] = v
		if v == nil {
			delete(m, name)
		}
		return m
	}
	hour := time.Hour
	want := IDTokenWant{Nonce: "n", AccessToken: "at"}
	for _, test := range []struct {
		name  string
		token string
		want  IDTokenWant
		ok    bool
	}{
		{"good", p.SignJWT(claims("", nil)), want, true},
		{"at_hash", p.SignJWT(claims("at_hash", halfHash("RS256", "at"))), want, true},
		{"azp", p.SignJWT(claims("azp", "app")), want, true},
		{"two audiences with azp", p.SignJWT(map[string]any{"iss": p.Issuer(), "sub": "john", "aud": []string{"app", "x"}, "azp": "app",
			"exp": now.Now().Add(time.Minute).Unix(), "iat": now.Now().Unix(), "nonce": "n"}), want, true},
		{"auth_time within max_age", p.SignJWT(claims("auth_time", now.Now().Add(-time.Minute).Unix())),
			IDTokenWant{Nonce: "n", MaxAge: &hour}, true},

		{"nonce of another login", p.SignJWT(claims("nonce", "m")), want, false},
		{"no nonce", p.SignJWT(claims("nonce", nil)), want, false},
		{"nonce is no string", p.SignJWT(claims("nonce", []string{"n"})), want, false},
		{"at_hash of another token", p.SignJWT(claims("at_hash", halfHash("RS256", "other"))), want, false},
		{"at_hash is no string", p.SignJWT(claims("at_hash", 1)), want, false},
		{"another audience", p.SignJWT(claims("aud", "other")), want, false},
		{"no audience", p.SignJWT(claims("aud", nil)), want, false},
		{"audience of objects", p.SignJWT(claims("aud", []any{map[string]any{}})), want, false},
		{"two audiences without azp", p.SignJWT(claims("aud", []string{"app", "x"})), want, false},
		{"azp of another client", p.SignJWT(claims("azp", "other")), want, false},
		{"no sub", p.SignJWT(claims("sub", nil)), want, false},
		{"empty sub", p.SignJWT(claims("sub", "")), want, false},
		{"no iat", p.SignJWT(claims("iat", nil)), want, false},
		{"no exp", p.SignJWT(claims("exp", nil)), want, false},
		{"expired", p.SignJWT(claims("exp", now.Now().Unix())), want, false},
		{"another issuer", p.SignJWT(claims("iss", "https://evil")), want, false},
		{"ES256 where RS256 is pinned", p.SignJWT(claims("", nil), provider.WithAlg("ES256")), want, false},
		{"none", p.SignJWT(claims("", nil), provider.WithAlg("none")), want, false},
		{"an access token", p.AccessToken("john", "app", map[string]any{"nonce": "n"}), want, false},
		{"no auth_time", p.SignJWT(claims("", nil)), IDTokenWant{Nonce: "n", MaxAge: &hour}, false},
		{"auth_time too old", p.SignJWT(claims("auth_time", now.Now().Add(-2*time.Hour).Unix())),
			IDTokenWant{Nonce: "n", MaxAge: &hour}, false},
		{"refreshed for somebody else", p.SignJWT(claims("sub", "jane")),
			IDTokenWant{Previous: auth.Claims{"iss": p.Issuer(), "sub": "john"}}, false},
		{"refreshed with another login", p.SignJWT(claims("auth_time", 5)),
			IDTokenWant{Previous: auth.Claims{"iss": p.Issuer(), "sub": "john", "auth_time": int64(4)}}, false},
		{"refreshed", p.SignJWT(claims("nonce", nil)),
			IDTokenWant{Previous: auth.Claims{"iss": p.Issuer(), "sub": "john", "nonce": "n"}}, true},
	} {
		if _, _, err := c.IDToken(t.Context(), test.token, test.want); (err == nil) != test.ok {
			t.Errorf("%s: %v, expected ok %v", test.name, err, test.ok)
		}
	}
}

// TestClientAuthentication: the secret has characters that must be form-encoded before Basic (RFC 6749 §2.3.1).
func TestClientAuthentication(t *testing.T) {
	for method, check := range map[string]func(*http.Request) bool{
		"client_secret_basic": func(r *http.Request) bool {
			id, secret, ok := r.BasicAuth()
			return ok && id == "app" && secret == "s+e%2Fcr%25t" && !r.PostForm.Has("client_secret") && !r.PostForm.Has("client_id")
		},
		"client_secret_post": func(r *http.Request) bool {
			return r.Header.Get("Authorization") == "" && r.PostForm.Get("client_id") == "app" &&
				r.PostForm.Get("client_secret") == "s e/cr%t"
		},
		"none": func(r *http.Request) bool {
			return r.Header.Get("Authorization") == "" && r.PostForm.Get("client_id") == "app" && !r.PostForm.Has("client_secret")
		},
	} {
		p, c, _ := begin(t, func(s *Settings) { s.ClientAuth = []string{method} })
		p.Want(provider.Token, func(r *http.Request) error {
			if !check(r) {
				return errors.New("the client authenticates in another way than " + method)
			}
			return nil
		})
		c.Refresh(t.Context(), auth.Tokens{RefreshToken: "x"})
	}
}

func TestTokenAnswers(t *testing.T) {
	p, c, now := begin(t, nil)
	answer := func(status int, body string) {
		p.Break(provider.Token, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			w.Write([]byte(body))
		})
	}
	for _, test := range []struct {
		status  int
		body    string
		refused bool
		away    bool
		expiry  time.Time
	}{
		{200, `{"access_token":"a","token_type":"bearer","expires_in":60}`, false, false, now.Now().Add(time.Minute)},
		{200, `{"access_token":"a","token_type":"Bearer","expires_in":"60"}`, false, false, now.Now().Add(time.Minute)},
		{200, `{"access_token":"a","expires_in":0}`, false, false, now.Now()},
		{200, `{"access_token":"a","expires_in":-5}`, false, false, now.Now()},
		{200, `{"access_token":"a"}`, false, false, time.Time{}},
		{200, `{"access_token":"a","expires_in":"soon"}`, false, false, time.Time{}},
		{200, `{"access_token":"a","expires_in":[60]}`, false, false, time.Time{}},
		{200, `{"access_token":"a","scope":["a"],"id_token":{},"refresh_token":5,"token_type":[],"issued_token_type":1}`,
			false, false, time.Time{}},
		{200, "\xef\xbb\xbf" + `{"access_token":"a","expires_in":60}`, false, false, now.Now().Add(time.Minute)},
		{200, `{"access_token":["a"]}`, false, true, time.Time{}},
		{200, `{"access_token":"a","access_token":"b"}`, false, true, time.Time{}},
		{200, `{"token_type":"Bearer"}`, false, true, time.Time{}},
		{200, `<html>`, false, true, time.Time{}},
		{400, `{"error":"invalid_grant","error_description":"no"}`, true, false, time.Time{}},
		{400, `<html>`, false, true, time.Time{}},
		{503, `{"error":"temporarily_unavailable"}`, false, true, time.Time{}},
		{429, `{"error":"invalid_grant"}`, false, true, time.Time{}},
		{500, `{"error":"invalid_grant"}`, false, true, time.Time{}},
		{307, ``, false, true, time.Time{}},
		{401, `{"error":"invalid_client"}`, false, true, time.Time{}},
	} {
		answer(test.status, test.body)
		answered, err := c.Refresh(t.Context(), auth.Tokens{RefreshToken: "old"})
		var tokens auth.Tokens
		if answered != nil {
			tokens = answered.Tokens
		}
		if errors.Is(err, ErrRefused) != test.refused || errors.Is(err, ErrUnavailable) != test.away || !tokens.Expiry.Equal(test.expiry) {
			t.Errorf("%d %s: %v, expiry %v", test.status, test.body, err, tokens.Expiry)
		}
		if err == nil && (tokens.AccessToken != "a" || tokens.RefreshToken != "old") {
			t.Errorf("%s: %+v", test.body, tokens)
		}
		if err != nil && strings.Contains(err.Error(), "old") {
			t.Errorf("the error shows the refresh token: %v", err)
		}
	}
}

// TestOneCallersRefusal checks that a refusal of the gate's client in one caller's request doesn't affect other callers, because some
// servers answer invalid_client to a used refresh token, and 401 to an unknown token.
func TestOneCallersRefusal(t *testing.T) {
	for _, c := range []struct {
		name     string
		endpoint provider.Endpoint
		status   int
		header   string
		ask      func(*testing.T, *Client) error
		want     error // that it wraps; nil: none of the two
	}{
		{"a refresh token", provider.Token, 401, "", func(t *testing.T, c *Client) error {
			_, err := c.Refreshed(t.Context(), "spent", Caller{})
			return err
		}, ErrNotSetUp},
		{"a code", provider.Token, 401, "", func(t *testing.T, c *Client) error {
			_, err := c.Code(t.Context(), "spent", "http://127.0.0.1/cb", "", nil, Caller{})
			return err
		}, ErrNotSetUp},
		{"a password", provider.Token, 401, `Basic realm="x"`, func(t *testing.T, c *Client) error {
			_, err := c.Password(t.Context(), "john", "wrong", Caller{})
			return err
		}, ErrNotSetUp},
		{"a token", provider.Introspection, 401, "", introspectUnknown, ErrInactive},
		{"a malformed token", provider.Introspection, 400, "", introspectUnknown, ErrInactive},
		{"a token, with a challenge to the client", provider.Introspection, 401, `Basic realm="x"`, introspectUnknown, ErrNotSetUp},
	} {
		p, client, _ := begin(t, asJSON)
		good := p.AccessToken("john", "app", nil)
		p.Break(c.endpoint, func(w http.ResponseWriter, _ *http.Request) {
			if c.header != "" {
				w.Header().Set("WWW-Authenticate", c.header)
			}
			w.WriteHeader(c.status)
			w.Write([]byte(`{"error":"invalid_client"}`))
		})
		for range 10 {
			err := c.ask(t, client)
			if err == nil || errors.Is(err, ErrInactive) != (c.want == ErrInactive) ||
				errors.Is(err, ErrNotSetUp) != (c.want == ErrNotSetUp) || IsOutage(err) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		p.Break(c.endpoint, nil)
		if _, err := client.Password(t.Context(), "john", "doe", Caller{}); err != nil {
			t.Errorf("%s: another caller's password: %v", c.name, err)
		}
		if _, err := client.Introspect(t.Context(), good, Caller{}); err != nil {
			t.Errorf("%s: another caller's token: %v", c.name, err)
		}
	}
}

// asJSON sets the defaults of introspection.
func asJSON(s *Settings) {
	s.IntrospectionTokenParamName, s.IntrospectionAccept = "token", "application/json"
}

func introspectUnknown(t *testing.T, c *Client) error {
	_, err := c.Introspect(t.Context(), "unknown", Caller{})
	return err
}

func TestAuthorizationURL(t *testing.T) {
	_, c, _ := begin(t, nil)
	address, err := c.AuthorizationURL(t.Context(), AuthorizationRequest{RedirectURI: "https://app/cb",
		State: "s", Nonce: "n", CodeChallenge: "c",
		Scopes: []string{"openid", "email"}, Args: url.Values{"prompt": {"login"}, "state": {"forged"}, "client_id": {"forged"}}}, Caller{})
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(address)
	want := url.Values{"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {"https://app/cb"},
		"scope": {"openid email"}, "state": {"s"},
		"nonce":          {"n"},
		"code_challenge": {"c"}, "code_challenge_method": {"S256"}, "prompt": {"login"}}
	if got := u.Query(); got.Encode() != want.Encode() {
		t.Errorf("got %s\nexpected %s", got.Encode(), want.Encode())
	}
}

func TestResponseIssuer(t *testing.T) {
	p, c, _ := begin(t, nil)
	for _, test := range []struct {
		iss []string
		ok  bool
	}{{[]string{p.Issuer()}, true}, {nil, false}, {[]string{"https://evil"}, false}, {[]string{p.Issuer(), p.Issuer()}, false}} {
		if err := c.CheckResponseIssuer(t.Context(), test.iss); (err == nil) != test.ok {
			t.Errorf("%q: %v", test.iss, err)
		}
	}
}

// TestProxies checks that a request without TLS goes through http_proxy with the proxy's credential, and past it with no_proxy.
func TestProxies(t *testing.T) {
	asked := make(chan *http.Request, 10)
	via := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.WriteHeader(http.StatusTeapot)
	}))
	defer via.Close()
	_, c, _ := begin(t, func(s *Settings) { s.HTTPProxy, s.HTTPProxyAuthorization = via.URL, "Basic cHJveHk=" })
	c.issuer.Metadata(t.Context())
	if r := <-asked; r.Header.Get("Proxy-Authorization") != "Basic cHJveHk=" || !r.URL.IsAbs() {
		t.Errorf("the proxy got %s %v", r.URL, r.Header)
	}
	_, c, _ = begin(t, func(s *Settings) { s.HTTPProxy, s.NoProxy = via.URL, "example.com, 127.0.0.1" })
	if _, err := c.issuer.Metadata(t.Context()); err != nil || len(asked) > 0 {
		t.Errorf("no_proxy: %v, %d requests through the proxy", err, len(asked))
	}
}
