package provider

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An authorizationRequest is an authorization request (OIDC Core §3.1.2.1) whose client and redirect URI are registered, so
// that responses and errors may be redirected.
type authorizationRequest struct {
	query       url.Values // the request as it was sent; the login form's action repeats it
	params      url.Values // all request parameters, also those of a request object or a pushed request
	client      *Client
	redirectURI string
	scope       []string
	prompt      []string
	maxAge      *time.Duration
	acr         []string // the requested acr_values that Config.ACRValues lists
	hintedSub   string   // the sub of id_token_hint, or ""
	details     any      // authorization_details (RFC 9396 §2), or nil
}

// authorize serves the authorization endpoint. The response is a code, an error, or the login page.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	if r.Method == http.MethodPost {
		params = r.PostForm
	}
	a, refused := p.readAuthorization(w, params, false)
	session := p.session(r)
	switch {
	case a == nil:
	case refused != nil:
		p.redirectError(w, r, a, refused)
	case a.satisfiedBy(session, p.now()):
		p.redirectCode(w, r, a, session)
	case slices.Contains(a.prompt, "none"):
		p.redirectError(w, r, a, refusal("login_required", "The user is not logged in, or the session doesn't satisfy the request."))
	default:
		p.loginPage(w, a, a.params.Get("login_hint"), "")
	}
}

// readAuthorization parses an authorization request. If the client or the redirect URI isn't registered, or the request can't be read, it
// writes an error page and returns nil (RFC 6749 §4.1.2.1). The caller sends a returned error to the redirect URI. Again says that the
// login form repeats the request.
func (p *Provider) readAuthorization(w http.ResponseWriter, query url.Values, again bool) (*authorizationRequest, *oauthError) {
	client := p.client(query.Get("client_id"))
	if client == nil || len(query["client_id"]) > 1 {
		writeMessage(w, http.StatusBadRequest, "Unknown application",
			"The link names an application that isn't registered at this provider.")
		return nil, nil
	}
	params, refused := p.openRequest(client, query, again)
	if refused != nil {
		writeMessage(w, http.StatusBadRequest, "Wrong request", refused.Description)
		return nil, nil
	}
	a := &authorizationRequest{query: query, params: params, client: client, redirectURI: params.Get("redirect_uri")}
	if !a.returnsToClient() {
		writeMessage(w, http.StatusBadRequest, "Wrong address",
			"The link has a redirect_uri that isn't registered for "+a.client.Name+".")
		return nil, nil
	}
	return a, p.checkAuthorization(a)
}

// returnsToClient reports whether the request has one redirect URI, which is registered.
func (a *authorizationRequest) returnsToClient() bool {
	return registered(a.client.RedirectURIs, a.redirectURI) && len(a.params["redirect_uri"]) == 1
}

// checkAuthorization checks the parameters of an authorization request besides the client and the redirect URI.
func (p *Provider) checkAuthorization(a *authorizationRequest) *oauthError {
	for _, check := range []func(*authorizationRequest) *oauthError{
		repeatedParameters, unsupportedParameters, checkChallenge, p.readScope, readPrompt, readMaxAge, p.readHint, p.readDetails,
	} {
		if refused := check(a); refused != nil {
			return refused
		}
	}
	for _, acr := range strings.Fields(a.params.Get("acr_values")) {
		if slices.Contains(p.config.ACRValues, acr) {
			a.acr = append(a.acr, acr)
		}
	}
	return nil
}

// registered reports whether a requested redirect URI is one of uris. It compares strings, so that parser differences don't
// matter. A loopback URI that is registered without a port matches any port (RFC 8252 §7.3).
func registered(uris []string, requested string) bool {
	for _, uri := range uris {
		if uri == requested {
			return true
		}
		for _, origin := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
			rest, loopback := strings.CutPrefix(uri, origin)
			port, hasPort := strings.CutPrefix(requested, origin+":")
			if !loopback || !hasPort || rest != "" && rest[0] != '/' {
				continue
			}
			if n, err := strconv.ParseUint(strings.TrimSuffix(port, rest), 10, 16); err == nil && n > 0 && strings.HasSuffix(port, rest) {
				return true
			}
		}
	}
	return false
}

// repeatedParameters rejects a known parameter that is sent more than once (RFC 6749 §3.1). It ignores unknown parameters.
func repeatedParameters(a *authorizationRequest) *oauthError {
	for _, name := range []string{"response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age", "login_hint",
		"id_token_hint", "acr_values", "code_challenge", "code_challenge_method",
		"authorization_details", "claims", "dpop_jkt"} {
		if len(a.params[name]) > 1 {
			return repeatedParameter(name)
		}
	}
	return nil
}

