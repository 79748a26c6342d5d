package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/flow"
)

// checkEndpoints judges the endpoints that replace the metadata's, and that an issuer without metadata has all it needs.
func (r *Route) checkEndpoints() {
	b, s := r.block, &r.OIDC.Flow.Client
	for key, address := range map[string]string{
		"jwks_endpoint": s.JWKSEndpoint, "authorization_endpoint": s.AuthorizationEndpoint, "token_endpoint": s.TokenEndpoint,
		"introspection_endpoint": s.IntrospectionEndpoint, "revocation_endpoint": s.RevocationEndpoint, "userinfo_endpoint": s.UserinfoEndpoint,
		"end_session_endpoint": s.EndSessionEndpoint, "mtls_token_endpoint": s.MTLSTokenEndpoint,
		"mtls_introspection_endpoint": s.MTLSIntrospectionEndpoint, "mtls_revocation_endpoint": s.MTLSRevocationEndpoint,
	} {
		r.checkEndpoint(key, address)
	}
	for i, address := range s.ExtraJWKSURIs {
		r.checkEndpoint(fmt.Sprintf("extra_jwks_uris[%d]", i), address)
	}
	if len(s.ExtraJWKSURIs) > 0 {
		b.warn("extra_jwks_uris", "whoever has a key of these sets can sign tokens of this issuer")
	}
	if !s.UsingPseudoIssuer {
		return
	}
	flows := &r.OIDC.Flow
	on := func(method flow.Method) bool { return slices.Contains(flows.AuthMethods, method) }
	var missing []string
	for _, need := range []struct {
		key       string
		has, when bool
	}{
		{"jwks_endpoint", s.JWKSEndpoint != "" || len(s.ExtraJWKSURIs) > 0, true},
		{"authorization_endpoint", s.AuthorizationEndpoint != "", on("authorization_code")},
		{"token_endpoint", s.TokenEndpoint+s.MTLSTokenEndpoint != "", on("authorization_code") || on("password") || on("client_credentials") || on("refresh_token")},
		{"introspection_endpoint", s.IntrospectionEndpoint+s.MTLSIntrospectionEndpoint != "", on("introspection") || flows.IntrospectJWTTokens},
		{"userinfo_endpoint", s.UserinfoEndpoint != "", on("userinfo") || flows.SearchUserInfo},
	} {
		if need.when && !need.has {
			missing = append(missing, need.key)
		}
	}
	b.must("using_pseudo_issuer", len(missing) == 0, "no metadata is fetched, and these are missing: %s: add them", strings.Join(missing, ", "))
}

func (r *Route) checkEndpoint(key, address string) {
	r.block.one(key, address, func(text string) error {
		u, err := parseURL(text, "https", "http")
		switch {
		case err != nil:
			return err
		case u.Fragment != "":
			return errors.New("an endpoint has no fragment: write it up to the #")
		case u.Scheme == "http" && strings.HasPrefix(r.OIDC.Flow.Client.Issuer, "https://"):
			return errors.New("it is reached without TLS, and the issuer with: write https://")
		}
		return nil
	})
}

// checkRequests judges what goes into requests to the authorization server besides the standards' parameters.
func (r *Route) checkRequests() {
	b, o := r.block, &r.OIDC.Flow
	s := &o.Client
	for _, pair := range []struct {
		names, values string
		list          []string
		secrets       []auth.Secret
		check         func(string) error
	}{
		{"token_headers_names", "token_headers_values", s.TokenHeadersNames, s.TokenHeadersValues, checkHeader},
		{"token_post_args_names", "token_post_args_values", s.TokenPostArgsNames, s.TokenPostArgsValues, checkTokenArg},
		{"introspection_headers_names", "introspection_headers_values", s.IntrospectionHeadersNames, s.IntrospectionHeadersValues, checkHeader},
		{"introspection_post_args_names", "introspection_post_args_values", s.IntrospectionPostArgsNames, s.IntrospectionPostArgsValues, checkTokenArg},
		{"userinfo_headers_names", "userinfo_headers_values", s.UserinfoHeadersNames, s.UserinfoHeadersValues, checkUserinfoHeader},
		{"userinfo_query_args_names", "userinfo_query_args_values", s.UserinfoQueryArgsNames, s.UserinfoQueryArgsValues, notEmpty},
	} {
		b.aligned(pair.names, len(pair.list), pair.values, len(pair.secrets))
		b.each(pair.names, pair.list, pair.check)
		if strings.HasSuffix(pair.names, "_headers_names") { // of two values the last would win, while a parameter may stand there twice
			checkSentOnce(listed(b, pair.names, pair.list))
		}
		for i, v := range pair.secrets {
			b.must(fmt.Sprintf("%s[%d]", pair.values, i), !control.MatchString(string(v)), "a value here holds no line breaks and controls")
		}
	}
	b.each("token_headers_client", o.TokenHeadersClient, checkHeader)
	b.each("token_headers_replay", s.TokenHeadersReplay, func(name string) error { return checkResponseHeader(o.TokenHeadersPrefix + name) })
	b.each("token_post_args_client", o.TokenPostArgsClient, checkTokenArg)
	b.each("introspection_headers_client", o.IntrospectionHeadersClient, checkHeader)
	b.each("introspection_post_args_client", o.IntrospectionPostArgsClient, checkTokenArg)
	b.each("introspection_post_args_client_headers", o.IntrospectionPostArgsClientHeaders, checkTokenArg)
	b.each("userinfo_headers_client", o.UserinfoHeadersClient, checkUserinfoHeader)
	b.each("userinfo_query_args_client", o.UserinfoQueryArgsClient, notEmpty)
	b.one("introspection_token_param_name", s.IntrospectionTokenParamName, checkParamName)
	b.one("revocation_token_param_name", o.RevocationTokenParamName, checkParamName)
	b.one("token_headers_prefix", o.TokenHeadersPrefix, checkHeader)
}

