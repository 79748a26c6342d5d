package app

import (
	"crypto/sha256"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/authz"
	"sallyport/internal/config"
	"sallyport/internal/flow"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/proxy"
	"sallyport/internal/redis"
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
	signs  [sha256.Size]byte // the signer's key in kept
	algs   []string          // that clients sign by with the signer's keys

	redises   []redis.Settings // that the configuration uses
	directory *authz.Directory
	issued    *authserver.Server // the built-in one
}

func (b *builder) gate(file *config.File) (*proxy.Gate, error) {
	c := proxy.Config{Log: b.log, AccessLog: file.Log.Access, Pages: file.OwnPages, Timeouts: timeouts(file)}
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
		Name: c.Name, Place: c.Place, Hosts: c.Route.Hosts, Paths: c.Route.Paths, Origin: strings.TrimSuffix(c.Route.PublicURL, "/"),
		Allow: c.Route.Allow, StripPath: c.Route.StripPath, PreserveHost: c.Route.PreserveHost, Upstream: upstream,
		Views: map[string]*proxy.View{}, Pages: c.OwnPages,
	}
	for n := range c.Rules {
		rule := &c.Rules[n]
		made, err := authz.NewRule(rule.RuleSettings)
		if err != nil {
			return nil, rule.Problem("allow", err.Error())
		}
		r.Rules = append(r.Rules, &proxy.Rule{
			Hosts: rule.Hosts, Paths: rule.Paths, Methods: rule.Methods, Place: rule.Place, Headers: rule.Headers, Rule: made,
		})
	}
	r.Policies = map[string]*authz.Policy{}
	for _, i := range c.Parts() {
		policy := authz.NewPolicy(i.OIDC.Authz, c.Route.ACL, b.directory, i.OIDC.Flow.Client.ClientID)
		if b.issued != nil {
			policy.TakesTokensOf(b.issued.Name(c.Route.Paths[0]))
		}
		r.Policies[oidc.IssuerOf(i.OIDC.Flow.Client.Issuer)] = policy
		view := proxy.View{Headers: i.OIDC.Headers, Errors: i.OIDC.Errors}
		if r.Policy == nil {
			r.Policy, r.View = policy, view
		} else {
			r.Views[oidc.IssuerOf(i.OIDC.Flow.Client.Issuer)] = &view
		}
	}
	if !c.HasOIDC {
		return r, nil
	}
	return r, b.flows(c, r)
}

// flows adds the chain and what it needs.
func (b *builder) flows(c *config.Route, r *proxy.Route) error {
	var parts []flow.Part
	all := c.Parts()
	for n := range all {
		i := &all[n]
		deps, err := b.deps(c, i)
		if err != nil {
			return err
		}
		policy := r.Policies[oidc.IssuerOf(i.OIDC.Flow.Client.Issuer)]
		deps.TakesAudience = func(claims auth.Claims) bool {
			return policy.TakesAudience(claims) || i.OIDC.Flow.TakesSubject(claims.Values(i.OIDC.Authz.AudienceClaim))
		}
		parts = append(parts, flow.Part{
			Name: i.Name, Title: i.Title, Domains: i.LoginDomains, Settings: &i.OIDC.Flow, Deps: deps,
			Claims: flow.ClaimPaths{Scopes: i.OIDC.Authz.ScopesClaim, Audience: i.OIDC.Authz.AudienceClaim},
		})
	}
	f, err := flow.NewRoute(parts)
	if err != nil {
		return c.Problem("auth_methods", err.Error())
	}
	r.Chain, r.Exchange, r.Realm, r.Resource, r.Basic, r.LogsIn = f.Chain, f.Exchange, f.Realm, f.Resource, f.Basic, f.LogsIn
	r.Schemes, r.CredentialParams, r.CookieNames, r.CookiePrefixes = f.Schemes, f.CredentialParams, f.CookieNames, f.CookiePrefixes
	r.ClientIndex = f.ClientIndex[0]
	for n := range parts[1:] {
		r.Views[parts[n+1].Deps.Clients[0].Issuer().URL()].ClientIndex = f.ClientIndex[n+1]
	}
	r.SkipPreflight = !slices.ContainsFunc(all, func(i config.Issuer) bool { return i.OIDC.RunOnPreflight })
	return nil
}

// deps are what the flows of one issuer are built on.
func (b *builder) deps(c *config.Route, i *config.Issuer) (flow.Deps, error) {
	clients, err := b.clients(&i.OIDC.Flow)
	if err != nil {
		return flow.Deps{}, i.Problem("issuer", err.Error())
	}
	sessions := &sessionSet{}
	if i.OIDC.Flow.HasSessions() {
		if sessions, err = b.sessions(c.Name, i.OIDC.Flow.Session); err != nil {
			return flow.Deps{}, i.Problem("session_storage", err.Error())
		}
	}
	subjects, err := b.subjectIssuers(i.OIDC.Flow.Client)
	if err != nil {
		return flow.Deps{}, i.Problem("token_exchange", err.Error())
	}
	return flow.Deps{
		SubjectIssuers: subjects, Clients: clients, Sessions: sessions.Sessions, Keyring: sessions.keyring, Base: c.Route.Paths[0],
		HashKey: b.kept.hashKey, MultiIssuer: len(c.Issuers) > 0, AuthServer: b.issued, Now: b.now, Log: b.log,
	}, nil
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
		ClusterCA string
		Cluster   flow.ClusterSettings
		Secret    []auth.Secret
		Signer    [sha256.Size]byte // what is signed with must be what is published
	}{s, fileDigest(s.CAFile), fileDigest(s.TLSClientAuthCertFile), fileDigest(s.TLSClientAuthKeyFile),
		fileDigest(f.Cluster.ClusterCacheRedis.CAFile),
		f.Cluster, f.Session.Secret, b.signs}
	clients, k, err := b.kept.clients.get(key, func() ([]*oidc.Client, error) {
		c := oidc.ClientConfig{Settings: s, Issuer: issuer, Keys: b.signer.Key, HashKey: b.kept.hashKey}
		if shared != nil {
			c.HashKey, c.Shared = shared.hashKey, shared.use
		}
		return oidc.NewClients(c)
	})
	b.used[k] = true
	for _, client := range clients {
		if alg := client.GateKeyAlg(); alg != "" && !slices.Contains(b.algs, alg) {
			b.algs = append(b.algs, alg)
		}
	}
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
func (b *builder) sessions(route string, s session.Settings) (*sessionSet, error) {
	if len(s.Secret) == 0 {
		s.Secret = []auth.Secret{b.kept.secret}
		b.log.Warn("session_secret isn't set, so one was generated: a restart logs everybody out, and a second replica can't read "+
			"this one's sessions; set session_secret to the output of: openssl rand -base64 32", "route", route)
	}
	if s.Storage == "redis" {
		b.needsRedis(s.Redis)
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
