package importer

import (
	"net/url"
	"strconv"
	"strings"
)

// setOIDC makes the oidc block of a host from its directives.
func (h *apacheHost) setOIDC() {
	h.oidc = NewMapping()
	h.setIssuer()
	h.setClient()
	h.setLogin()
	h.setSimple()
	h.setVerification()
	h.setSessions()
	h.setClaimHeaders()
	h.noteSettings()
}

// kinds returns which kinds of AuthType the host uses: logins, and tokens of clients.
func (h *apacheHost) kinds() (logins, tokens bool) {
	for _, s := range h.sections {
		for _, n := range s.nodes {
			if n.is("AuthType") {
				logins = logins || n.arg(0) != "" && !strings.EqualFold(n.arg(0), "oauth20") && isOIDC(n.arg(0))
				tokens = tokens || strings.EqualFold(n.arg(0), "oauth20") || strings.EqualFold(n.arg(0), "auth-openidc")
			}
		}
	}
	return logins, tokens
}

// setIssuer sets the issuer: that of the metadata's address, or the name of the provider.
func (h *apacheHost) setIssuer() {
	metadata, name := h.text("OIDCProviderMetadataURL"), h.text("OIDCProviderIssuer")
	logins, _ := h.kinds()
	if !logins {
		metadata, name = h.text("OIDCOAuthServerMetadataURL"), h.text("OIDCOAuthVerifyIssuer")
	}
	for _, end := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		metadata = strings.TrimSuffix(metadata, end)
	}
	switch {
	case metadata != "":
		h.oidc.Set("issuer", h.reference(metadata))
	case name != "":
		h.oidc.Set("issuer", h.reference(name)).Set("using_pseudo_issuer", true)
	case h.origin("OIDCOAuthIntrospectionEndpoint") != "":
		h.oidc.Set("issuer", h.origin("OIDCOAuthIntrospectionEndpoint")).Set("using_pseudo_issuer", true)
		h.differs("OIDCOAuthIntrospectionEndpoint", "the issuer isn't known: it is set to the origin of this address")
	case h.origin("OIDCOAuthVerifyJwksUri") != "":
		h.oidc.Set("issuer", h.origin("OIDCOAuthVerifyJwksUri")).Set("using_pseudo_issuer", true)
		h.differs("OIDCOAuthVerifyJwksUri", "a token must have iss, and its value isn't known: it is set to the origin of this address")
	default:
		h.oidc.Set("issuer", h.AddVariable(Variable{Name: "OIDC_ISSUER", Sample: "https://idp.example.com"}))
		h.Notef(h.node.place, "no issuer is known (OIDCProviderMetadataURL, OIDCProviderIssuer): set OIDC_ISSUER to its URL")
	}
}

// origin returns the origin of the URL of a directive, or "".
func (h *apacheHost) origin(name string) string {
	if u := parseHTTP(h.text(name)); u != nil {
		return u.Scheme + "://" + u.Host
	}
	return ""
}

// value returns a value: a number, or what reference returns.
func (h *apacheHost) value(text string) any {
	if _, err := strconv.Atoi(text); err == nil {
		return Plain(text)
	}
	return h.reference(text)
}

// reference returns a value: a reference if it names an environment variable.
func (h *apacheHost) reference(text string) any {
	if name, ok := variableReference(text); ok && strings.HasPrefix(text, "${") {
		return h.AddVariable(Variable{Name: name, Sample: "https://sample.example.com"})
	}
	return text
}

// setClient sets the client of logins, or that of introspection.
func (h *apacheHost) setClient() {
	logins, tokens := h.kinds()
	id, secret, auth := "OIDCClientID", "OIDCClientSecret", "OIDCProviderTokenEndpointAuth"
	if !logins && tokens {
		id, secret, auth = "OIDCOAuthClientID", "OIDCOAuthClientSecret", "OIDCOAuthIntrospectionEndpointAuth"
	} else if h.text("OIDCOAuthClientID") != "" && h.text("OIDCOAuthClientID") != h.text("OIDCClientID") {
		h.differs("OIDCOAuthClientID", "tokens are introspected by the client of logins")
	}
	if h.text(id) != "" {
		h.oidc.Set("client_id", h.reference(h.text(id)))
	}
	h.setSecret("client_secret", secret, "OIDC_CLIENT_SECRET")
	method, algorithm, _ := strings.Cut(h.text(auth), ":")
	switch method {
	case "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth",
		"self_signed_tls_client_auth", "none":
		h.oidc.Set("client_auth", method)
		if algorithm != "" {
			h.oidc.Set("client_alg", algorithm)
		}
	case "bearer_access_token":
		h.differs(auth, "the gate authenticates as a client for introspection, not with a token")
	}
}

