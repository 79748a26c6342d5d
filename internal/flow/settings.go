package flow

import (
	"sallyport/internal/mcp"
	"sallyport/internal/oidc"
	"sallyport/internal/redis"
	"sallyport/internal/session"
)

// Settings are the settings in the oidc block that the flows read. Each flow defines its own in its file.
type Settings struct {
	AuthMethods []Method `yaml:"auth_methods" min:"1"`

	Client  oidc.Settings    `yaml:",inline"`
	Session session.Settings `yaml:",inline"`
	Cluster ClusterSettings  `yaml:",inline"`
	AuthorizationCodeSettings
	PreservePostSettings
	SessionSettings
	BearerSettings
	BindingSettings
	JWTSettings
	IDTokenSettings
	IntrospectionClientSettings
	UserinfoClientSettings
	RefreshTokenSettings
	PasswordSettings
	ClientCredentialsSettings
	TokenClientSettings
	LoginSettings
	IssuersSettings
	LogoutSettings
	ResourceSettings

	MCP mcp.Route `yaml:"-"` // the route as an MCP server, by the mcp block
}

// ClusterSettings let replicas share cached responses of the issuer. They are sealed with session_secret.
type ClusterSettings struct {
	ClusterCacheStrategy string         `yaml:"cluster_cache_strategy" default:"off" enum:"off,redis"`
	ClusterCacheItems    []string       `yaml:"cluster_cache_items" default:"[introspection]" enum:"introspection,tokens"`
	ClusterCacheRedis    redis.Settings `yaml:"cluster_cache_redis"`
}
