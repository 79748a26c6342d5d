package flow

import (
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// A CheckContext is what the flows' settings are judged by, besides themselves.
type CheckContext struct {
	check.Route
	Entries     []*Settings // of all issuers of the route
	AnyAudience bool        // audience_required is any
}

// A kindContext is what a kind's settings are judged by, besides themselves.
type kindContext struct {
	*CheckContext
	on                 bool // the kind is on
	onAnywhere         bool // it is on for any issuer of the route
	logsIn             bool // people can log in
	hasSessions        bool
	loginsBeginSession bool
}

// newKindContext returns what the settings of a kind are judged by.
func (s *Settings) newKindContext(k *Kind, x *CheckContext) *kindContext {
	return &kindContext{
		CheckContext: x, on: s.isOn(k), logsIn: s.LogsIn(), hasSessions: s.HasSessions(), loginsBeginSession: s.mayBeginSession(&authorizationCodeKind),
		onAnywhere: slices.ContainsFunc(x.Entries, func(s *Settings) bool { return s.isOn(k) }),
	}
}

// Check reports what is wrong with the settings, by key.
func (s *Settings) Check(c check.Checker, x *CheckContext) {
	s.Client.Check(c, s.Examination("", ""))
	s.Session.Check(c, s.HasSessions())
	if s.Cluster.ClusterCacheStrategy != "off" {
		c.Must("cluster_cache_strategy", len(s.Session.Secret) > 0,
			"what is shared is sealed with session_secret, which every replica must have: add it")
		s.Cluster.ClusterCacheRedis.Check(c, "cluster_cache_redis")
	}
	for _, k := range table {
		if k.check != nil {
			k.check(s, c, s.newKindContext(k, x))
		}
		if s.isOn(k) && k.reads(s, auth.InQuery) {
			c.Warn(k.placesKey, "a credential in a query ends up in logs and histories (RFC 6750 §5.3)")
		}
	}
	c.Must("token_exchange", s.Client.TokenExchange == nil || s.anyOn(func(k *Kind) bool { return k.exchangeable }),
		"the tokens that are exchanged come from bearer or session: add one of them to auth_methods")
	s.LoginSettings.check(c)
	s.TokenClientSettings.check(c, s.Client.TokenHeadersReplay)
	c.One("id_token_param_name", s.IDTokenParamName, check.ParamName)
	c.One("login_issuer_arg", s.LoginIssuerArg, check.ParamName)
}

// check judges what is copied from clients' requests, and from token responses.
func (s *TokenClientSettings) check(c check.Checker, replay []string) {
	c.Each("token_headers_client", s.TokenHeadersClient, check.Header)
	c.Each("token_headers_replay", replay, func(name string) error { return check.ResponseHeader(s.TokenHeadersPrefix + name) })
	c.Each("token_post_args_client", s.TokenPostArgsClient, oidc.CheckTokenArg)
	c.One("token_headers_prefix", s.TokenHeadersPrefix, check.Header)
}

// check judges what follows a login.
func (s *LoginSettings) check(c check.Checker) {
	c.Each("login_redirect_uri", s.LoginRedirectURI, check.Target)
	c.Must("login_tokens", s.LoginAction != "upstream" || len(s.LoginTokens) == 0,
		"login_action: upstream shows no tokens: write response or redirect, or take it out")
	if len(s.LoginTokens) > 0 && s.LoginAction == "redirect" {
		c.Warn("login_tokens", "tokens in an address end up in histories, and in query mode in logs")
	}
}
