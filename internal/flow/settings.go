package flow

import (
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// Settings is the part of the oidc: block that the flows read. Each flow's own part stands in the flow's file.
type Settings struct {
	AuthMethods []string `yaml:"auth_methods" default:"[authorization_code, session, bearer]" enum:"authorization_code,session,bearer,introspection,userinfo,refresh_token,password,client_credentials" min:"1"`

	Client  oidc.Settings    `yaml:",inline"`
	Session session.Settings `yaml:",inline"`
	AuthorizationCodeSettings
	SessionSettings
	BearerSettings
	JWTSettings
	IDTokenSettings
	IntrospectionClientSettings
	UserinfoClientSettings
	RefreshTokenSettings
	PasswordSettings
	ClientCredentialsSettings
	TokenClientSettings
	LoginSettings
	LogoutSettings
}