// unsupportedParameters rejects what this provider doesn't support, with the error codes of OIDC Core §3.1.2.6.
func unsupportedParameters(a *authorizationRequest) *oauthError {
	mode, kind := a.params.Get("response_mode"), a.params.Get("response_type")
	switch {
	case a.params.Has("registration"):
		return refusal("registration_not_supported", "The registration parameter isn't supported.")
	case kind == "":
		return badRequest("The response_type is missing.")
	case kind != "code" && kind != "code id_token":
		return refusal("unsupported_response_type", "The supported response_types are code and code id_token.")
	case mode != "" && !slices.Contains([]string{"query", "form_post", "jwt", "query.jwt", "form_post.jwt"}, mode):
		return badRequest("The response_mode must be query, form_post, jwt, query.jwt or form_post.jwt.")
	case kind == "code id_token" && !strings.HasPrefix(mode, "form_post"):
		return badRequest("The response_type code id_token needs a response_mode form_post or form_post.jwt.")
	}
	return nil
}

// checkChallenge checks the PKCE code challenge (RFC 7636 §4.2). It rejects the method plain, which protects nothing.
func checkChallenge(a *authorizationRequest) *oauthError {
	challenge, method := a.params.Get("code_challenge"), a.params.Get("code_challenge_method")
	switch {
	case challenge == "" && a.client.AuthMethod == "none":
		return badRequest("A public client must send a code_challenge.")
	case challenge == "" && method != "":
		return badRequest("The code_challenge is missing.")
	case challenge != "" && method != "S256":
		return badRequest("The only supported code_challenge_method is S256.")
	case challenge != "" && len(challenge) != 43:
		return badRequest("The code_challenge isn't a base64url-encoded SHA-256 hash.")
	}
	return nil
}

// readScope requires the scope openid (OIDC Core §3.1.2.1).
func (p *Provider) readScope(a *authorizationRequest) *oauthError {
	if !slices.Contains(strings.Fields(a.params.Get("scope")), "openid") {
		return refusal("invalid_scope", "The scope must include openid.")
	}
	a.scope = p.grantedScopes(a.params.Get("scope"))
	return nil
}

// grantedScopes returns the requested scopes that this provider supports, without duplicates (RFC 6749 §3.3).
func (p *Provider) grantedScopes(requested string) []string {
	var granted []string
	for _, s := range strings.Fields(requested) {
		if slices.Contains(p.scopes(), s) && !slices.Contains(granted, s) {
			granted = append(granted, s)
		}
	}
	return granted
}

// readPrompt parses prompt (OIDC Core §3.1.2.1). The value consent has no effect: registered clients have the user's consent.
func readPrompt(a *authorizationRequest) *oauthError {
	a.prompt = strings.Fields(a.params.Get("prompt"))
	for _, v := range a.prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, v) {
			return badRequest("The prompt has an unknown value.")
		}
		if v == "none" && len(a.prompt) > 1 {
			return badRequest("The prompt none can't be combined with other values.")
		}
	}
	return nil
}

// readMaxAge parses max_age, in seconds.
func readMaxAge(a *authorizationRequest) *oauthError {
	v := a.params.Get("max_age")
	if v == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return badRequest("The max_age isn't a number of seconds.")
	}
	age := time.Duration(seconds) * time.Second
	a.maxAge = &age
	return nil
}

// readHint reads the sub of id_token_hint.
func (p *Provider) readHint(a *authorizationRequest) *oauthError {
	hint := a.params.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	claims, err := p.idTokenHint(hint)
	if err != nil {
		return badRequest("The id_token_hint isn't an ID token of this provider.")
	}
	a.hintedSub, _ = claims["sub"].(string)
	return nil
}

// readDetails reads authorization_details (RFC 9396 §2): objects with one of the configured types.
func (p *Provider) readDetails(a *authorizationRequest) *oauthError {
	text := a.params.Get("authorization_details")
	if text == "" {
		return nil
	}
	var details []map[string]any
	unknown := func(d map[string]any) bool {
		kind, _ := d["type"].(string)
		return !slices.Contains(p.config.AuthorizationDetailsTypes, kind)
	}
	if json.Unmarshal([]byte(text), &details) != nil || slices.ContainsFunc(details, unknown) {
		return refusal("invalid_authorization_details", "The authorization_details aren't objects of a supported type.")
	}
	a.details = details
	return nil
}

// satisfiedBy reports whether s, which may be nil, satisfies the request without a new login (OIDC Core §3.1.2.3). A max_age
// of 0 always requires a login.
func (a *authorizationRequest) satisfiedBy(s *session, now time.Time) bool {
	return s != nil &&
		!slices.Contains(a.prompt, "login") && !slices.Contains(a.prompt, "select_account") &&
		(a.maxAge == nil || *a.maxAge > 0 && now.Sub(s.authTime) <= *a.maxAge) &&
		(len(a.acr) == 0 || slices.Contains(a.acr, s.acr)) &&
		(a.hintedSub == "" || a.hintedSub == s.user.sub())
}
