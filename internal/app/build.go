package app

import (
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/acmecert"
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
	"sallyport/internal/telemetry"
)

// A builder makes the objects of one configuration. It takes those with unchanged settings from the reloadState.
type builder struct {
	state *reloadState
	log   *slog.Logger
	now   func() time.Time
	used  usedKeys

	recorders map[*telemetry.Requests]bool // of the configuration's routes

	file   *config.File // set when the configuration runs
	digest string       // of file, without its secrets
	loaded time.Time

	signer         *signer.Signer
	signerSettings signer.Settings
	signingAlgs    []string          // the algorithms by which clients and upstream_assertion_header sign with the signer's keys
	encryptionKeys []jose.JSONWebKey // the public keys to which issuers encrypt answers

	routes []*proxy.Route // by their index in the file

	redisServers  []redis.Settings // all that the configuration uses
	sessionStores []*sessionStore  // likewise
	notes         []string         // see note
	directory     *authz.Directory
	certifier     *acmecert.Certifier // nil without acme
	authServer    *authserver.Server  // nil without oauth2
}

func newBuilder(state *reloadState, log *slog.Logger) *builder {
	return &builder{state: state, log: log, now: time.Now, used: usedKeys{}, recorders: map[*telemetry.Requests]bool{}}
}

// gate makes the gate of a configuration. The parts of the configuration that the rest needs are made first.
func (b *builder) gate(file *config.File) (*proxy.Gate, error) {
	c := proxy.Config{Log: b.log, AccessLog: file.Log.Access, Pages: file.OwnPages, Timeouts: timeouts(file)}
	c.Tracer, c.TrustTraces = b.state.tracer, file.Tracing.TrustIncoming == "trusted_proxies"
	c.Audit, c.Refusals = b.state.audit, b.state.refusals
	c.Metrics = b.recorder(file, telemetry.NoRoute)
	for _, p := range file.TrustedProxies {
		c.TrustedProxies = append(c.TrustedProxies, p.Prefix)
	}
	if err := b.makeSigner(file); err != nil {
		return nil, err
	}
	if path := file.Keys.PublicPath; path != "" {
		c.Endpoints = append(c.Endpoints, b.jwksEndpoint(path))
	}
	if err := errors.Join(b.makeAuthServer(file), b.makeCertifier(file)); err != nil {
		return nil, err
	}
	b.directory = authz.NewDirectory(file.Consumers)
	for i := range file.Routes {
		route, err := b.route(&file.Routes[i])
		if err != nil {
			return nil, err
		}
		if file.Routes[i].Route.Console {
			route.Own = b.console(route.Paths[0])
		}
		route.Metrics = b.recorder(file, routeLabel(file, i))
		b.routes = append(b.routes, route)
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
		BodyLimit: int64(c.Route.BodyLimit), Views: map[string]*proxy.View{}, Pages: c.OwnPages,
	}
	for n := range c.Rules {
		rule := &c.Rules[n]
		made, err := authz.NewRule(rule.RuleSettings)
		if err != nil {
			return nil, rule.Problem("allow", err.Error())
		}
		var forUsers *authz.Rule
		if c.MCP != nil {
			users := rule.RuleSettings
			users.ScopesRequired = nil
			if forUsers, err = authz.NewRule(users); err != nil {
				return nil, rule.Problem("allow", err.Error())
			}
		}
		r.Rules = append(r.Rules, &proxy.Rule{
			Hosts: rule.Hosts, Paths: rule.Paths, Methods: rule.Methods, Tools: rule.MCPTools, Place: rule.Place, Headers: rule.Headers,
			Scope: scopeOf(&rule.RuleSettings, &c.OIDC), Rule: made, ForUsers: forUsers,
		})
	}
	r.Keys = b.signer.Key
	r.Policies = map[string]*authz.Policy{}
	for _, i := range c.Parts() {
		policy := authz.NewPolicy(i.OIDC.Authz, c.Route.ACL, b.directory, i.OIDC.Flow.Client.ClientID)
		if b.authServer != nil {
			policy.TakesTokensOf(b.authServer.Audiences(c.Route.Paths[0]))
		}
		if m := i.OIDC.Flow.MCP; m.On && !m.ByGate() {
			policy.TakesTokensFor(m.URL)
		}
		r.Policies[oidc.IssuerOf(i.OIDC.Flow.Client.Issuer)] = policy
		r.Responses.Add(i.OIDC.Responses)
		view := proxy.View{Headers: i.OIDC.Headers, Errors: i.OIDC.Errors, CertificateHeader: i.OIDC.Flow.CertificateHeader()}
		if i.OIDC.Headers.UpstreamAssertionHeader != "" {
			b.addSigningAlg(proxy.AssertionAlg)
		}
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

// scopeOf returns the scopes that a rule and its route require, of the alternatives the first.
func scopeOf(rule *authz.RuleSettings, o *config.OIDC) string {
	var all []string
	for _, required := range [][]string{o.Authz.ScopesRequired, rule.ScopesRequired} {
		if len(required) > 0 {
			all = append(all, required[0])
		}
	}
	return strings.Join(all, " ")
}

// flows makes the flows of a route, and sets the fields of r that follow from them.
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
			return policy.TakesAudience(claims) || i.OIDC.Flow.MCP.On || i.OIDC.Flow.TakesSubject(claims.Values(i.OIDC.Authz.AudienceClaim))
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
	r.MCP = f.MCP
	r.DPoP, r.OnlyDPoP, r.CredentialHeaders = f.DPoP, f.OnlyDPoP, f.CredentialHeaders
	r.Schemes, r.CredentialParams, r.CookieNames, r.CookiePrefixes = f.Schemes, f.CredentialParams, f.CookieNames, f.CookiePrefixes
	r.ClientIndex = f.ClientIndex[0]
	for n := range parts[1:] {
		r.Views[parts[n+1].Deps.Clients[0].Issuer().URL()].ClientIndex = f.ClientIndex[n+1]
	}
	r.SkipPreflight = !slices.ContainsFunc(all, func(i config.Issuer) bool { return i.OIDC.RunOnPreflight })
	return nil
}

// deps returns the dependencies of the flows of one issuer.
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
		b.addSessionStore(sessions, oidc.IssuerOf(i.OIDC.Flow.Client.Issuer), i.OIDC.Flow.Client.ClientID)
	}
	subjects, err := b.subjectIssuers(i.OIDC.Flow.Client)
	if err != nil {
		return flow.Deps{}, i.Problem("token_exchange", err.Error())
	}
	d := flow.Deps{
		SubjectIssuers: subjects, Clients: clients, Sessions: sessions.Sessions, Keyring: sessions.keyring,
		Route: c.Name, Base: c.Route.Paths[0], Paths: c.Route.Paths,
		HashKey: b.state.hashKey, MultiIssuer: len(c.Issuers) > 0, AuthServer: b.authServer, Now: b.now, Log: b.log, Audit: b.state.audit,
		AllSessions: b.state.allSessions, SendsSession: i.OIDC.Headers.SendsSession(),
	}
	if err := b.addProofs(&d, &i.OIDC.Flow); err != nil {
		return d, i.Problem("proof_of_possession_dpop", err.Error())
	}
	return d, nil
}

