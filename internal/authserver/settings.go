package authserver

import (
	"fmt"
	"slices"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/redis"
)

// Settings are the process file's oauth2 block.
type Settings struct {
	Issuer            string         `yaml:"issuer"`                                   // RFC 8414 §2; default: the request's origin and the route's first path, so that a route for any host is named by whoever asks
	Scopes            []string       `yaml:"scopes"`                                   // all that clients may be allowed
	MandatoryScope    bool           `yaml:"mandatory_scope" default:"false"`          // a client must ask for one; else a token may have none
	ProvisionKey      auth.Secret    `yaml:"provision_key"`                            // of a consent page elsewhere; 32 bytes or more; empty: there is none
	TokenPrefix       string         `yaml:"token_prefix" default:"sp_"`               // what is issued begins with it, for routing and for scanners
	TokenExpiration   time.Duration  `yaml:"token_expiration" default:"7200" min:"1s"` // of access tokens; no token is endless
	RefreshTokenTTL   time.Duration  `yaml:"refresh_token_ttl" default:"1209600" min:"1s" max:"100000000"`
	ReuseRefreshToken bool           `yaml:"reuse_refresh_token" default:"false"`     // a confidential client's refresh token stays, isn't prolonged, and its theft isn't noticed
	PKCE              string         `yaml:"pkce" default:"strict" enum:"strict,lax"` // strict: everybody; lax: public clients must
	AllowInsecureHTTP bool           `yaml:"allow_insecure_http" default:"false"`     // tokens over plain http to a host that isn't loopback
	Storage           string         `yaml:"storage" default:"memory" enum:"memory,redis"`
	Redis             redis.Settings `yaml:"redis"`
	Secret            []auth.Secret  `yaml:"secret"` // newest first: the first seals, all open; 32 bytes or more each; default generated
	Clients           []Client       `yaml:"clients"`
}

// Client is one client of the built-in authorization server (RFC 6749 §2).
type Client struct {
	ClientID            string        `yaml:"client_id" required:"true"`
	ClientSecretHash    []auth.Secret `yaml:"client_secret_hash"` // lines that Hash and NewSecret make; any of them opens: for rotation
	Name                string        `yaml:"name"`               // what people read; default client_id
	RedirectURIs        []string      `yaml:"redirect_uris"`
	Grants              []string      `yaml:"grants" enum:"client_credentials,authorization_code,refresh_token"` // none: it may introspect and revoke only
	Scopes              []string      `yaml:"scopes"`                                                            // that it may ask for
	Public              bool          `yaml:"public" default:"false"`                                            // it can't keep a secret, and has none (RFC 6749 §2.1)
	Consent             bool          `yaml:"consent" default:"true"`                                            // false: people aren't asked
	AccessTokenLifetime time.Duration `yaml:"access_token_lifetime" min:"1s"`                                    // default token_expiration
	Audience            []string      `yaml:"audience"`                                                          // aud of its tokens: whom they are for; default the issuer's own name
}

// The grants (RFC 6749 §1.3, §1.5).
const (
	clientCredentials = "client_credentials"
	authorizationCode = "authorization_code"
	refreshToken      = "refresh_token"
)

// A client is a Client as requests meet it: everything that depends on the configuration is computed.
type client struct {
	Client
	hashes   []secretHash
	lifetime time.Duration
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

func (c *client) may(grant string) bool { return slices.Contains(c.Grants, grant) }

// shown is what people call the client.
func (c *client) shown() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ClientID
}
