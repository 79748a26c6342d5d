package config

import (
	"errors"
	"fmt"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// checkExchange judges token_exchange and token_exchange_endpoint.
func (r *Route) checkExchange() {
	b, s := r.block, &r.OIDC.Flow.Client
	r.checkEndpoint("token_exchange_endpoint", s.TokenExchangeEndpoint)
	x := s.TokenExchange
	if x == nil {
		return
	}
	b.must("token_exchange", slices.Contains(r.OIDC.Flow.AuthMethods, "bearer") || slices.Contains(r.OIDC.Flow.AuthMethods, "session"),
		"the tokens that are exchanged come from bearer or session: add one of them to auth_methods")
	b.must("token_exchange.provider", x.Provider == "standard" || x.GrantType == "jwt_bearer", "microsoft is a way of the jwt_bearer grant: write grant_type: jwt_bearer")
	for n := range x.SubjectTokenIssuers {
		r.checkSubjectIssuer(fmt.Sprintf("token_exchange.subject_token_issuers[%d]", n), &x.SubjectTokenIssuers[n])
	}
	r.checkExchangeRequest(&x.Request)
}

func (r *Route) checkSubjectIssuer(key string, e *oidc.SubjectTokenIssuer) {
	b := r.block
	b.one(key+".issuer", e.Issuer, func(text string) error { return checkURL(text, "https", "http") })
	r.checkEndpoint(key+".jwks_uri", e.JWKSURI)
	b.must(key+".verify_signature", e.VerifySignature, "a token whose signature nobody verified could be anybody's: it is always verified; take it out")
	checkAudience(b, e.AudienceRequired)
	own := oidc.IssuerOf(e.Issuer) == oidc.IssuerOf(r.OIDC.Flow.Client.Issuer)
	c := e.Conditions
	empty := c == nil || len(c.HasAudience)+len(c.HasScopes)+len(c.MissingAudience)+len(c.MissingScopes) == 0
	switch {
	case own && empty:
		b.complain(key+".issuer", "it is the route's own issuer, so every token would be exchanged, the exchanged ones too: add conditions, such as conditions: {missing_audience: [...]}")
	case !own && !empty:
		b.complain(key+".conditions", "a token of another issuer is always exchanged, because nobody else would vouch for it: take them out")
	}
	b.must(key+".jwks_uri", !own || e.JWKSURI == "", "it is the route's own issuer, whose keys are known: take it out")
}

func (r *Route) checkExchangeRequest(q *oidc.ExchangeRequest) {
	const key = "token_exchange.request."
	b := r.block
	for _, p := range []struct {
		key   string
		n     int
		empty bool
	}{
		{"audience", len(q.Audience), q.EmptyAudience}, {"scopes", len(q.Scopes), q.EmptyScopes},
		{"headers_names", len(q.HeadersNames), q.EmptyHeaders}, {"post_args_names", len(q.PostArgsNames), q.EmptyPostArgs},
	} {
		b.must(key+p.key, p.n == 0 || !p.empty, "it is written and switched off: take one of them out")
	}
	for _, p := range []struct {
		names, values string
		list          []string
		secrets       []auth.Secret
		check         func(string) error
	}{
		{"headers_names", "headers_values", q.HeadersNames, q.HeadersValues, checkHeader},
		{"post_args_names", "post_args_values", q.PostArgsNames, q.PostArgsValues, checkTokenArg},
	} {
		b.aligned(key+p.names, len(p.list), key+p.values, len(p.secrets))
		b.each(key+p.names, p.list, p.check)
	}
	checkSentOnce(listed(b, key+"headers_names", q.HeadersNames))
	a := &q.ActorToken
	b.must(key+"actor_token.source", a.Source != "header" || a.HeaderName != "", "header needs the header's name: add header_name")
	b.must(key+"actor_token.source", a.Source != "config" || a.StaticToken != "", "config needs the token: add static_token")
	b.one(key+"actor_token.header_name", a.HeaderName, checkHeader)
}

// checkResource judges protected_resource_metadata (RFC 9728 §1.2, §2).
func (r *Route) checkResource() {
	b, m := r.block, r.OIDC.Flow.ProtectedResourceMetadata
	if m == nil {
		return
	}
	const key = "protected_resource_metadata."
	b.one(key+"resource", m.Resource, func(text string) error {
		u, err := parseURL(text, "https", "http")
		switch {
		case err != nil:
			return err
		case u.Fragment != "" || u.RawQuery != "":
			return errors.New("a resource here has no query and no fragment: write it up to the ? or #")
		case u.Scheme == "http" && !auth.Loopback(text):
			return errors.New("a resource is reached by https: write https://")
		}
		return nil
	})
	for i, server := range m.AuthorizationServers {
		b.one(fmt.Sprintf("%sauthorization_servers[%d]", key, i), server, func(text string) error { return checkURL(text, "https", "http") })
	}
	b.each(key+"scopes_supported", m.ScopesSupported, checkScope)
	b.one(key+"metadata_endpoint", m.MetadataEndpoint, checkPath)
}