// clients returns the clients of a route's issuer. Routes with equal settings share them, and so their cached responses.
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
	cluster, err := b.newClusterCache(f)
	if err != nil {
		return nil, err
	}
	settings := struct {
		Client        oidc.Settings
		Cluster       flow.ClusterSettings
		ClusterSecret []auth.Secret
		Signer        signer.Settings // a client must sign with the keys that are published
	}{s, f.Cluster, f.Session.Secret, b.signerSettings}
	clients, err := take(b, &b.state.clients, settings, func() ([]*oidc.Client, error) {
		c := oidc.ClientConfig{Settings: s, Issuer: issuer, Keys: b.signer.Key, HashKey: b.state.hashKey}
		if cluster != nil {
			c.HashKey, c.Shared = cluster.hashKey, cluster.sharedFor
		}
		return oidc.NewClients(c)
	})
	for _, client := range clients {
		b.addEncryptionKeys(client.EncryptionKeys())
		for _, alg := range client.GateKeyAlgs() {
			b.addSigningAlg(alg)
		}
	}
	return clients, err
}

// addEncryptionKeys adds the public keys of a client to those that the gate publishes. Clients may share keys.
func (b *builder) addEncryptionKeys(keys []jose.JSONWebKey) {
	for _, k := range keys {
		if !slices.ContainsFunc(b.encryptionKeys, func(other jose.JSONWebKey) bool { return reflect.DeepEqual(other, k) }) {
			b.encryptionKeys = append(b.encryptionKeys, k)
		}
	}
}

