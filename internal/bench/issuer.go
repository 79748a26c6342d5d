package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
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
	bigUser      = "jane" // whose session takes 5 KB of cookies
	password     = "the users' password"
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
		Users: []provider.User{
			{Username: username, Password: password, Claims: claims}, {Username: bigUser, Password: password, Claims: bigClaims()},
		},
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

// bigClaims are claims for tokens with which a session takes 5 KB of cookies. They don't compress.
func bigClaims() map[string]any {
	random := rand.NewChaCha8([32]byte{})
	b := make([]byte, 500)
	random.Read(b)
	all := maps.Clone(claims)
	all["entitlements"] = base64.StdEncoding.EncodeToString(b)
	return all
}

// login logs a user in at the gate and returns the cookies of the session as the value of Cookie.
func (r *rig) login(gate *process, path, user string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar, Timeout: startTimeout}
	page := url.URL{Scheme: "http", Host: gate.address, Path: path}
	res, err := r.issuer.LogIn(browser, page.String(), user, password)
	if err != nil {
		return "", err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("expected status 200 after the login, got %s at %s", res.Status, res.Request.URL.Path)
	}
	var all []string
	for _, c := range jar.Cookies(&page) {
		if strings.HasPrefix(c.Name, "session_") {
			all = append(all, c.Name+"="+c.Value)
		}
	}
	if len(all) == 0 {
		return "", errors.New("expected a session cookie, got none")
	}
	return strings.Join(all, "; "), nil
}
