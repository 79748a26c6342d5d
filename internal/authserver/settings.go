package authserver

import (
	"fmt"
	"slices"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/redis"
)

// Settings are the oauth2 block of the process file.
type Settings struct {
	// Issuer is the iss value (RFC 8414 §2). The default is the request's origin and the route's first path, so on a route for any
	// host the client's Host header determines it.
	Issuer         string   `yaml:"issuer"`
	Scopes         []string `yaml:"scopes"`                          // all scopes that clients may be allowed
	MandatoryScope bool     `yaml:"mandatory_scope" default:"false"` // a client must request a scope; otherwise a token may have none

	// ProvisionKey authenticates an external consent page. It has 32 bytes or more; if it is empty there is no such page.
	ProvisionKey auth.Secret `yaml:"provision_key"`
	TokenPrefix  string      `yaml:"token_prefix" default:"sp_"` // of all tokens and codes: for routing, and for secret scanners

	TokenExpiration time.Duration `yaml:"token_expiration" default:"7200" min:"1s"` // of access tokens
	RefreshTokenTTL time.Duration `yaml:"refresh_token_ttl" default:"1209600" min:"1s" max:"100000000"`

	// ReuseRefreshToken lets a confidential client use a refresh token repeatedly until it expires. Its theft goes unnoticed then.
	ReuseRefreshToken bool `yaml:"reuse_refresh_token" default:"false"`

	PKCE              string         `yaml:"pkce" default:"strict" enum:"strict,lax"` // required of all clients, or only of public ones
	AllowInsecureHTTP bool           `yaml:"allow_insecure_http" default:"false"`     // allows plain http to hosts other than loopback
	Storage           string         `yaml:"storage" default:"memory" enum:"memory,redis"`
	Redis             redis.Settings `yaml:"redis"`

	// The newest secret comes first: it seals, and all of them open. Each has 32 bytes or more. By default one is generated.
	Secret  []auth.Secret `yaml:"secret"`
	Clients []Client      `yaml:"clients"`

	RouteScopes []string `yaml:"-"` // the scopes of MCP servers, which clients may be allowed besides Scopes
}

// A Client is a client of the built-in authorization server (RFC 6749 §2).
type Client struct {
	ClientID string `yaml:"client_id" required:"true"`

	// ClientSecretHash has lines as Hash and NewSecret return them. Several allow the secret to be rotated: any of them matches.
	ClientSecretHash []auth.Secret `yaml:"client_secret_hash"`

	Name         string   `yaml:"name"` // the name on the consent page; default client_id
	RedirectURIs []string `yaml:"redirect_uris"`

	// Grants are the allowed grant types. A client without any may only introspect and revoke tokens.
	Grants  []string `yaml:"grants" enum:"client_credentials,authorization_code,refresh_token"`
	Scopes  []string `yaml:"scopes"`                 // that it may request
	Public  bool     `yaml:"public" default:"false"` // a public client has no secret (RFC 6749 §2.1)
	Consent bool     `yaml:"consent" default:"true"` // false: users are not asked for consent

	AccessTokenLifetime time.Duration `yaml:"access_token_lifetime" min:"1s"` // default token_expiration
	Audience            []string      `yaml:"audience"`                       // aud of its tokens; default the issuer
}

// The grant types (RFC 6749 §1.3, §1.5).
const (
	clientCredentials = "client_credentials"
	authorizationCode = "authorization_code"
	refreshToken      = "refresh_token"
)

// A client is a Client with the values that are computed from the settings.
type client struct {
	Client
	hashes   []secretHash
	lifetime time.Duration // of its access tokens
	dynamic  bool          // it isn't configured: a client by document or registration
}

func newClients(s *Settings) (map[string]*client, error) {
	all := make(map[string]*client, len(s.Clients))
	for n, c := range s.Clients {
		made := &client{Client: c, lifetime: c.AccessTokenLifetime}
		if made.lifetime == 0 {
			made.lifetime = s.TokenExpiration
		}
		for _, line := range c.ClientSecretHash {
			h, err := parseHash(string(line))
			if err != nil {
				return nil, fmt.Errorf("oauth2.clients[%d].client_secret_hash: %w", n, err)
			}
			made.hashes = append(made.hashes, h)
		}
		all[c.ClientID] = made
	}
	return all, nil
}

// may reports whether the client may use a grant type.
func (c *client) may(grant string) bool { return slices.Contains(c.Grants, grant) }

// displayName returns the client's name on the consent page.
func (c *client) displayName() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ClientID
}
