package importer

import "strings"

// A moidcDirective is a directive of mod_auth_openidc.
type moidcDirective struct {
	name   string
	key    string // the setting that takes its value; "" if a converter reads it
	differ string // what differs if it is set
}

// moidcNames has the directives by their name in lower case.
var moidcNames = moidcTable()

// moidcTable reads moidcDirectiveTable.
func moidcTable() map[string]*moidcDirective {
	names := map[string]*moidcDirective{}
	for line := range strings.Lines(moidcDirectiveTable) {
		head, differ, _ := strings.Cut(strings.TrimSpace(line), " | ")
		if head == "" {
			continue
		}
		name, key, _ := strings.Cut(head, " = ")
		names[strings.ToLower(name)] = &moidcDirective{name, key, differ}
	}
	return names
}

// noteSettings notes each directive of the module that isn't imported as it is.
func (h *apacheHost) noteSettings() {
	for _, lower := range sortedKeys(h.settings) {
		n := h.settings[lower]
		switch d := moidcNames[lower]; {
		case !strings.HasPrefix(lower, "oidc"):
		case d == nil:
			h.Notef(n.place, "%s isn't a directive of mod_auth_openidc that is known here: it is left out", n.name)
		case d.differ != "":
			h.Notef(n.place, "%s: %s", d.name, d.differ)
		}
	}
}

// setSimple sets the settings that take the value of a directive.
func (h *apacheHost) setSimple() {
	for _, lower := range sortedKeys(h.settings) {
		if d := moidcNames[lower]; d != nil && d.key != "" && h.settings[lower].arg(0) != "" {
			h.oidc.Set(d.key, h.value(h.settings[lower].arg(0)))
		}
	}
}

