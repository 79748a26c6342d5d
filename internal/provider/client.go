package provider

import (
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Client is a registered client (RFC 6749 §2).
type Client struct {
	ID     string
	Secret string // empty for a public client, which must use PKCE, and for a client that authenticates by key or certificate
	Name   string // shown on the login page; default: ID

	// AuthMethod is the only client authentication method that the provider accepts from this client: client_secret_basic,
	// client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth, self_signed_tls_client_auth or none
	// (OIDC Core §9, RFC 8705 §2). The default is client_secret_basic, or none if Secret is empty.
	AuthMethod string

	// Client authentication by key or certificate.
	AuthSigningAlg string             // the only alg of client assertions; default: any that AuthMethod allows
	JWKS           jose.JSONWebKeySet // public keys for private_key_jwt; certificates (x5c) for self_signed_tls_client_auth
	JWKSURI        string             // URL of the key set, instead of JWKS; fetched again for an unknown kid
	TLSSubjectDN   string             // for tls_client_auth: in RFC 4514 form, such as CN=app,O=Example
	TLSThumbprint  string             // for self_signed_tls_client_auth: SHA-256 of the certificate, in hexadecimal or base64url

	// If these three fields are set, private_key_jwt accepts only assertions that a foreign issuer signs for the client, such
	// as Kubernetes service account tokens: iss is AssertionIssuer, sub is AssertionSubject, and the key is in AssertionJWKS.
	AssertionIssuer  string
	AssertionSubject string
	AssertionJWKS    jose.JSONWebKeySet

	// RedirectURIs are compared as strings (RFC 9700 §2.1), except that a URI with a loopback host and no port, such as
	// http://127.0.0.1/oauth2/callback, matches every port (RFC 8252 §7.3).
	RedirectURIs           []string
	PostLogoutRedirectURIs []string // compared in the same way

	BackchannelLogoutURI  string // receives a logout token when a session with tokens of this client ends; empty: none
	FrontchannelLogoutURI string // the page after a logout shows it in a frame; empty: none

	// OnlyOwnAudience limits introspection and token exchange to tokens whose aud contains the client's ID, as Keycloak does.
	// RFC 9701 §5 requires that limit for signed introspection responses; AnyAudience disables it.
	OnlyOwnAudience bool
	AnyAudience     bool

	IntrospectionSignedResponseAlg string // RS256 (default), PS256, ES256 or EdDSA
	UserinfoSignedResponseAlg      string // if set, userinfo is always signed; default: RS256, and only if Accept prefers a JWT

	// Authorization requests and responses. Request objects are signed with a key of JWKS or JWKSURI; answers are encrypted with one of
	// use enc.
	PushedRequests                 bool       // refuse authorization requests that aren't pushed (RFC 9126)
	SignedRequests                 bool       // refuse authorization requests without a request object (RFC 9101)
	RequestObjectSigningAlg        string     // the only alg of request objects; default: any asymmetric one
	EncryptedRequests              bool       // refuse request objects that aren't encrypted
	AuthorizationSignedResponseAlg string     // of response_mode jwt: RS256 (default), PS256, ES256 or EdDSA
	IDTokenEncryption              Encryption // these encrypt nothing by default
	UserinfoEncryption             Encryption
	IntrospectionEncryption        Encryption
	AuthorizationEncryption        Encryption

	AccessTokenAudience []string       // aud of access tokens; default: ID
	AccessTokenLifetime time.Duration  // default: Config.AccessTokenLifetime
	OpaqueAccessTokens  bool           // issue random strings instead of JWTs (RFC 9068)
	BoundTokens         bool           // bind access tokens, and a public client's refresh tokens, to its certificate (RFC 8705 §3)
	DPoP                bool           // refuse token requests without a DPoP proof (RFC 9449 §5.2)
	IDTokenAlg          string         // RS256 (default), PS256, ES256 or EdDSA
	KeepRefreshToken    bool           // don't rotate refresh tokens
	NoRefreshToken      bool           // don't issue refresh tokens
	Claims              map[string]any // claims of tokens of the client_credentials grant
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
	if c.AuthorizationSignedResponseAlg == "" {
		c.AuthorizationSignedResponseAlg = "RS256"
	}
	if len(c.AccessTokenAudience) == 0 {
		c.AccessTokenAudience = []string{c.ID}
	}
	return c
}
