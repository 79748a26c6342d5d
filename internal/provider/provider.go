// Package provider is a small OpenID Provider over real HTTP. It is the login of `sallyport demo` and the issuer that the
// tests run against: New makes a handler for the one, Start and StartTLS a server with test controls for the other.
//
// It obeys the standards that a relying party meets: OpenID Connect Core, Discovery, Form Post Response Mode and RP-Initiated
// Logout, RFC 6749, 7009, 7523, 7636, 7662, 8414, 8693, 8705, 9068, 9207 and 9701. It is no product: it keeps all in memory, knows passwords in clear, asks for no consent and
// doesn't slow down who guesses.
package provider

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Config describes a provider. The zero value of every field is fine.
type Config struct {
	Issuer  string // the URL that it is reached at, without a slash at the end; SetIssuer and Start set it later
	Clients []Client
	Users   []User

	Scopes    []string // granted when asked for, besides openid, profile, email, address, phone and offline_access
	ACRValues []string // what a login can satisfy, its own level first; default "1"

	TrustedIssuers    []*Provider // whose JWTs are good subject tokens, actor tokens and assertions, too; the same sub is the same user
	ExchangeAudiences []string    // whom token exchange issues for; nil: anybody
	OnBehalfOf        bool        // the jwt-bearer grant is Microsoft's: requested_token_use=on_behalf_of, with an access token for the client

	AudienceParameter  bool // the parameter audience says whom access tokens are for, as at Auth0; else it is ignored, save by token exchange
	NoOpenIDForClients bool // client_credentials refuses the scope openid, which it ignores otherwise

	AccessTokenLifetime  time.Duration // default 5 minutes; ID tokens last as long
	RefreshTokenLifetime time.Duration // default 12 hours
	SessionLifetime      time.Duration // of the login at the provider itself, by which a second client needs no form; default 12 hours

	Hint string           // shown on the login page, such as whom to log in as
	Now  func() time.Time // default time.Now
}

// A User can log in.
type User struct {
	Username string
	Password string
	// Claims go into tokens and userinfo: the standard ones of OIDC Core §5.1 as the scopes allow (§5.4), all others
	// always. Without sub and preferred_username, Username is both.
	Claims map[string]any
	// Names of claims that are told by a source (OIDC Core §5.6.2): signed beside the others, or at the claims endpoint.
	Aggregated, Distributed []string
}

// A Provider is an OpenID Provider. Its methods may be used while it serves.
type Provider struct {
	URL     string // where Start made it listen
	MTLSURL string // where StartTLS made the listener that asks for client certificates; mtls_endpoint_aliases leads there

	config     Config
	keys       keys
	clientKeys clientKeys
	state      state
	controls   controls
	mux        *http.ServeMux
	serve      map[Endpoint]http.Handler // as they are when nothing is broken
	server     server

	serverMetadata http.Handler // at an address that isn't below the issuer's path

	mu     sync.RWMutex
	issuer string // guarded by mu
}

// New returns a provider. Its Issuer must be known before it is asked for anything.
func New(c Config) *Provider {
	p := &Provider{config: c.withDefaults(), issuer: strings.TrimSuffix(c.Issuer, "/")}
	p.keys.rotate(false, false)
	p.state.init()
	p.controls.init(p.config.AccessTokenLifetime)
	p.mux = p.routes()
	return p
}

func (c Config) withDefaults() Config {
	lasts := func(d *time.Duration, standard time.Duration) {
		if *d == 0 {
			*d = standard
		}
	}
	lasts(&c.AccessTokenLifetime, 5*time.Minute)
	lasts(&c.RefreshTokenLifetime, 12*time.Hour)
	lasts(&c.SessionLifetime, 12*time.Hour)
	if len(c.ACRValues) == 0 {
		c.ACRValues = []string{"1"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Clients = slices.Clone(c.Clients)
	for i := range c.Clients {
		c.Clients[i] = c.Clients[i].withDefaults()
	}
	return c
}

// Issuer is the iss of what this provider issues.
func (p *Provider) Issuer() string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.issuer
}

// SetIssuer changes the URL that the provider says it is reached at. With a path in it the endpoints are below that path.
func (p *Provider) SetIssuer(issuer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issuer = strings.TrimSuffix(issuer, "/")
}

// path is the path of the issuer, below which the endpoints are; "" for most.
func (p *Provider) path() string {
	u, err := url.Parse(p.Issuer())
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

func (p *Provider) client(id string) *Client {
	for i := range p.config.Clients {
		if p.config.Clients[i].ID == id {
			return &p.config.Clients[i]
		}
	}
	return nil
}

func (p *Provider) user(username string) *User {
	for i := range p.config.Users {
		if p.config.Users[i].Username == username {
			return &p.config.Users[i]
		}
	}
	return nil
}

func (p *Provider) now() time.Time { return p.config.Now() }
