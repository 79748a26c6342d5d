package flow

// LogoutSettings say where a person goes after logout.
type LogoutSettings struct {
	LogoutRedirectURI []string `yaml:"logout_redirect_uri" group:"issuer"` // post_logout_redirect_uri (RP-Initiated Logout §3)
}
