package app

import (
	"log/slog"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
	"sallyport/internal/config"
	"sallyport/internal/flow"
	"sallyport/internal/issuer"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/proxy"
	"sallyport/internal/session"
	"sallyport/internal/signer"
)

// A builder makes the objects of one configuration file, taking from kept what is unchanged.
type builder struct {
	kept *kept
	log  *slog.Logger
	now  func() time.Time
	used map[any]bool // keys of what this configuration takes from kept

	file   *config.File // when it runs
	signer *signer.Signer

	directory *authz.Directory
	issued    *issuer.Issuer // the built-in one
}

func (b *builder) gate(file *config.File) (*proxy.Gate, error) {
	c := proxy.Config{Log: b.log, AccessLog: file.Log.Access}
	for _, p := range file.TrustedProxies {
		c.TrustedProxies = append(c.TrustedProxies, p.Prefix)
	}
	if err := b.keys(file); err != nil {
		return nil, err
	}
	if path := file.Keys.PublicPath; path != "" {
		c.Endpoints = append(c.Endpoints, jwksEndpoint(path, b.signer))
	}
	if err := b.oauth2(file); err != nil {
		return nil, err
	}
	b.directory = authz.NewDirectory(file.Consumers)
	for i := range file.Routes {
		route, err := b.route(&file.Routes[i])
		if err != nil {
			return nil, err
		}
		c.Routes = append(c.Routes, route)
	}
	return proxy.New(c)
}

func (b *builder) route(c *config.Route) (*proxy.Route, error) {
	upstream, err := b.upstream(c.Route.Upstream)
	if err != nil {
		return nil, c.Problem("upstream", err.Error())
	}
	r := &proxy.Route{
		Name: c.Name, Hosts: c.Route.Hosts, Paths: c.Route.Paths, Origin: strings.TrimSuffix(c.Route.PublicURL, "/"),
		Allow: c.Route.Allow, StripPath: c.Route.StripPath, PreserveHost: c.Route.PreserveHost, Upstream: upstream,
		Headers: c.OIDC.Headers, Errors: c.OIDC.Errors,
	}
	for n := range c.Rules {
		rule := &c.Rules[n]
		made, err := authz.NewRule(c.OIDC.Authz, rule.RuleSettings)
		if err != nil {
			return nil, rule.Problem("allow", err.Error())
		}
		r.Rules = append(r.Rules, &proxy.Rule{Hosts: rule.Hosts, Paths: rule.Paths, Methods: rule.Methods, Place: rule.Place, Headers: rule.Headers, Rule: made})
	}
	r.Policy = authz.NewPolicy(c.OIDC.Authz, c.Route.ACL, b.directory, c.OIDC.Flow.Client.ClientID)
	if !c.HasOIDC {
		return r, nil
	}
	return r, b.flows(c, r)
}

// flows adds the chain and what it needs.
func (b *builder) flows(c *config.Route, r *proxy.Route) error {
	clients, err := b.clients(&c.OIDC.Flow)
	if err != nil {
		return c.Problem("issuer", err.Error())
	}
	sessions, err := b.sessions(c)
	if err != nil {
		return c.Problem("session_storage", err.Error())
	}
	subjects, err := b.subjectIssuers(c.OIDC.Flow.Client)
	if err != nil {
		return c.Problem("token_exchange", err.Error())
	}
	deps := flow.Deps{
		SubjectIssuers: subjects, Clients: clients, Sessions: sessions.Sessions, Keyring: sessions.keyring, Base: c.Route.Paths[0], HashKey: b.kept.hashKey, Issued: b.issued, Now: b.now, Log: b.log,
	}
	if r.Chain, err = flow.NewChain(&c.OIDC.Flow, deps); err != nil {
		return c.Problem("auth_methods", err.Error())
	}
	r.Exchange = flow.NewExchange(&c.OIDC.Flow, deps, flow.ClaimPaths{Scopes: c.OIDC.Authz.ScopesClaim, Audience: c.OIDC.Authz.AudienceClaim})
	r.ClientIndex = flow.ClientIndex(&c.OIDC.Flow, deps)
	r.CookieNames, r.CookiePrefixes = flow.CookieNames(&c.OIDC.Flow, &deps)
	r.Realm = clients[0].Issuer().Host()
	r.Resource = c.OIDC.Flow.Challenge()
	r.SkipPreflight = !c.OIDC.RunOnPreflight
	return nil
}