// setSecret sets a secret to an environment variable.
func (h *apacheHost) setSecret(key, directive, variable string) {
	value := h.text(directive)
	if value == "" {
		return
	}
	if name, ok := variableReference(value); ok && strings.HasPrefix(value, "${") {
		h.oidc.Set(key, h.AddVariable(Variable{Name: name, Sample: "sample"}))
		return
	}
	what := "the value isn't written into the configuration"
	if strings.HasPrefix(value, "exec:") {
		what = "no program is run"
	}
	h.differs(directive, "%s: set the environment variable %s to it", what, variable)
	h.oidc.Set(key, h.AddVariable(Variable{Name: variable, Sample: "sample"}))
}

// setLogin sets the flows and the authorization request.
func (h *apacheHost) setLogin() {
	logins, tokens := h.kinds()
	var methods []string
	if logins {
		methods = append(methods, "authorization_code", "session")
	}
	if tokens {
		methods = append(methods, h.tokenMethods()...)
		h.setAudience()
		h.setTokenPlaces()
	}
	if len(methods) == 0 {
		return
	}
	h.oidc.Set("auth_methods", methods)
	if !logins {
		return
	}
	if scopes := strings.Fields(strings.Join(h.words("OIDCScope"), " ")); len(scopes) > 0 {
		h.oidc.Set("scopes", scopes)
	}
	if h.text("OIDCProviderUserInfoEndpoint") != "" || !h.oidc.Has("using_pseudo_issuer") {
		h.oidc.Set("search_user_info", true)
	}
	h.setArguments("OIDCAuthRequestParams", "authorization_query_args")
	h.setArguments("OIDCProviderTokenEndpointParams", "token_post_args")
	h.setLoginForms()
}

// words returns the arguments of a directive.
func (h *apacheHost) words(name string) []string {
	if n := h.settings[strings.ToLower(name)]; n != nil {
		return n.args
	}
	return nil
}

// setLoginForms sets how the login is requested and answered.
func (h *apacheHost) setLoginForms() {
	switch mode := h.text("OIDCResponseMode"); mode {
	case "form_post":
		h.oidc.Set("response_mode", mode)
	case "fragment":
		h.differs("OIDCResponseMode", "the answer is in the query: browsers don't send fragments")
	}
	switch kind := h.text("OIDCResponseType"); kind {
	case "", "code":
	case "code id_token":
		h.oidc.Set("response_type", []string{kind})
	default:
		h.differs("OIDCResponseType", "the flow is code: tokens in addresses aren't accepted")
	}
	switch method := h.text("OIDCProviderAuthRequestMethod"); method {
	case "PAR":
		h.oidc.Set("require_pushed_authorization_requests", true)
	case "POST":
		h.differs("OIDCProviderAuthRequestMethod", "a login is a redirect, or with PAR a pushed request")
	}
	switch mode := h.text("OIDCDPoPMode"); mode {
	case "optional", "required":
		h.oidc.Set("client_dpop", true)
	}
	if h.text("OIDCPKCEMethod") == "none" || h.text("OIDCPKCEMethod") == "plain" {
		h.differs("OIDCPKCEMethod", "PKCE is on, with S256")
	}
	if strings.EqualFold(h.text("OIDCProfile"), "FAPI20") {
		h.differs("OIDCProfile", "write the profile of FAPI: configs/flows/fapi.md has its settings")
	}
	if h.on("OIDCPreservePost", false) {
		h.oidc.Set("preserve_post", true)
		h.differs("OIDCPreservePost", "a form is kept by the gate, not in the browser, and a page asks before it is sent")
	}
}

// tokenMethods returns the flows for tokens of clients.
func (h *apacheHost) tokenMethods() (methods []string) {
	if h.text("OIDCOAuthVerifyJwksUri") != "" || h.text("OIDCOAuthIntrospectionEndpoint") == "" {
		methods = append(methods, "bearer")
	}
	if h.text("OIDCOAuthVerifyJwksUri") != "" {
		h.oidc.Set("jwks_endpoint", h.text("OIDCOAuthVerifyJwksUri"))
	}
	if endpoint := h.text("OIDCOAuthIntrospectionEndpoint"); endpoint != "" {
		h.oidc.Set("introspection_endpoint", endpoint)
		methods = append(methods, "introspection")
	}
	h.setArguments("OIDCOAuthIntrospectionEndpointParams", "introspection_post_args")
	return methods
}

// setAudience sets the audience of tokens. Without one and without a client, every token of the issuer was accepted.
func (h *apacheHost) setAudience() {
	audience := h.words("OIDCOAuthVerifyAudience")
	switch {
	case len(audience) > 0:
		h.oidc.Set("audience_required", audience)
		if logins, _ := h.kinds(); logins {
			h.differs("OIDCOAuthVerifyAudience", "the access tokens of logins must have this audience, too; two hosts or routes keep them apart")
		}
	case h.oidc.Has("client_id"):
		h.Notef(h.node.place, "a token must name client_id in aud now; audience_required: any switches this off")
	default:
		h.oidc.Set("audience_required", "any")
		h.Notef(h.node.place, "every token of the issuer is accepted, as before: write audience_required")
	}
}

