package flow

import (
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// LogoutSettings say what triggers a logout, what it ends and where the browser goes.
type LogoutSettings struct {
	EndSessionMethod string `yaml:"end_session_method" default:"auto" enum:"auto,get"` // how the browser goes to end_session_endpoint
	// EndSessionRedirectParamName is the name of logout_redirect_uri at an end_session_endpoint that isn't of the standard.
	EndSessionRedirectParamName string `yaml:"end_session_redirect_param_name" group:"issuer" default:"post_logout_redirect_uri"`
	// LogoutRedirectURI is post_logout_redirect_uri (RP-Initiated Logout §3). A path is on the origin of the request.
	LogoutRedirectURI []string `yaml:"logout_redirect_uri" group:"issuer" per_client:"true"`

	LogoutMethods   []string `yaml:"logout_methods" default:"[DELETE, POST]" enum:"DELETE,GET,POST"` // of the three triggers below
	LogoutQueryArg  string   `yaml:"logout_query_arg"`                                               // a query with this parameter
	LogoutPostArg   string   `yaml:"logout_post_arg"`                                                // a form with this parameter
	LogoutURISuffix string   `yaml:"logout_uri_suffix"`                                              // a path with this end

	// LogoutRevoke says whether a logout revokes the tokens at the authorization server (RFC 7009).
	LogoutRevoke             bool   `yaml:"logout_revoke" default:"false"`
	LogoutRevokeAccessToken  bool   `yaml:"logout_revoke_access_token" default:"true"`
	LogoutRevokeRefreshToken bool   `yaml:"logout_revoke_refresh_token" default:"true"`
	RevocationTokenParamName string `yaml:"revocation_token_param_name" default:"token"`
}

// logoutPath returns the gate's logout path on a route whose first path is base.
func logoutPath(base string) string { return PathBelow(base, "oauth2/logout") }

// followsStandard reports whether end_session_endpoint is that of RP-Initiated Logout.
func (s *LogoutSettings) followsStandard() bool {
	return s.EndSessionRedirectParamName == oidc.PostLogoutRedirectURI
}

// check reports mistakes in the settings of logouts.
func (s *LogoutSettings) check(c check.Checker, r *check.Route) {
	c.Each("logout_redirect_uri", s.LogoutRedirectURI, check.Target)
	c.Must("logout_methods", len(s.LogoutMethods) > 0, "it is empty: write POST, or take it out")
	c.One("end_session_redirect_param_name", s.EndSessionRedirectParamName, check.ParamName)
	c.Must("end_session_redirect_param_name", s.followsStandard() || len(s.LogoutRedirectURI) > 0,
		"it is the name of logout_redirect_uri at the provider: add that, or take this out")
	c.One("logout_query_arg", s.LogoutQueryArg, check.ParamName)
	c.One("logout_post_arg", s.LogoutPostArg, check.ParamName)
	c.One("logout_uri_suffix", s.LogoutURISuffix, r.CheckSuffix)
	c.One("revocation_token_param_name", s.RevocationTokenParamName, check.ParamName)
}