func (b *builder) addSigningAlg(alg string) {
	if !slices.Contains(b.signingAlgs, alg) {
		b.signingAlgs = append(b.signingAlgs, alg)
	}
}

// subjectIssuers returns the issuers of the subject tokens that the route exchanges. They are reached as the route's issuer is, but don't
// get its headers, which may have secrets.
func (b *builder) subjectIssuers(s oidc.Settings) (all []*oidc.Issuer, err error) {
	if s.TokenExchange == nil {
		return nil, nil
	}
	for _, entry := range s.TokenExchange.SubjectTokenIssuers {
		settings := s.IssuerSettings
		if oidc.IssuerOf(entry.Issuer) != oidc.IssuerOf(s.Issuer) {
			settings = oidc.IssuerSettings{
				Issuer: entry.Issuer, RediscoveryLifetime: s.RediscoveryLifetime, Leeway: s.Leeway, HTTPSettings: s.HTTPSettings,
				VerifySignature: true, VerifyClaims: true, AccessTokenProfile: s.AccessTokenProfile,
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

// issuer returns the issuer of the settings. hmac are the secrets that verify its HS signatures, if it may use them.
func (b *builder) issuer(s oidc.IssuerSettings, hmac []auth.Secret) (*oidc.Issuer, error) {
	settings := struct {
		oidc.IssuerSettings
		HMAC []auth.Secret
	}{s, hmac}
	return take(b, &b.state.issuers, settings, func() (*oidc.Issuer, error) {
		return oidc.NewIssuer(oidc.Config{IssuerSettings: s, HMAC: hmac, Now: b.now, Log: b.log, Metrics: b.state.metrics})
	})
}

// upstream returns the upstream of the settings, or nil for a route that has none.
func (b *builder) upstream(s proxy.UpstreamSettings) (*proxy.Upstream, error) {
	if s.URL == "" && len(s.Targets) == 0 {
		return nil, nil
	}
	return take(b, &b.state.upstreams, s, func() (*proxy.Upstream, error) { return proxy.NewUpstream(s) })
}

// sessions returns the sessions of a route. Without session_secret it uses a generated secret, and notes what that means.
func (b *builder) sessions(route string, s session.Settings) (*sessionSet, error) {
	generated := len(s.Secret) == 0
	if generated {
		s.Secret = []auth.Secret{b.state.sessionSecret}
		b.note(route, noSecret)
	}
	if s.Storage == "redis" {
		b.addRedisServer(s.Redis)
	}
	s = s.ForStore()
	return take(b, &b.state.sessions, s, func() (*sessionSet, error) {
		b.noteStorage(route, s, generated)
		return newSessionSet(s, b)
	})
}

func newSessionSet(s session.Settings, b *builder) (*sessionSet, error) {
	keyring, err := keyring.New(s.Secret)
	if err != nil {
		return nil, err
	}
	sessions, err := session.New(session.Config{
		Settings: s, Keyring: keyring, Now: b.now, Log: b.log, Refreshes: b.state.metrics.Refreshes(),
	})
	return &sessionSet{Sessions: sessions, keyring: keyring, storage: s.Storage, name: storeName(b.state.hashKey, s)}, err
}

// redisClient returns the client of a Redis server for one use of it, such as "oauth2".
func (b *builder) redisClient(s redis.Settings, use string) (*redis.Client, error) {
	b.addRedisServer(s)
	settings := struct {
		redis.Settings
		Use string
	}{s, use}
	return take(b, &b.state.redises, settings, func() (*redis.Client, error) { return s.New(b.log) })
}

// addRedisServer adds a server to redisServers, unless it is there already.
func (b *builder) addRedisServer(s redis.Settings) {
	if !slices.ContainsFunc(b.redisServers, func(known redis.Settings) bool { return reflect.DeepEqual(known, s) }) {
		b.redisServers = append(b.redisServers, s)
	}
}
