// Package provider is a small OpenID Provider for `sallyport demo` and for tests. New returns an http.Handler; Start and StartTLS
// start a server for a test, which can change its responses and inspect its requests.
//
// It implements what relying parties use: OpenID Connect Core, Discovery, Form Post Response Mode and RP-Initiated Logout,
// RFC 6749, 7009, 7523, 7636, 7662, 8414, 8693, 8705, 9068, 9101, 9126, 9207, 9396, 9449 and 9701, and JARM. It is not for
// production: it stores everything in memory and passwords in clear text, doesn't ask for consent and doesn't limit password guesses.
package provider

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Config configures a Provider. All fields are optional.
type Config struct {
	Issuer  string // the issuer URL, without a trailing slash; by default Start and StartTLS set it
	Clients []Client
	Users   []User

	Scopes    []string // supported scopes besides openid, profile, email, address, phone and offline_access
	ACRValues []string // supported acr values; the first is the default of a login; default: "1"

	// TrustedIssuers are the issuers whose JWTs are accepted as subject tokens, actor tokens and assertions. A user with the
	// same sub there is the same user.
	TrustedIssuers    []*Provider
	ExchangeAudiences []string // audiences that token exchange allows; nil allows all

	// OnBehalfOf makes the JWT bearer grant that of Microsoft: it requires requested_token_use=on_behalf_of, and the assertion
	// is an access token for the client.
	OnBehalfOf bool

	// AudienceParameter makes the parameter audience choose the aud of access tokens, as Auth0 does. Otherwise only token
	// exchange uses the parameter.
	AudienceParameter  bool
	NoOpenIDForClients bool // reject the scope openid in the client_credentials grant, instead of ignoring it

	AccessTokenLifetime  time.Duration // of access tokens and ID tokens; default: 5 minutes
	RefreshTokenLifetime time.Duration // default: 12 hours
	SessionLifetime      time.Duration // of the session at the provider, which makes later logins need no form; default: 12 hours

	// RequestKey is the private key that decrypts request objects, with kid and use enc; nil: they must not be encrypted.
	RequestKey *jose.JSONWebKey
	// AuthorizationDetailsTypes are the accepted types of authorization_details (RFC 9396 §2).
	AuthorizationDetailsTypes []string

	// Personality makes the provider answer as a product does; nil: as the standards say.
	Personality *Personality

	Hint string           // a sentence for the login page
	Now  func() time.Time // default: time.Now
}

// A User is a user of the provider.
type User struct {
	Username string
	Password string
	// Claims are the claims in tokens and userinfo. The standard claims of OIDC Core §5.1 need their scopes (§5.4), others need
	// none. The default of sub and preferred_username is Username.
	Claims map[string]any
	// Aggregated and Distributed name the claims that the provider returns as aggregated and distributed claims (OIDC Core
	// §5.6.2).
	Aggregated, Distributed []string
}

// A Provider is an OpenID Provider. Its methods are safe for concurrent use.
type Provider struct {
	URL     string // of the listener of Start or StartTLS
	MTLSURL string // of the listener of StartTLS that requests client certificates, for mtls_endpoint_aliases; "" without StartTLS

	config     Config
	keys       keys
	clientKeys clientKeys
	state      state
	controls   controls
	mux        *http.ServeMux
	serve      map[Endpoint]http.Handler // the handlers that Break replaces
	server     server

	serverMetadata http.Handler // not in mux, because its path isn't below that of the issuer

	mu     sync.RWMutex
	issuer string // guarded by mu
}

// New returns a provider. If Config.Issuer is empty, the caller must call SetIssuer before the first request.
func New(c Config) *Provider {
	p := &Provider{config: c.withDefaults(), issuer: strings.TrimSuffix(c.Issuer, "/")}
	p.keys.rotate(false, false)
	p.state.init()
	p.controls.init(p.config.AccessTokenLifetime)
	p.mux = p.routes()
	return p
}

func (c Config) withDefaults() Config {
	c.AccessTokenLifetime = cmp.Or(c.AccessTokenLifetime, 5*time.Minute)
	c.RefreshTokenLifetime = cmp.Or(c.RefreshTokenLifetime, 12*time.Hour)
	c.SessionLifetime = cmp.Or(c.SessionLifetime, 12*time.Hour)
	if len(c.ACRValues) == 0 {
		c.ACRValues = []string{"1"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Personality == nil {
		c.Personality = &Personality{}
	}
	c.Clients = slices.Clone(c.Clients)
	for i := range c.Clients {
		c.Clients[i] = c.Clients[i].withDefaults()
	}
	return c
}

// Issuer returns the issuer URL, without a trailing slash.
func (p *Provider) Issuer() string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.issuer
}

// SetIssuer sets the issuer URL. If it has a path, the endpoints are below that path.
func (p *Provider) SetIssuer(issuer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issuer = strings.TrimSuffix(issuer, "/")
}

// path returns the path of the issuer URL, or "".
func (p *Provider) path() string {
	u, err := url.Parse(p.Issuer())
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

// client returns the client with this ID, or nil.
func (p *Provider) client(id string) *Client {
	for i := range p.config.Clients {
		if p.config.Clients[i].ID == id {
			return &p.config.Clients[i]
		}
	}
	return nil
}

// user returns the user with this username, or nil.
func (p *Provider) user(username string) *User {
	for i := range p.config.Users {
		if p.config.Users[i].Username == username {
			return &p.config.Users[i]
		}
	}
	return nil
}

// as returns the personality.
func (p *Provider) as() *Personality { return p.config.Personality }

func (p *Provider) now() time.Time { return p.config.Now() }