// moidcDirectiveTable has a line for each directive: NAME = SETTING, or NAME for one that a converter reads, and what differs.
const moidcDirectiveTable = `
OIDCAuthNHeader
OIDCAuthRequestParams
OIDCBlackListedClaims
OIDCCABundlePath = ca_file
OIDCCacheDir | sessions aren't in files
OIDCCacheEncrypt | what is stored in Redis is encrypted, always
OIDCCacheFileCleanInterval | sessions aren't in files
OIDCCacheShmEntrySizeMax | sessions in memory have no such limit
OIDCCacheShmMax | memory has at most 100,000 sessions
OIDCCacheType
OIDCCertBoundAccessTokens | tokens that are bound to a certificate: proof_of_possession_mtls
OIDCClaimDelimiter | a list is sent as base64 of JSON
OIDCClaimPrefix
OIDCClientContact | clients aren't registered dynamically at the issuer
OIDCClientID = client_id
OIDCClientJwksUri | keys.public_path publishes the gate's own public keys
OIDCClientName | clients aren't registered dynamically at the issuer
OIDCClientSecret
OIDCClientTokenEndpointCert = tls_client_auth_cert_file
OIDCClientTokenEndpointKey = tls_client_auth_key_file
OIDCClientTokenEndpointKeyPassword | the key must be one without a password
OIDCCookie = session_cookie_name
OIDCCookieDomain = session_cookie_domain
OIDCCookieHTTPOnly
OIDCCookiePath = session_cookie_path
OIDCCookieSameSite
OIDCCryptoPassphrase
OIDCDPoPMode
OIDCDebugMaskSecrets | the log never has secrets
OIDCDefaultLoggedOutURL = logout_redirect_uri
OIDCDefaultURL | a login that can't be finished shows a page with a link to the route's first page
OIDCDiscoverIssuersAllowed | a user chooses between the issuers of the configuration only
OIDCDiscoverURL | several issuers: write an entry of issuers: for each
OIDCFilterClaimsExpr | claims aren't changed, so no Require claim is satisfied
OIDCHTTPTimeoutLong
OIDCHTTPTimeoutShort | timeout limits every request to the issuer
OIDCIDTokenAudValues
OIDCIDTokenEncryptedResponseAlg | ID tokens are decrypted with a key of client_jwk
OIDCIDTokenEncryptedResponseEnc | ID tokens are decrypted with a key of client_jwk
OIDCIDTokenIatSlack | leeway is the tolerance for times
OIDCIDTokenSignedResponseAlg = id_token_signed_response_alg
OIDCInfoHook | there is no hook: upstream_headers sends claims
OIDCJWKSRefreshInterval | keys are fetched again when a token needs it, and after an hour
OIDCLogoutRequestParams | the logout request has the parameters of OpenID Connect RP-Initiated Logout only
OIDCLogoutXFrameOptions | the logout frame may be shown by the issuer's pages
OIDCMemCacheConnectionsHMax | sessions aren't in memcached
OIDCMemCacheConnectionsMin | sessions aren't in memcached
OIDCMemCacheConnectionsSMax | sessions aren't in memcached
OIDCMemCacheConnectionsTTL | sessions aren't in memcached
OIDCMemCacheServers | sessions aren't in memcached: write session: {storage: redis}
OIDCMetadataDir | several issuers: write an entry of issuers: for each of its files
OIDCMetricsData | the admin listener has /metrics, always
OIDCMetricsPublish | the admin listener has /metrics
OIDCOAuthAcceptTokenAs
OIDCOAuthClientID
OIDCOAuthClientSecret
OIDCOAuthDecryptSharedKeys | encrypted access tokens aren't decrypted with shared keys
OIDCOAuthIntrospectionClientAuthBearerToken | the gate authenticates as a client for introspection, not with a token
OIDCOAuthIntrospectionEndpoint
OIDCOAuthIntrospectionEndpointAuth
OIDCOAuthIntrospectionEndpointCert = tls_client_auth_cert_file
OIDCOAuthIntrospectionEndpointKey = tls_client_auth_key_file
OIDCOAuthIntrospectionEndpointKeyPassword | the key must be one without a password
OIDCOAuthIntrospectionEndpointMethod | introspection is a POST, always
OIDCOAuthIntrospectionEndpointParams
OIDCOAuthIntrospectionTokenParamName = introspection_token_param_name
OIDCOAuthRemoteUserClaim
OIDCOAuthSSLValidateServer
OIDCOAuthServerMetadataURL
OIDCOAuthTokenExpiryClaim | the expiry is exp, as RFC 7662 says
OIDCOAuthTokenIntrospectionInterval = cache_ttl_max
OIDCOAuthVerifyAudience
OIDCOAuthVerifyCertFiles | keys are read from the issuer's key set only
OIDCOAuthVerifyIssuer
OIDCOAuthVerifyJwksUri
OIDCOAuthVerifySharedKeys | tokens signed with a shared key are refused: enable_hs_signatures accepts those signed with client_secret
OIDCOutgoingProxy
OIDCPKCEMethod
OIDCPassAccessToken
OIDCPassClaimsAs
OIDCPassCookies | the browser's cookies aren't sent to the issuer
OIDCPassIDTokenAs
OIDCPassRefreshToken
OIDCPassUserInfoAs
OIDCPathAuthRequestParams | parameters of logins are those of a route: make a route for the path
OIDCPathScope | scopes are those of a route: make a route for the path
OIDCPreservePost
OIDCPreservePostTemplates | pages has templates
OIDCPrivateKeyFiles | write the private key as client_jwk
OIDCProfile
OIDCProviderAuthRequestMethod
OIDCProviderAuthorizationEndpoint = authorization_endpoint
OIDCProviderBackChannelLogoutSupported
OIDCProviderCheckSessionIFrame | sessions aren't watched in a frame: register the back-channel logout at the issuer
OIDCProviderEndSessionEndpoint = end_session_endpoint
OIDCProviderIssuer
OIDCProviderJwksUri = jwks_endpoint
OIDCProviderMetadataRefreshInterval | metadata is fetched again after an hour
OIDCProviderMetadataURL
OIDCProviderPushedAuthorizationRequestEndpoint = pushed_authorization_request_endpoint
OIDCProviderRegistrationEndpointJson | clients aren't registered dynamically at the issuer
OIDCProviderRevocationEndpoint = revocation_endpoint
OIDCProviderSignedJwksUri | key sets aren't signed: jwks_endpoint is fetched over https
OIDCProviderTokenEndpoint = token_endpoint
OIDCProviderTokenEndpointAuth
OIDCProviderTokenEndpointParams
OIDCProviderUserInfoEndpoint = userinfo_endpoint
OIDCProviderVerifyCertFiles | keys are read from the issuer's key set only
OIDCPublicKeyFiles | keys.public_path publishes the gate's own public keys
OIDCRedirectURI
OIDCRedirectURLsAllowed | after a logout the browser goes to logout_redirect_uri only
OIDCRedisCacheConnectTimeout
OIDCRedisCacheDatabase
OIDCRedisCachePassword
OIDCRedisCacheServer
OIDCRedisCacheTimeout
OIDCRedisCacheUsername
OIDCRefreshAccessTokenBeforeExpiry | access tokens are refreshed 5 seconds before they expire, and earlier by leeway
OIDCRemoteUserClaim
OIDCRequestObject | a signed request has all parameters: require_signed_request_object
OIDCResponseMode
OIDCResponseType
OIDCSSLValidateServer
OIDCScope
OIDCSessionCacheFallbackToCookie | there is no other store while Redis is away: the answer is 503
OIDCSessionCookieChunkSize | the cookie of a session is a signed ID
OIDCSessionInactivityTimeout
OIDCSessionMaxDuration
OIDCSessionType
OIDCStateCookiePrefix
OIDCStateInputHeaders | a login belongs to the browser by its cookie, not by headers
OIDCStateMaxNumberOfCookies | the number of logins at the same time is bounded by the gate
OIDCStateTimeout = authorization_rolling_timeout
OIDCStripCookies | the gate's own cookies never reach the upstream, and others do
OIDCTraceParent | tracing: has the settings of traces
OIDCUnAuthAction
OIDCUnAutzAction
OIDCUserInfoClaimsExpr | claims aren't changed, so no Require claim is satisfied
OIDCUserInfoEncryptedResponseAlg | userinfo responses aren't decrypted
OIDCUserInfoEncryptedResponseEnc | userinfo responses aren't decrypted
OIDCUserInfoRefreshInterval | userinfo is asked again after each refresh of the tokens
OIDCUserInfoSignedResponseAlg
OIDCUserInfoTokenMethod | the token is sent in the header Authorization
OIDCValidateIssuer
OIDCWhiteListedClaims
OIDCXForwardedHeaders
`
