package oidc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// A namedValues is two lists of one setting, which are read by index: names of headers or parameters, and their values.
type namedValues struct {
	names, values string // the keys
	list          []string
	secrets       []auth.Secret
	judge         func(string) error
}

// checkRequests judges what goes into requests to the authorization server besides the standards' parameters.
func (s *Settings) checkRequests(c check.Checker) {
	for _, pair := range []namedValues{
		{"discovery_headers_names", "discovery_headers_values", s.DiscoveryHeadersNames, s.DiscoveryHeadersValues, check.Header},
		{"token_headers_names", "token_headers_values", s.TokenHeadersNames, s.TokenHeadersValues, check.Header},
		{"token_post_args_names", "token_post_args_values", s.TokenPostArgsNames, s.TokenPostArgsValues, CheckTokenArg},
		{"introspection_headers_names", "introspection_headers_values", s.IntrospectionHeadersNames, s.IntrospectionHeadersValues,
			check.Header},
		{"introspection_post_args_names", "introspection_post_args_values", s.IntrospectionPostArgsNames,
			s.IntrospectionPostArgsValues, CheckTokenArg},
		{"userinfo_headers_names", "userinfo_headers_values", s.UserinfoHeadersNames, s.UserinfoHeadersValues, CheckUserinfoHeader},
		{"userinfo_query_args_names", "userinfo_query_args_values", s.UserinfoQueryArgsNames, s.UserinfoQueryArgsValues, check.NotEmpty},
	} {
		pair.check(c)
	}
	c.Each("scopes", s.Scopes, check.Scope)
	c.One("introspection_token_param_name", s.IntrospectionTokenParamName, check.ParamName)
}

func (p *namedValues) check(c check.Checker) {
	c.Aligned(p.names, len(p.list), p.values, len(p.secrets))
	c.Each(p.names, p.list, p.judge)
	what := "a value here"
	if strings.HasSuffix(p.names, "headers_names") { // of two values the last would win, while a parameter may stand there twice
		c.SentOnce(check.Sent(p.names, p.list))
		what = "a header's value"
	}
	for i, v := range p.secrets {
		c.Must(fmt.Sprintf("%s[%d]", p.values, i), !check.HasControls(string(v)),
			"%s can't have line breaks and other control characters", what)
	}
}

// CheckUserinfoHeader judges a header of userinfo requests, two of which the client makes of something else.
func CheckUserinfoHeader(name string) error {
	switch strings.ToLower(name) {
	case "authorization":
		return errors.New("it carries the access token: choose another header")
	case "accept":
		return errors.New("userinfo_accept sets it: write that")
	}
	return check.Header(name)
}

// protectedArgs make a request what it is: no setting and no client's request may replace them.
var protectedArgs = []string{
	"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "code", "code_verifier", "redirect_uri",
	"username", "password", "refresh_token", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "assertion", "token",
}

// CheckTokenArg judges a parameter that is added to requests to the token and introspection endpoints.
func CheckTokenArg(name string) error {
	if slices.Contains(protectedArgs, name) {
		return errors.New("the gate sets this parameter itself, and it can't be replaced: take it out")
	}
	return check.ParamName(name)
}

func (s *Settings) checkExchange(c check.Checker) {
	x := s.TokenExchange
	if x == nil {
		return
	}
	c.Must("token_exchange.provider", x.Provider == "standard" || x.GrantType == "jwt_bearer",
		"microsoft is a variant of the jwt_bearer grant: write grant_type: jwt_bearer")
	for n := range x.SubjectTokenIssuers {
		s.checkSubjectIssuer(c, fmt.Sprintf("token_exchange.subject_token_issuers[%d]", n), &x.SubjectTokenIssuers[n])
	}
	x.Request.check(c, "token_exchange.request.")
}

func (s *Settings) checkSubjectIssuer(c check.Checker, key string, e *SubjectTokenIssuer) {
	c.One(key+".issuer", e.Issuer, func(text string) error { return check.URL(text, "https", "http") })
	c.One(key+".jwks_uri", e.JWKSURI, s.checkEndpoint)
	c.Must(key+".verify_signature", e.VerifySignature,
		"the signature is always verified, because anyone can forge an unsigned token: take it out")
	c.Audience(e.AudienceRequired)
	own := IssuerOf(e.Issuer) == IssuerOf(s.Issuer)
	on := e.Conditions
	empty := on == nil || len(on.HasAudience)+len(on.HasScopes)+len(on.MissingAudience)+len(on.MissingScopes) == 0
	switch {
	case own && empty:
		c.Complain(key+".issuer", "it is the route's own issuer, so every token would be exchanged, including exchanged ones: "+
			"add conditions, such as conditions: {missing_audience: [...]}")
	case !own && !empty:
		c.Complain(key+".conditions",
			"a token of another issuer is always exchanged, because the route accepts only tokens of its own issuer: take them out")
	}
	c.Must(key+".jwks_uri", !own || e.JWKSURI == "", "it is the route's own issuer, whose keys are known: take it out")
}

func (q *ExchangeRequest) check(c check.Checker, key string) {
	for _, p := range []struct {
		key   string
		n     int
		empty bool
	}{
		{"audience", len(q.Audience), q.EmptyAudience}, {"scopes", len(q.Scopes), q.EmptyScopes},
		{"headers_names", len(q.HeadersNames), q.EmptyHeaders}, {"post_args_names", len(q.PostArgsNames), q.EmptyPostArgs},
	} {
		c.Must(key+p.key, p.n == 0 || !p.empty, "it is written, but switched off: take one of them out")
	}
	for _, pair := range []namedValues{
		{key + "headers_names", key + "headers_values", q.HeadersNames, q.HeadersValues, check.Header},
		{key + "post_args_names", key + "post_args_values", q.PostArgsNames, q.PostArgsValues, CheckTokenArg},
	} {
		pair.check(c)
	}
	a := &q.ActorToken
	c.Must(key+"actor_token.source", a.Source != "header" || a.HeaderName != "", "header needs the header's name: add header_name")
	c.Must(key+"actor_token.source", a.Source != "config" || a.StaticToken != "", "config needs the token: add static_token")
	c.One(key+"actor_token.header_name", a.HeaderName, check.Header)
}
