package flow

import "sallyport/internal/check"

// LogoutSettings say what a logout is, what it ends and where a person goes then.
type LogoutSettings struct {
	EndSessionMethod         string   `yaml:"end_session_method" default:"auto" enum:"auto,get"`              // how the browser goes to the provider's logout
	LogoutRedirectURI        []string `yaml:"logout_redirect_uri" group:"issuer" per_client:"true"`           // post_logout_redirect_uri (RP-Initiated Logout §3); a path is on the request's origin
	LogoutMethods            []string `yaml:"logout_methods" default:"[DELETE, POST]" enum:"DELETE,GET,POST"` // for the three triggers below
	LogoutQueryArg           string   `yaml:"logout_query_arg"`                                               // its presence in the query is a logout
	LogoutPostArg            string   `yaml:"logout_post_arg"`                                                // its presence in a form is one
	LogoutURISuffix          string   `yaml:"logout_uri_suffix"`                                              // a path with this end is one
	LogoutRevoke             bool     `yaml:"logout_revoke" default:"false"`                                  // the tokens at the authorization server, too (RFC 7009)
	LogoutRevokeAccessToken  bool     `yaml:"logout_revoke_access_token" default:"true"`
	LogoutRevokeRefreshToken bool     `yaml:"logout_revoke_refresh_token" default:"true"`
	RevocationTokenParamName string   `yaml:"revocation_token_param_name" default:"token"`
}

// logoutPath returns the gate's own path for a logout, on a route whose first path is base.
func logoutPath(base string) string { return PathBelow(base, "oauth2/logout") }

// check judges the settings of logouts.
func (s *LogoutSettings) check(c check.Checker, r *check.Route) {
	c.Each("logout_redirect_uri", s.LogoutRedirectURI, check.Target)
	c.Must("logout_methods", len(s.LogoutMethods) > 0, "it is empty: write POST, or take it out")
	c.One("logout_query_arg", s.LogoutQueryArg, check.ParamName)
	c.One("logout_post_arg", s.LogoutPostArg, check.ParamName)
	c.One("logout_uri_suffix", s.LogoutURISuffix, r.CheckSuffix)
	c.One("revocation_token_param_name", s.RevocationTokenParamName, check.ParamName)
}
