package authserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
)

// authorize serves the authorization endpoint (RFC 6749 §3.1). A browser sends GET, and POST from the consent page. The external
// consent page sends POST with the provision key.
func (s *Site) authorize(r *auth.Request, v auth.Visitor) (*auth.Result, error) {
	var p params
	if r.Method == http.MethodPost {
		var err error
		if p, err = readForm(r); err != nil {
			return nil, err
		}
		if p[consentField] == "" {
			return s.authorizeProvisioned(r, p)
		}
	}
	user := s.visitor(v)
	res, err := s.authorizeVisitor(r, user, p)
	switch {
	case err != nil && auth.HeaderOf(err) != nil: // the visitor's own error
		return nil, err
	case err != nil:
		return nil, auth.WithHeader(err, user.header)
	case len(user.header) > 0:
		res.Header = auth.MergeHeader(res.Header, user.header)
	}
	return res, nil
}

// authorizeVisitor serves a browser. Answer is the submitted form of the consent page, or nil.
func (s *Site) authorizeVisitor(r *auth.Request, user visitor, answer params) (*auth.Result, error) {
	if answer != nil {
		return s.authorizeConsent(r, user, answer)
	}
	return s.authorizeBrowser(r, user)
}

// A visitor is the user of a browser.
type visitor struct {
	identity *auth.Identity
	header   http.Header // to add to any response
	err      error       // why the user is not identified
}

// visitor identifies the user, and authorizes the user for the route. An access token of this server doesn't identify a user here:
// otherwise a client could exchange one for further tokens.
func (s *Site) visitor(from auth.Visitor) (v visitor) {
	if len(s.Users) == 0 {
		v.err = refuse("access_denied", "Users can't log in here.").because("no login for the authorization endpoint")
		return v
	}
	res, err := from.Identify()
	if err != nil {
		v.err, v.header = err, auth.HeaderOf(err)
		return v
	}
	v.identity, v.header = res.Identity, res.Header
	switch {
	case v.identity == nil || v.identity.Subject == "":
		v.err = fmt.Errorf("%w: no user", auth.ErrNoCredential)
	case v.identity.BuiltIn:
		v.err = refuse("access_denied", "An access token can't ask for another one.").because("the user came with a token of this issuer")
	}
	return v
}

// An authorization is a valid authorization request (RFC 6749 §4.1.1).
type authorization struct {
	client    *client
	redirect  string // the redirect URI of the response
	asked     bool   // the request had a redirect_uri
	state     string
	scope     string
	resource  string // for the audience of the tokens (RFC 8707); empty: the request named none
	challenge string // S256; empty without PKCE
}

// described returns the client of a metadata document.
func (s *Site) described(r *auth.Request, user visitor, id string) (*client, error) {
	if found := s.process.documents.peek(id); found != nil {
		return s.newDynamic(id, &found.clientMetadata), nil
	}
	if user.err != nil {
		return nil, user.err
	}
	found, err := s.process.documents.get(r.Context(), id)
	switch {
	case errors.Is(err, ErrUnavailable):
		return nil, err
	case err != nil:
		s.log.Warn("a client's metadata document is refused", "request_id", r.ID, "client_id", id, "error", err)
		return nil, refuse("invalid_client", "The description of the application can't be read from its address, or isn't valid.").
			because("the metadata document " + id + ": " + err.Error())
	}
	return s.newDynamic(id, &found.clientMetadata), nil
}

// unknownClient returns the error for a client that isn't known. A user of an MCP client sees what to do in the app: it keeps a client_id
// that this server may have forgotten, and doesn't see this page.
func (s *Site) unknownClient(id string) error {
	e := refuse("invalid_request", "The client is unknown here, or may not ask for this.").
		because("client_id is unknown, or may not use authorization_code")
	if !s.Route.ByGate() {
		return e
	}
	e.code, e.status = "invalid_client", http.StatusUnauthorized
	switch u := documentURL(id); {
	case u != nil:
		e.description = "Applications of " + u.Host + " may not connect here."
		e.reason = u.Host + " isn't one of mcp.client_hosts"
	default:
		e.description = "It isn't known here, or not any more. In the application, remove this server and add it again, " +
			"or log out of it there: then it introduces itself anew."
	}
	return e
}

const maxState = 2048 // bytes: the state becomes part of a URL

// newAuthorization returns an authorization with the client and the redirect URI of a request. On an error the browser must not be
// redirected (RFC 6749 §4.1.2.1). It fetches the client's metadata document, if it has one: only a user whom the route lets pass causes
// that.
func (s *Site) newAuthorization(r *auth.Request, user visitor, p params) (*authorization, error) {
	c := s.find(p["client_id"])
	if c == nil || !c.may(authorizationCode) {
		return nil, s.unknownClient(p["client_id"])
	}
	if c.dynamic && len(c.RedirectURIs) == 0 {
		var err error
		if c, err = s.described(r, user, c.ClientID); err != nil {
			return nil, err
		}
	}
	target, ok := c.redirectURI(p["redirect_uri"])
	if !ok {
		return nil, refuse("invalid_request", "The redirect_uri is not registered for this client.").
			because("redirect_uri isn't one of " + c.ClientID)
	}
	return &authorization{client: c, redirect: target, asked: p["redirect_uri"] != ""}, nil
}