// checkUserinfoHeader is for headers of userinfo requests, two of which are made of something else.
func checkUserinfoHeader(name string) error {
	switch strings.ToLower(name) {
	case "authorization":
		return errors.New("it carries the access token: choose another header")
	case "accept":
		return errors.New("it is what userinfo_accept says: write that")
	}
	return checkHeader(name)
}

// protectedArgs make a request what it is: if a setting, or worse a caller, could replace them, it would be another.
var protectedArgs = []string{
	"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "code", "code_verifier", "redirect_uri", "username",
	"password", "refresh_token", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "assertion", "token",
}

func checkTokenArg(name string) error {
	if slices.Contains(protectedArgs, name) {
		return errors.New("the request has this parameter already, and nothing may replace it: take it out")
	}
	return checkParamName(name)
}

func checkParamName(name string) error {
	if !token.MatchString(name) || strings.ContainsAny(name, namePattern) {
		return errors.New("it isn't a parameter's name: write letters, digits, - and _")
	}
	return nil
}

// checkCredentials judges where the flows look for credentials.
func (r *Route) checkCredentials() {
	b, s := r.block, &r.OIDC.Flow
	on := func(method flow.Method) bool { return slices.Contains(s.AuthMethods, method) }
	cookie := slices.Contains(s.BearerTokenParamType, "cookie")
	b.must("bearer_token_param_type", !cookie || s.BearerTokenCookieName != "", "cookie needs the cookie's name: add bearer_token_cookie_name")
	b.must("bearer_token_cookie_name", cookie || s.BearerTokenCookieName == "", "it isn't read, because bearer_token_param_type has no cookie: add it there")
	b.one("bearer_token_cookie_name", s.BearerTokenCookieName, checkCookieName)
	b.one("bearer_token_header_name", s.BearerTokenHeaderName, checkHeader)
	for _, name := range []struct{ key, value string }{
		{"refresh_token_param_name", s.RefreshTokenParamName}, {"id_token_param_name", s.IDTokenParamName}, {"jwt_session_cookie", s.JWTSessionCookie},
	} {
		b.one(name.key, name.value, checkParamName)
	}
	if on("refresh_token") && s.RefreshTokenParamName == "" {
		b.complain("auth_methods", "refresh_token needs refresh_token_param_name, the header or parameter that it is read from: add it, such as refresh_token_param_name: x_refresh_token")
	}
	b.must("refresh_token_param_name", r.on("refresh_token") || s.RefreshTokenParamName == "", "it isn't read, because auth_methods has no refresh_token: add it there")
	if on("userinfo") && s.Client.UserinfoAccept == "application/json" && !slices.Equal(r.OIDC.Authz.AudienceRequired, []string{"any"}) {
		b.complain("auth_methods", "userinfo doesn't say for whom a token was issued, so nobody could pass: use introspection, or have userinfo signed "+
			"(userinfo_accept: application/jwt), or write audience_required: any if every token of the issuer may pass")
	}
	for _, p := range []struct {
		key   string
		types []string
		read  bool
	}{
		{"bearer_token_param_type", s.BearerTokenParamType, on("bearer") || on("introspection") || on("userinfo")},
		{"client_credentials_param_type", s.ClientCredentialsParamType, on("client_credentials")},
		{"password_param_type", s.PasswordParamType, on("password")},
		{"refresh_token_param_type", s.RefreshTokenParamType, on("refresh_token")},
	} {
		if p.read && slices.Contains(p.types, "query") {
			b.warn(p.key, "a credential in a query ends up in logs and histories (RFC 6750 §5.3)")
		}
	}
}
