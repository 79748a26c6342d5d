package flow

import (
	"fmt"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// A CheckContext is the context in which the flows' settings are checked.
type CheckContext struct {
	check.Route
	Entries     []*Settings // the settings of all issuers of the route
	AnyAudience bool        // audience_required is any
}

// newKindContext returns the context in which the settings of a kind are checked.
func (s *Settings) newKindContext(k *Kind, x *CheckContext) *kindContext {
	return &kindContext{
		Route: x.Route, on: s.isOn(k), logsIn: s.LogsIn(), hasSessions: s.HasSessions(), anyAudience: x.AnyAudience,
		loginsBeginSession: s.mayBeginSession(&authorizationCodeKind),
		onAnywhere:         slices.ContainsFunc(x.Entries, func(s *Settings) bool { return s.isOn(k) }),
	}
}

// Check reports mistakes in the settings, by key.
func (s *Settings) Check(c check.Checker, x *CheckContext) {
	s.Client.Check(c, s.Examination("", ""))
	s.Session.Check(c, s.HasSessions())
	if s.Cluster.ClusterCacheStrategy != "off" {
		c.Must("cluster_cache_strategy", len(s.Session.Secret) > 0,
			"the shared cache is sealed with session_secret, which every replica must have: add it")
		s.Cluster.ClusterCacheRedis.Check(c, "cluster_cache_redis")
	}
	for _, k := range table {
		if k.check != nil {
			k.check(s.view(), c, s.newKindContext(k, x))
		}
		if s.isOn(k) && k.reads(s.view(), auth.InQuery) {
			c.Warn(k.placesKey, "a credential in a query ends up in logs and histories (RFC 6750 §5.3)")
		}
	}
	c.Must("token_exchange", s.Client.TokenExchange == nil || s.anyOn(func(k *Kind) bool { return k.exchangeable }),
		"only tokens of bearer and session are exchanged: add one of them to auth_methods")
	s.BindingSettings.check(c, s)
	s.LoginSettings.check(c)
	s.checkBoundTokens(c)
	s.TokenClientSettings.check(c, s.Client.TokenHeadersReplay)
	c.One("id_token_param_name", s.IDTokenParamName, check.ParamName)
	c.One("login_issuer_arg", s.LoginIssuerArg, check.ParamName)
}

// checkBoundTokens reports what others would do with tokens that are bound to a key of the gate (client_dpop).
func (s *Settings) checkBoundTokens(c check.Checker) {
	if !s.Client.ClientDPoP {
		return
	}
	for n, name := range s.LoginTokens {
		c.Must(fmt.Sprintf("login_tokens[%d]", n), name != "access_token" && name != "tokens",
			"client_dpop binds the access token to a key of the gate, so only the gate can use it: take %s out, or client_dpop", name)
	}
	c.Must("auth_methods", !s.isOn(&refreshTokenKind) || s.Client.HasCredential(),
		"client_dpop binds the refresh tokens of a public client to the key of their login (RFC 9449 §5), which a request doesn't have: "+
			"take refresh_token out, or give the client a credential")
}
