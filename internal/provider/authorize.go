package provider

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An authorizationRequest is one that may be answered by a redirect: its client and redirect URI are known to be good
// (OIDC Core §3.1.2.1).
type authorizationRequest struct {
	params      url.Values // as they came: the login page carries them on
	client      *Client
	redirectURI string
	scope       []string
	prompt      []string
	maxAge      *time.Duration
	acr         []string // requested, of those that can be satisfied
	hintedSub   string   // of id_token_hint
}

// authorize is the authorization endpoint: it answers with a code, an error, or the login page.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	if r.Method == http.MethodPost {
		params = r.PostForm
	}
	a, refused := p.readAuthorization(w, params)
	session := p.session(r)
	switch {
	case a == nil:
	case refused != nil:
		p.redirectError(w, r, a, refused)
	case a.satisfiedBy(session, p.now()):
		p.redirectCode(w, r, a, session)
	case slices.Contains(a.prompt, "none"):
		p.redirectError(w, r, a, refusal("login_required", "Nobody is logged in, or not as the client asked for."))
	default:
		p.loginPage(w, a, a.params.Get("login_hint"), "")
	}
}

// readAuthorization reads an authorization request. It returns nil if there is nowhere that an answer may be sent to, and
// has written a page then (RFC 6749 §4.1.2.1); an error is to be redirected.
func (p *Provider) readAuthorization(w http.ResponseWriter, params url.Values) (*authorizationRequest, *oauthError) {
	a := &authorizationRequest{params: params, client: p.client(params.Get("client_id")), redirectURI: params.Get("redirect_uri")}
	switch {
	case a.client == nil || len(params["client_id"]) > 1:
		writeMessage(w, http.StatusBadRequest, "Unknown application",
			"The link that led here names no application that is registered at this provider.")
		return nil, nil
	case !registered(a.client.RedirectURIs, a.redirectURI) || len(params["redirect_uri"]) > 1:
		writeMessage(w, http.StatusBadRequest, "Wrong address",
			"The link that led here names a redirect_uri that isn't registered for "+a.client.Name+".")
		return nil, nil
	}
	for _, check := range []func(*authorizationRequest) *oauthError{
		repeatedParameters, unsupportedParameters, checkChallenge, p.readScope, readPrompt, readMaxAge, p.readHint,
	} {
		if refused := check(a); refused != nil {
			return a, refused
		}
	}
	for _, acr := range strings.Fields(params.Get("acr_values")) {
		if slices.Contains(p.config.ACRValues, acr) {
			a.acr = append(a.acr, acr)
		}
	}
	return a, nil
}

// registered compares redirect URIs as strings, so that no two parsers can differ about them. Loopback URIs that are
// registered without a port match with any (RFC 8252 §7.3).
func registered(uris []string, asked string) bool {
	for _, uri := range uris {
		if uri == asked {
			return true
		}
		for _, origin := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
			rest, loopback := strings.CutPrefix(uri, origin)
			port, ported := strings.CutPrefix(asked, origin+":")
			if !loopback || !ported || rest != "" && rest[0] != '/' {
				continue
			}
			if n, err := strconv.ParseUint(strings.TrimSuffix(port, rest), 10, 16); err == nil && n > 0 && strings.HasSuffix(port, rest) {
				return true
			}
		}
	}
	return false
}

// repeatedParameters refuses a parameter that comes twice (RFC 6749 §3.1). Parameters that aren't known are ignored.
func repeatedParameters(a *authorizationRequest) *oauthError {
	for _, name := range []string{"response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age", "login_hint",
		"id_token_hint", "acr_values", "code_challenge", "code_challenge_method"} {
		if len(a.params[name]) > 1 {
			return badRequest("The parameter " + name + " comes twice.")
		}
	}
	return nil
}

// unsupportedParameters refuses by the names of OIDC Core §3.1.2.6.
func unsupportedParameters(a *authorizationRequest) *oauthError {
	mode := a.params.Get("response_mode")
	switch {
	case a.params.Has("request"):
		return refusal("request_not_supported", "Request objects aren't supported.")
	case a.params.Has("request_uri"):
		return refusal("request_uri_not_supported", "A request_uri isn't supported.")
	case a.params.Has("registration"):
		return refusal("registration_not_supported", "Registration on the way isn't supported.")
	case !a.params.Has("response_type"):
		return badRequest("The response_type is missing.")
	case a.params.Get("response_type") != "code":
		return refusal("unsupported_response_type", "The only response_type is code.")
	case mode != "" && mode != "query" && mode != "form_post":
		return badRequest("The response_mode is neither query nor form_post.")
	}
	return nil
}

// checkChallenge judges the code challenge (RFC 7636 §4.2): base64url of a SHA-256. plain protects nothing.
func checkChallenge(a *authorizationRequest) *oauthError {
	challenge, method := a.params.Get("code_challenge"), a.params.Get("code_challenge_method")
	switch {
	case challenge == "" && a.client.AuthMethod == "none":
		return badRequest("A public client has to send a code_challenge.")
	case challenge == "" && method != "":
		return badRequest("The code_challenge is missing.")
	case challenge != "" && method != "S256":
		return badRequest("The only code_challenge_method is S256.")
	case challenge != "" && len(challenge) != 43:
		return badRequest("The code_challenge is no SHA-256 in base64url.")
	}
	return nil
}

func (p *Provider) readScope(a *authorizationRequest) *oauthError {
	if !slices.Contains(strings.Fields(a.params.Get("scope")), "openid") {
		return refusal("invalid_scope", "The scope has to name openid.")
	}
	a.scope = p.grantable(a.params.Get("scope"))
	return nil
}

// grantable are the scopes that are granted of those asked for: the known ones (RFC 6749 §3.3).
func (p *Provider) grantable(asked string) []string {
	var granted []string
	for _, s := range strings.Fields(asked) {
		if slices.Contains(p.scopes(), s) && !slices.Contains(granted, s) {
			granted = append(granted, s)
		}
	}
	return granted
}

// readPrompt reads what the person shall be asked. Consent was given when the client was registered.
func readPrompt(a *authorizationRequest) *oauthError {
	a.prompt = strings.Fields(a.params.Get("prompt"))
	for _, v := range a.prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, v) {
			return badRequest("The prompt has a value that isn't known.")
		}
		if v == "none" && len(a.prompt) > 1 {
			return badRequest("The prompt none goes with no other.")
		}
	}
	return nil
}

func readMaxAge(a *authorizationRequest) *oauthError {
	v := a.params.Get("max_age")
	if v == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return badRequest("The max_age is no number of seconds.")
	}
	age := time.Duration(seconds) * time.Second
	a.maxAge = &age
	return nil
}

func (p *Provider) readHint(a *authorizationRequest) *oauthError {
	hint := a.params.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	claims, err := p.idTokenHint(hint)
	if err != nil {
		return badRequest("The id_token_hint is none of this provider's ID tokens.")
	}
	a.hintedSub, _ = claims["sub"].(string)
	return nil
}

// satisfiedBy reports whether a session spares the form (OIDC Core §3.1.2.3). A max_age of 0 never is satisfied.
func (a *authorizationRequest) satisfiedBy(s *session, now time.Time) bool {
	return s != nil &&
		!slices.Contains(a.prompt, "login") && !slices.Contains(a.prompt, "select_account") &&
		(a.maxAge == nil || *a.maxAge > 0 && now.Sub(s.authTime) <= *a.maxAge) &&
		(len(a.acr) == 0 || slices.Contains(a.acr, s.acr)) &&
		(a.hintedSub == "" || a.hintedSub == s.user.sub())
}
