package provider

import (
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Client is a registered client (RFC 6749 §2).
type Client struct {
	ID     string
	Secret string // empty: a public client, which has to use PKCE
	Name   string // shown on the login page; default ID

	// AuthMethod is client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth,
	// self_signed_tls_client_auth or none (OIDC Core §9, RFC 8705 §2); no other is accepted from this client. The default is
	// client_secret_basic, for a public client none.
	AuthMethod string

	// What proves the client where no secret does.
	AuthSigningAlg string             // the one alg of its assertions; default: any that fits AuthMethod
	JWKS           jose.JSONWebKeySet // its public keys for private_key_jwt; the certificates (x5c) for self_signed_tls_client_auth
	JWKSURI        string             // where they are instead; asked again for a kid that isn't known
	TLSSubjectDN   string             // for tls_client_auth: as RFC 4514 writes it, such as CN=app,O=Example
	TLSThumbprint  string             // for self_signed_tls_client_auth: SHA-256 of the certificate, hexadecimal or base64url

	// A foreign issuer may speak for the client, as Kubernetes does with a service account token: with all three set,
	// private_key_jwt takes assertions of AssertionIssuer about AssertionSubject, signed with AssertionJWKS, and no others.
	AssertionIssuer  string
	AssertionSubject string
	AssertionJWKS    jose.JSONWebKeySet

	// RedirectURIs are compared as strings (RFC 9700 §2.1). A URI with a loopback host and no port stands for every port
	// (RFC 8252 §7.3): http://127.0.0.1/oauth2/callback.
	RedirectURIs           []string
	PostLogoutRedirectURIs []string // compared likewise

	// Tokens whose aud doesn't name the client aren't active for it, and can't be exchanged, with OnlyOwnAudience, as at
	// Keycloak. RFC 9701 §5 demands that of signed introspection answers anyway, unless AnyAudience lifts it.
	OnlyOwnAudience bool
	AnyAudience     bool

	IntrospectionSignedResponseAlg string // of answers that are asked for as a JWT; RS256 (default), PS256, ES256 or EdDSA
	UserinfoSignedResponseAlg      string // likewise, and then userinfo is always signed; default: only if Accept asks, RS256

	AccessTokenAudience []string       // aud of access tokens; default ID
	AccessTokenLifetime time.Duration  // default Config.AccessTokenLifetime
	OpaqueAccessTokens  bool           // issue random strings instead of JWTs (RFC 9068)
	BoundTokens         bool           // bind access tokens to the client's certificate (RFC 8705 §3); a public client's refresh tokens, too
	IDTokenAlg          string         // RS256 (default), PS256, ES256 or EdDSA
	KeepRefreshToken    bool           // a refresh token stays good after its use; the default is rotation
	NoRefreshToken      bool           // issue none
	Claims              map[string]any // of the client's own tokens (client_credentials)
}

func (c Client) withDefaults() Client {
	if c.AuthMethod == "" {
		c.AuthMethod = "client_secret_basic"
		if c.Secret == "" {
			c.AuthMethod = "none"
		}
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	if c.IntrospectionSignedResponseAlg == "" {
		c.IntrospectionSignedResponseAlg = "RS256"
	}
	if c.IDTokenAlg == "" {
		c.IDTokenAlg = "RS256"
	}
	if len(c.AccessTokenAudience) == 0 {
		c.AccessTokenAudience = []string{c.ID}
	}
	return c
}
