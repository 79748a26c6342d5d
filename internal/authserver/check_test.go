package authserver

import (
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

func TestCheck(t *testing.T) {
	s := usual()
	if problems := problemsOf(&s); len(problems) > 0 {
		t.Errorf("the usual settings: %v", problems)
	}
	client := func(change func(*Client)) func(*Settings) { return func(s *Settings) { change(&s.Clients[0]) } }
	uri := func(text string) func(*Settings) {
		return client(func(c *Client) { c.RedirectURIs = []string{appURI, text} })
	}
	const second = "clients[0].redirect_uris[1]"
	for name, c := range map[string]struct {
		change    func(*Settings)
		key, text string // key is empty where nothing is wrong
	}{
		"https issuer":         {func(s *Settings) { s.Issuer = "https://as.example.com/x" }, "", ""},
		"http issuer":          {func(s *Settings) { s.Issuer = "http://as.example.com" }, "issuer", "https"},
		"http issuer, allowed": {func(s *Settings) { s.Issuer, s.AllowInsecureHTTP = "http://as.example.com", true }, "", ""},
		"loopback issuer":      {func(s *Settings) { s.Issuer = "http://127.0.0.1:8000" }, "", ""},
		"issuer with a query":  {func(s *Settings) { s.Issuer = "https://as.example.com?x" }, "issuer", "query"},
		"issuer with a slash":  {func(s *Settings) { s.Issuer = "https://as.example.com/" }, "issuer", "slash"},
		"issuer, a word":       {func(s *Settings) { s.Issuer = "issuer" }, "issuer", "URL"},
		"a scope with a space": {func(s *Settings) { s.Scopes[2] = "a b" }, "scopes[2]", "word"},
		"a scope twice":        {func(s *Settings) { s.Scopes[2] = "read" }, "scopes[2]", "twice"},
		"mandatory, none": {func(s *Settings) {
			*s = Settings{MandatoryScope: true, TokenPrefix: "sp_", TokenExpiration: 1e9,
				RefreshTokenTTL: 1e9, PKCE: "lax", Storage: "memory"}
		}, "mandatory_scope", "scopes"},
		"a short provision_key": {func(s *Settings) { s.ProvisionKey = "short key" }, "provision_key", "32 bytes"},
		"prefix of a JWT":       {func(s *Settings) { s.TokenPrefix = "eyJ" }, "token_prefix", "end in _"},
		"no prefix":             {func(s *Settings) { s.TokenPrefix = "" }, "token_prefix", "sp_"},
		"prefix with a dot":     {func(s *Settings) { s.TokenPrefix = "a.b_" }, "token_prefix", "a.b_"},
		"endless":               {func(s *Settings) { s.TokenExpiration = 0 }, "token_expiration", "endless"},
		"endless refresh":       {func(s *Settings) { s.RefreshTokenTTL = 0 }, "refresh_token_ttl", "endless"},
		"pkce none":             {func(s *Settings) { s.PKCE = "none" }, "pkce", "strict or lax"},
		"storage file":          {func(s *Settings) { s.Storage = "file" }, "storage", "redis"},
		"redis, no secret":      {func(s *Settings) { s.Storage, s.Secret = "redis", nil }, "secret", "redis"},
		"a short secret":        {func(s *Settings) { s.Secret = []auth.Secret{sealing[0], "short key"} }, "secret[1]", "32 bytes"},

		"no client_id":          {client(func(c *Client) { c.ClientID = "" }), "clients[0].client_id", "printable"},
		"a client_id twice":     {func(s *Settings) { s.Clients[1].ClientID = "app" }, "clients[1].client_id", "app"},
		"a client_id with ü":    {client(func(c *Client) { c.ClientID = "ü" }), "clients[0].client_id", "ASCII"},
		"a long client_id":      {client(func(c *Client) { c.ClientID = strings.Repeat("a", 2049) }), "clients[0].client_id", "2048"},
		"no secret of a client": {client(func(c *Client) { c.ClientSecretHash = nil }), "clients[0].client_secret_hash", "public"},
		"public with a secret": {func(s *Settings) { s.Clients[1].ClientSecretHash = s.Clients[0].ClientSecretHash },
			"clients[1].client_secret_hash", "public"},
		"a secret in clear": {client(func(c *Client) { c.ClientSecretHash = []auth.Secret{c.ClientSecretHash[0], "short key"} }),
			"clients[0].client_secret_hash[1]", "sha256"},
		"a scope not known": {client(func(c *Client) { c.Scopes = []string{"read", "fly"} }), "clients[0].scopes[1]", "fly"},
		"an empty audience": {client(func(c *Client) { c.Audience = []string{""} }), "clients[0].audience[0]", "empty"},
		"a short lifetime": {client(func(c *Client) { c.AccessTokenLifetime = time.Millisecond }),
			"clients[0].access_token_lifetime", "1s"},
		"an unknown grant": {client(func(c *Client) { c.Grants = append(c.Grants, "password") }), "clients[0].grants[3]", "password"},
		"public, its own tokens": {func(s *Settings) { s.Clients[1].Grants = []string{clientCredentials, authorizationCode} },
			"clients[1].grants", "public"},
		"public, nothing": {func(s *Settings) { s.Clients[1].Grants, s.Clients[1].RedirectURIs = nil, nil },
			"clients[1].grants", "public"},
		"refresh of what": {client(func(c *Client) { c.Grants, c.RedirectURIs = []string{refreshToken}, nil }),
			"clients[0].grants", "authorization_code"},
		"no redirect_uris":       {client(func(c *Client) { c.RedirectURIs = nil }), "clients[0].redirect_uris", "both"},
		"redirect_uris for what": {client(func(c *Client) { c.Grants = []string{clientCredentials} }), "clients[0].redirect_uris", "both"},
		"an app's scheme":        {uri("com.example.app:/callback"), "", ""},
		"loopback":               {uri("http://[::1]:8080/callback"), "", ""},
		"localhost":              {uri("http://localhost/callback"), "", ""},
		"a query":                {uri("https://app.example.com/?a=b"), "", ""},
		"http":                   {uri("http://app.example.com/"), second, "https"},
		"http, nearly loopback":  {uri("http://127.0.0.1.evil.example.com/"), second, "https"},
		"a path":                 {uri("/callback"), second, "absolute"},
		"no scheme":              {uri("//app.example.com/"), second, "absolute"},
		"empty":                  {uri(""), second, "absolute"},
		"a fragment":             {uri("https://app.example.com/#x"), second, "fragment"},
		"an empty fragment":      {uri("https://app.example.com/#"), second, "fragment"},
		"a user":                 {uri("https://app.example.com@evil.example.com/"), second, "user"},
		"no host":                {uri("https:///callback"), second, "host"},
		"opaque":                 {uri("https:callback"), second, "host"},
		"a wildcard":             {uri("https://*.example.com/"), second, "wildcards"},
		"a space":                {uri("https://app.example.com/a b"), second, "spaces"},
		"a line":                 {uri("https://app.example.com/\r\nX: y"), second, "spaces"},
		"a backslash":            {uri(`https://app.example.com\@evil.example.com/`), second, "absolute"},
		"javascript":             {uri("javascript:alert(1)"), second, "RFC 8252"},
		"data":                   {uri("data:text/html,x"), second, "RFC 8252"},
		"another scheme":         {uri("myapp:callback"), second, "RFC 8252"},
		"a script with a host":   {uri("javascript://app/%0aalert(1)"), second, "RFC 8252"},
		"an app":                 {uri("myapp://callback"), "", ""},
		"long":                   {uri("https://app.example.com/" + strings.Repeat("x", 2000)), second, "absolute"},
	} {
		s := usual()
		c.change(&s)
		problems := problemsOf(&s)
		switch {
		case c.key == "" && len(problems) > 0:
			t.Errorf("%s: %v", name, problems)
		case c.key != "" && (len(problems) != 1 || problems[0].Key != c.key || !strings.Contains(problems[0].Text, c.text)):
			t.Errorf("%s: got %v, expected one at %s about %q", name, problems, c.key, c.text)
		}
		for _, p := range problems {
			if strings.Contains(p.Error(), "short key") {
				t.Errorf("%s: it shows the secret: %v", name, p)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	s := usual()
	s.PKCE, s.Clients[0].Scopes = "none", []string{"fly"}
	if _, err := New(Config{Settings: s}); err == nil || !strings.Contains(err.Error(), "oauth2.pkce: ") ||
		!strings.Contains(err.Error(), "oauth2.clients[0].scopes[0]: ") {
		t.Errorf("got %v, expected both mistakes", err)
	}
	s = usual()
	s.Storage = "redis"
	if _, err := New(Config{Settings: s}); err == nil || !strings.Contains(err.Error(), "oauth2.storage") {
		t.Errorf("got %v, expected that there is no client", err)
	}
	s = usual()
	s.Secret = nil
	if i, err := New(Config{Settings: s}); err != nil || i.Prefix() != "sp_" || i.Ping(t.Context()) != nil {
		t.Errorf("without a secret: got %v", err)
	}
}

// problemsOf returns what is wrong with settings, by the keys below oauth2.
func problemsOf(s *Settings) []check.Problem {
	list := &check.List{}
	s.Check(check.Checker{Report: list})
	for n := range list.Problems {
		list.Problems[n].Key = strings.TrimPrefix(list.Problems[n].Key, "oauth2.")
	}
	return list.Problems
}
