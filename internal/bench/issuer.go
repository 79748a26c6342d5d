package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/provider"
)

const (
	clientID     = "app"
	clientSecret = "the bench's client secret"
	username     = "john"
	password     = "john's password"
	lifetime     = time.Hour // of tokens, longer than a run, so that none is refreshed
)

// startIssuer starts the OpenID Provider in this process. During a measurement it receives about one request a minute, the
// introspection of a token.
func startIssuer() (*provider.Provider, error) {
	p := provider.New(provider.Config{
		Clients: []provider.Client{{
			ID: clientID, Secret: clientSecret,
			RedirectURIs: []string{"http://127.0.0.1/oauth2/callback", "http://127.0.0.1/memory/oauth2/callback",
				"http://127.0.0.1/cookie/oauth2/callback"},
		}},
		Users:               []provider.User{{Username: username, Password: password, Claims: claims}},
		AccessTokenLifetime: lifetime,
	})
	address, err := serve(func(l net.Listener) { http.Serve(l, p) })
	p.SetIssuer(address)
	return p, err
}

// claims are the user's claims, for an access token of 1.2 KB.
var claims = map[string]any{
	"groups":       []string{"/staff", "/staff/engineering", "/staff/engineering/platform"},
	"realm_access": map[string]any{"roles": []string{"offline_access", "uma_authorization", "default-roles-main", "employee", "on-call"}},
	"resource_access": map[string]any{
		"billing": map[string]any{"roles": []string{"reader", "writer"}},
		"account": map[string]any{"roles": []string{"manage-account", "manage-account-links", "view-profile", "delete-account"}},
	},
	"allowed-origins": []string{"https://app.example.com"},
}

// login logs the user in at the gate and returns the session cookie as NAME=VALUE.
func (r *rig) login(gate *process, path string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar, Timeout: startTimeout}
	page := url.URL{Scheme: "http", Host: gate.address, Path: path}
	res, err := r.issuer.LogIn(browser, page.String(), username, password)
	if err != nil {
		return "", err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("expected status 200 after the login, got %s at %s", res.Status, res.Request.URL.Path)
	}
	for _, c := range jar.Cookies(&page) {
		if strings.HasPrefix(c.Name, "session_") {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", errors.New("expected a session cookie, got none")
}