// setTokenPlaces sets where tokens are read.
func (h *apacheHost) setTokenPlaces() {
	var places []string
	for _, w := range h.words("OIDCOAuthAcceptTokenAs") {
		kind, name, _ := strings.Cut(w, ":")
		switch kind {
		case "header", "query":
			places = append(places, kind)
		case "post":
			places = append(places, "body")
		case "cookie":
			places = append(places, "cookie")
			if name == "" {
				name = "PA.global"
			}
			h.oidc.Set("bearer_token_cookie_name", name)
		default:
			h.differs("OIDCOAuthAcceptTokenAs", "a token isn't read from %s", kind)
		}
	}
	if len(places) > 0 {
		h.oidc.Set("bearer_token_param_type", places)
	}
}

// setArguments sets parameters that are written as in a query.
func (h *apacheHost) setArguments(directive, key string) {
	var names, values []string
	for part := range strings.SplitSeq(h.text(directive), "&") {
		name, value, found := strings.Cut(part, "=")
		if !found {
			continue
		}
		name, err := url.QueryUnescape(name)
		value, wrong := url.QueryUnescape(value)
		if err != nil || wrong != nil || value == "#" || strings.Contains(value, "%{") {
			h.differs(directive, "a parameter with a value of the request isn't imported")
			continue
		}
		names, values = append(names, name), append(values, value)
	}
	if len(names) > 0 {
		h.oidc.Set(key+"_names", names).Set(key+"_values", values)
	}
}

// setVerification notes what is verified now, and sets what differs by configuration.
func (h *apacheHost) setVerification() {
	for _, name := range []string{"OIDCSSLValidateServer", "OIDCOAuthSSLValidateServer"} {
		if !h.on(name, true) {
			h.differs(name, "certificates are verified: write ca_file with the issuer's authority")
		}
	}
	if !h.on("OIDCValidateIssuer", true) {
		h.differs("OIDCValidateIssuer", "iss is verified: list other accepted values in issuers_allowed")
	}
	if strings.EqualFold(h.text("OIDCIDTokenSignedResponseAlg"), "none") {
		h.differs("OIDCIDTokenSignedResponseAlg", "an unsigned ID token is refused")
		delete(h.settings, strings.ToLower("OIDCIDTokenSignedResponseAlg"))
	}
	if values := h.words("OIDCIDTokenAudValues"); len(values) > 0 {
		h.oidc.Set("id_token_audiences_trusted", values)
		h.differs("OIDCIDTokenAudValues", "an ID token must name client_id in aud, and may have these audiences besides")
	}
	if h.text("OIDCUserInfoSignedResponseAlg") != "" {
		h.oidc.Set("userinfo_accept", "application/jwt")
	}
	if seconds, err := strconv.Atoi(h.text("OIDCHTTPTimeoutLong")); err == nil && seconds > 0 && seconds < 3600 {
		h.oidc.Set("timeout", seconds*1000)
	}
	h.setOutgoingProxy()
	h.noteSwitches()
}

// setOutgoingProxy sets the proxy for requests to the issuer.
func (h *apacheHost) setOutgoingProxy() {
	address := h.text("OIDCOutgoingProxy")
	if address == "" {
		return
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	h.oidc.Set("http_proxy", address).Set("https_proxy", address)
	if len(h.words("OIDCOutgoingProxy")) > 1 {
		h.differs("OIDCOutgoingProxy", "the password isn't imported: write http_proxy_authorization and https_proxy_authorization")
	}
}

// noteSwitches notes directives whose value decides whether anything differs.
func (h *apacheHost) noteSwitches() {
	if !h.on("OIDCCookieHTTPOnly", true) {
		h.differs("OIDCCookieHTTPOnly", "scripts can't read the cookie; session_cookie_http_only: false would let them")
	}
	if h.on("OIDCProviderBackChannelLogoutSupported", false) {
		h.differs("OIDCProviderBackChannelLogoutSupported", "register the back-channel logout at oauth2/backchannel-logout below the "+
			"route's first path")
	}
	if n := h.settings["oidcxforwardedheaders"]; n != nil && !strings.EqualFold(n.arg(0), "none") {
		h.differs("OIDCXForwardedHeaders", "X-Forwarded-* headers are believed from listed addresses only: write your proxy's into "+
			"trusted_proxies")
	}
	switch action := h.text("OIDCUnAutzAction"); action {
	case "302":
		if to := h.words("OIDCUnAutzAction"); len(to) > 1 {
			h.oidc.Set("forbidden_redirect_uri", to[1])
		}
	case "401", "auth":
		h.differs("OIDCUnAutzAction", "a user who isn't allowed gets 403; a rule with acr_values or max_age begins another login")
	}
}