// clients are what the gate is to an issuer. Routes with equal settings share them, and so the answers that they were given.
func (b *builder) clients(f *flow.Settings) ([]*oidc.Client, error) {
	s := f.Client
	var hmac []auth.Secret
	if s.EnableHSSignatures {
		hmac = s.ClientSecret
	}
	issuer, err := b.issuer(s.IssuerSettings, hmac)
	if err != nil {
		return nil, err
	}
	shared, err := b.shared(f)
	if err != nil {
		return nil, err
	}
	key := struct {
		Settings  oidc.Settings
		CA        string
		Cert, Key string
		Cluster   flow.ClusterSettings
		Secret    []auth.Secret
	}{s, fileDigest(s.CAFile), fileDigest(s.TLSClientAuthCertFile), fileDigest(s.TLSClientAuthKeyFile), f.Cluster, f.Session.Secret}
	clients, k, err := b.kept.clients.get(key, func() ([]*oidc.Client, error) {
		c := oidc.ClientConfig{Settings: s, Issuer: issuer, Keys: b.signer.Key, HashKey: b.kept.hashKey}
		if shared != nil {
			c.HashKey, c.Shared = shared.hashKey, shared.use
		}
		return oidc.NewClients(c)
	})
	b.used[k] = true
	return clients, err
}

// subjectIssuers are those whose tokens are exchanged, each with keys of its own. They are reached as the route's issuer is,
// but get none of its headers, which may hold secrets.
func (b *builder) subjectIssuers(s oidc.Settings) (all []*oidc.Issuer, err error) {
	if s.TokenExchange == nil {
		return nil, nil
	}
	for _, entry := range s.TokenExchange.SubjectTokenIssuers {
		settings := s.IssuerSettings
		if oidc.IssuerOf(entry.Issuer) != oidc.IssuerOf(s.Issuer) {
			settings = oidc.IssuerSettings{
				Issuer: entry.Issuer, RediscoveryLifetime: s.RediscoveryLifetime, Leeway: s.Leeway, HTTPSettings: s.HTTPSettings,
				VerifySignature: true, VerifyClaims: true,
			}
			settings.UsingPseudoIssuer, settings.JWKSEndpoint = entry.JWKSURI != "", entry.JWKSURI
		}
		issuer, err := b.issuer(settings, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, issuer)
	}
	return all, nil
}

func (b *builder) issuer(s oidc.IssuerSettings, hmac []auth.Secret) (*oidc.Issuer, error) {
	key := struct {
		Settings oidc.IssuerSettings
		CA       string
		HMAC     []auth.Secret
	}{s, fileDigest(s.CAFile), hmac}
	issuer, k, err := b.kept.issuers.get(key, func() (*oidc.Issuer, error) {
		return oidc.NewIssuer(oidc.Config{IssuerSettings: s, HMAC: hmac, Now: b.now, Log: b.log})
	})
	b.used[k] = true
	return issuer, err
}

func (b *builder) upstream(s proxy.UpstreamSettings) (*proxy.Upstream, error) {
	key := struct {
		Settings proxy.UpstreamSettings
		CA       string
	}{s, fileDigest(s.CAFile)}
	u, k, err := b.kept.upstreams.get(key, func() (*proxy.Upstream, error) { return proxy.NewUpstream(s) })
	b.used[k] = true
	return u, err
}

// sessions returns the sessions of a route. Without a configured secret the process makes one up, and says what that means.
func (b *builder) sessions(c *config.Route) (*sessionSet, error) {
	s := c.OIDC.Flow.Session
	if len(s.Secret) == 0 {
		s.Secret = []auth.Secret{b.kept.secret}
		b.log.Warn("session_secret isn't set, so one was generated: a restart logs everybody out, and a second replica can't read "+
			"this one's sessions; set session_secret to the output of: openssl rand -base64 32", "route", c.Name)
	}
	key := struct {
		Settings session.Settings
		CA       string
	}{s, fileDigest(s.Redis.CAFile)}
	set, k, err := b.kept.sessions.get(key, func() (*sessionSet, error) { return newSessionSet(s, b) })
	b.used[k] = true
	return set, err
}

func newSessionSet(s session.Settings, b *builder) (*sessionSet, error) {
	keyring, err := keyring.New(s.Secret)
	if err != nil {
		return nil, err
	}
	sessions, err := session.New(session.Config{Settings: s, Keyring: keyring, Now: b.now, Log: b.log})
	return &sessionSet{Sessions: sessions, keyring: keyring}, err
}
