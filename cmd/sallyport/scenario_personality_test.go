package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"sallyport/internal/provider"
)

// The tenants of the users of personalities.
const (
	ownTenant   = "11111111-2222-3333-4444-555555555555"
	otherTenant = "99999999-8888-7777-6666-555555555555"
)

// A product is a personality, and the addresses on its page that the provider has in a scenario.
type product struct {
	personality *provider.Personality
	origins     []string // of the issuer and its endpoints on the page
	endpoints   string   // the origin of the endpoints on the page, if the provider has them on the host localhost
	rotates     bool     // each refresh token may be used once
}

// products are the personalities by the names that the command personality takes.
var products = map[string]product{
	"entra": {personality: provider.Entra(ownTenant), origins: []string{"https://login.microsoftonline.com", "https://graph.microsoft.com"}},
	"entra-tenants": {personality: provider.Entra("organizations"),
		origins: []string{"https://login.microsoftonline.com", "https://graph.microsoft.com"}},
	"google":       {personality: provider.Google(), origins: []string{"https://accounts.google.com"}},
	"okta":         {personality: provider.Okta("default"), origins: []string{"https://example.okta.com"}},
	"okta-org":     {personality: provider.Okta(""), origins: []string{"https://example.okta.com"}},
	"auth0":        {personality: provider.Auth0(false), origins: []string{"https://example.eu.auth0.com"}, rotates: true},
	"auth0-legacy": {personality: provider.Auth0(true), origins: []string{"https://example.eu.auth0.com"}, rotates: true},
	"cognito": {personality: provider.Cognito(), origins: []string{"https://cognito-idp.eu-central-1.amazonaws.com"},
		endpoints: "https://example.auth.eu-central-1.amazoncognito.com"},
	"gitlab": {personality: provider.GitLab(), origins: []string{"https://gitlab.com"}, rotates: true},
}

// replacements returns pairs of an address of the product and that of a provider at a URL.
func (p product) replacements(at string) (pairs []string) {
	_, host, _ := strings.Cut(at, "://")
	for _, origin := range p.origins {
		_, name, _ := strings.Cut(origin, "://")
		pairs = append(pairs, "https://"+name, at, "http://"+name, at, name, host)
	}
	if p.endpoints != "" {
		pairs = append(pairs, p.endpoints, "http://localhost:"+host[strings.LastIndex(host, ":")+1:])
	}
	return pairs
}

// personalityConfig returns the configuration of a provider that answers as a product.
func personalityConfig(gate string, p product) provider.Config {
	config := providerConfig(gate)
	config.Personality = p.personality
	config.Scopes = []string{"User.Read", "GroupMember.Read.All", "api://app/access", "groups", "read_user"}
	config.Clients = []provider.Client{
		{ID: "app", Secret: "app-secret", KeepRefreshToken: !p.rotates, RedirectURIs: []string{"http://127.0.0.1/oauth2/callback"},
			PostLogoutRedirectURIs: []string{"http://127.0.0.1/goodbye"}, AnyAudience: true},
		{ID: "second", Secret: "second-secret"},
	}
	person := func(name, tenant, domain string, roles, groups []string, distributed ...string) provider.User {
		return provider.User{Username: name, Password: "doe", Distributed: distributed, Claims: map[string]any{
			"sub": "id-of-" + name, "name": name, "email": name + "@" + domain, "email_verified": true, "tid": tenant, "hd": domain,
			"roles": roles, "groups": groups,
		}}
	}
	config.Users = []provider.User{
		person("john", ownTenant, "example.com", []string{"admin"}, []string{"staff"}),
		person("jane", otherTenant, "example.org", []string{"user"}, []string{"guests"}),
		person("dora", ownTenant, "example.com", []string{"user"}, []string{"staff", "others"}, "groups"),
	}
	return config
}

// become replaces the provider by one that answers as a product.
func (s *scene) become(_ bool, args []string) {
	p, known := products[args[0]]
	if !known {
		s.ts.Fatalf("there is no personality %s", args[0])
	}
	s.provider.Close()
	s.provider = provider.Start(runningTB{ts: s.ts}, personalityConfig(s.ts.Getenv("GATE"), p))
	s.product = p
	s.ts.Setenv("ISSUER", s.provider.URL)
	s.ts.Setenv("OIDC_CLIENT_SECRET", "app-secret")
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// page writes the configuration that a page of configs/providers has at an index, with the addresses of the scenario.
func (s *scene) page(_ bool, args []string) {
	text, err := os.ReadFile(s.ts.Getenv("PAGES") + "/" + args[1])
	s.ts.Check(err)
	blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
	n, err := strconv.Atoi(args[2])
	s.ts.Check(err)
	if n > len(blocks) {
		s.ts.Fatalf("%s has %d configurations", args[1], len(blocks))
	}
	changes := append(s.product.replacements(s.ts.Getenv("ISSUER")), "http://127.0.0.1:8080", s.ts.Getenv("UPSTREAM"))
	process := fmt.Sprintf("listen: %s\nadmin: {listen: %q}\nlog: {level: debug}\n", s.ts.Getenv("GATE"), s.ts.Getenv("ADMIN"))
	s.write(args[0], []byte(process+strings.NewReplacer(changes...).Replace(blocks[n-1][1])))
}