// complete reads the other parameters of an authorization request. Its errors are sent to the redirect URI.
func (s *Site) complete(r *auth.Request, a *authorization, p params) (err error) {
	if len(p["state"]) > maxState || !isVisible(p["state"]) {
		return refuse("invalid_request", "The state isn't up to 2048 printable ASCII characters.")
	}
	a.state = p["state"]
	switch {
	case p["response_type"] == "":
		return refuse("invalid_request", "The response_type is missing.")
	case p["response_type"] != "code":
		return refuse("unsupported_response_type", "Only the response_type code is known here.")
	case p["response_mode"] != "" && p["response_mode"] != "query":
		return refuse("invalid_request", "Only the response_mode query is known here.")
	}
	if a.scope, err = s.scope(a.client, p["scope"]); err != nil {
		return err
	}
	if a.resource, err = s.resource(r, p); err != nil {
		return err
	}
	a.challenge, err = s.challenge(a.client, p)
	return err
}

// challenge returns the code_challenge of a request (RFC 7636 §4.3). It accepts only S256: plain doesn't protect against an attacker who
// sees the request.
func (s *Site) challenge(c *client, p params) (string, error) {
	challenge, method := p["code_challenge"], p["code_challenge_method"]
	switch {
	case challenge == "" && method != "":
		return "", refuse("invalid_request", "The code_challenge is missing.")
	case challenge == "" && (c.Public || s.settings.PKCE != "lax"):
		return "", refuse("invalid_request", "The code_challenge is missing: PKCE is required (RFC 7636).")
	case challenge == "":
		return "", nil
	case method != "S256":
		return "", refuse("invalid_request", "The code_challenge_method must be S256.")
	case !challengeForm.MatchString(challenge):
		return "", refuse("invalid_request", "The code_challenge isn't a SHA-256 in base64url.")
	}
	return challenge, nil
}

// issueCode issues a code for a user and returns the URL of the authorization response. It stores the user's identity without tokens,
// so that the policy judges the user whenever tokens are issued. Identity is nil if the external consent page named the user.
func (s *Site) issueCode(r *auth.Request, a *authorization, user string, identity *auth.Identity) (string, error) {
	now := s.now()
	rec := s.newAccess(a.client, s.issuer(r), authorizationCode)
	rec.Expires = now.Add(codeLife).Unix()
	rec.Subject, rec.UserID, rec.Scope, rec.Resource, rec.Family = user, user, a.scope, a.resource, newFamily()
	rec.RedirectURI, rec.RedirectAsked, rec.Challenge = a.redirect, a.asked, a.challenge
	rec.User = withoutTokens(identity)
	if err := s.keepLogin(r.Context(), rec, identity); err != nil {
		return "", err
	}
	h := s.mint.make(codeHandle, rec.Family)
	if err := s.store.add(r.Context(), h, rec); err != nil {
		return "", err
	}
	s.log.Info("code issued", "request_id", r.ID, "client_id", a.client.ClientID)
	return s.response(r, a, url.Values{"code": {h.text}}), nil
}

// response returns the URL of an authorization response. It adds state (RFC 6749 §4.1.2) and iss, by which a client of several
// authorization servers recognizes the one that responded (RFC 9207 §2).
func (s *Site) response(r *auth.Request, a *authorization, values url.Values) string {
	if a.state != "" {
		values.Set("state", a.state)
	}
	values.Set("iss", s.issuer(r))
	return responseURI(a.redirect, values)
}

// errorResponse returns the URL of an error response (RFC 6749 §4.1.2.1), or "" if err is not a refusal for the client.
func (s *Site) errorResponse(r *auth.Request, a *authorization, err error) string {
	var refused *refusal
	if !errors.As(err, &refused) {
		return ""
	}
	s.log.Info("oauth2 request refused",
		"request_id", r.ID, "endpoint", "authorize", "client_id", a.client.ClientID, "error", refused.Error())
	s.audit.Write(audit.Event{
		Event: audit.Refusal, RequestID: r.ID, Client: r.Client(), Endpoint: "authorize", ClientID: a.client.ClientID, Why: refused.code,
	})
	return s.response(r, a, url.Values{"error": {refused.code}, "error_description": {refused.description}})
}

// seeOther returns a redirect. Its status is 303, so that the browser doesn't send a form again (RFC 9700 §4.12).
func seeOther(target string) *auth.Result {
	return &auth.Result{Answer: &auth.Answer{Status: http.StatusSeeOther, Header: http.Header{
		"Location": {target}, "Cache-Control": {"no-store"}, "Referrer-Policy": {"no-referrer"},
	}}}
}

// prompts parses the parameter prompt (OIDC Core §3.1.2.1). On an MCP server it ignores words that it doesn't know, because its clients
// send those of other servers, too.
func (s *Site) prompts(p params) (none, consent bool, err error) {
	words := strings.Fields(p["prompt"])
	for _, w := range words {
		switch w {
		case "none":
			none = true
		case "consent":
			consent = true
		default:
			if s.Route.On {
				continue
			}
			return false, false, refuse("invalid_request", "Only none and consent are known for prompt here.").
				because("prompt " + w[:min(len(w), 40)])
		}
	}
	if none && len(words) > 1 {
		return false, false, refuse("invalid_request", "The prompt none can't be combined with another.")
	}
	return none, consent, nil
}
