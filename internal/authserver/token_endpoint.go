package authserver

import (
	"context"
	"net/http"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
)

// A tokenAnswer is a successful response of the token endpoint (RFC 6749 §5.1). It always has the scope, unless that is empty.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// token serves the token endpoint (RFC 6749 §3.2).
func (s *routeServer) token(r *auth.Request, v auth.Visitor) (*auth.Result, error) {
	p, err := readForm(r)
	if err != nil {
		return nil, err
	}
	c, err := s.authenticate(r, p)
	if err != nil {
		return nil, err
	}
	answer, err := s.grant(r, v, c, p)
	if err != nil {
		return nil, err
	}
	s.log.Debug("access token issued", "request_id", r.ID, "client_id", c.ClientID, "grant_type", p["grant_type"])
	s.audit.Write(audit.Event{
		Event: audit.TokenIssued, RequestID: r.ID, Client: r.Client(), Endpoint: "token", ClientID: c.ClientID, Grant: p["grant_type"],
	})
	return answerJSON(http.StatusOK, answer), nil
}

// grant issues tokens for a token request.
func (s *routeServer) grant(r *auth.Request, v auth.Visitor, c *client, p params) (*tokenAnswer, error) {
	grants := map[string]func(*auth.Request, auth.Visitor, *client, params) (*tokenAnswer, error){
		clientCredentials: s.clientCredentials, authorizationCode: s.code, refreshToken: s.refresh,
	}
	grant := grants[p["grant_type"]]
	switch {
	case p["grant_type"] == "":
		return nil, refuse("invalid_request", "The grant_type is missing.")
	case grant == nil:
		return nil, refuse("unsupported_grant_type", "This grant_type isn't known here.")
	case !c.may(p["grant_type"]):
		return nil, refuse("unauthorized_client", "The client may not use this grant_type.").
			because(c.ClientID + " may not use " + p["grant_type"])
	}
	return grant(r, v, c, p)
}

// clientCredentials issues an access token to the client itself (RFC 6749 §4.4). There is no refresh token, because the client can
// repeat the request. With the provision key a client may name the user for whom it acts, as in Kong.
func (s *routeServer) clientCredentials(r *auth.Request, _ auth.Visitor, c *client, p params) (*tokenAnswer, error) {
	scope, err := s.scope(c, p)
	if err != nil {
		return nil, err
	}
	rec := s.newAccess(c, s.issuer(r), clientCredentials)
	rec.Scope = scope
	if rec.Resource, err = s.resource(r, p); err != nil {
		return nil, err
	}
	rec.aim()
	if p["authenticated_userid"] != "" {
		if rec.UserID, err = s.provisionedUser(r, p); err != nil {
			return nil, err
		}
		rec.Subject = rec.UserID
	}
	h := s.mint.make(accessHandle, "")
	if err := s.store.add(r.Context(), h, rec); err != nil {
		return nil, err
	}
	return newTokenAnswer(h, rec), nil
}

// scope returns the scope that a client requests (RFC 6749 §3.3).
func (a *Server) scope(c *client, p params) (string, error) {
	scope, ok := grantedScope(p["scope"], c.Scopes)
	switch {
	case !ok:
		return "", refuse("invalid_scope", "The client asks for a scope that it may not have.")
	case scope == "" && a.settings.MandatoryScope:
		return "", refuse("invalid_scope", "The scope is missing.")
	}
	return scope, nil
}

func newTokenAnswer(h handle, r *record) *tokenAnswer {
	return &tokenAnswer{AccessToken: h.text, TokenType: "Bearer", ExpiresIn: r.Expires - r.Issued, Scope: r.Scope}
}

// endFamily revokes all tokens of an authorization.
func (a *Server) endFamily(ctx context.Context, family string) error {
	if err := a.store.end(context.WithoutCancel(ctx), family); err != nil { // a client that disconnects must not prevent it
		return err
	}
	a.process.tokens.revoke(familyDigest(family))
	return nil
}

// newIssuance returns the issuance for which a family's code or refresh token is exchanged, and the handle of the new refresh token. The
// handle is nil if the client gets no refresh token, or reuse_refresh_token lets it use the same one again. A public client always gets
// a new one, because a stolen one could be used without authentication (RFC 9700 §2.2.2).
func (a *Server) newIssuance(c *client, was *record, scope, resource string) (next issuance, refresh *handle) {
	now := a.now()
	access := a.newAccess(c, was.Issuer, authorizationCode)
	access.Subject, access.UserID, access.Scope, access.Family, access.User = was.Subject, was.UserID, scope, was.Family, was.User
	access.Resource = resource
	access.aim()
	family := &record{
		Version: recordVersion, Grant: authorizationCode, Issuer: was.Issuer,
		ClientID: was.ClientID, Subject: was.Subject, UserID: was.UserID, User: was.User,
		Scope: was.Scope, Resource: was.Resource, Issued: was.Issued, Expires: access.Expires, Family: was.Family,
	}
	switch {
	case !c.may(refreshToken):
	case a.settings.ReuseRefreshToken && !c.Public && was.Current != nil:
		family.Expires, family.Current = was.Expires, was.Current
	default:
		h := a.mint.make(refreshHandle, was.Family)
		d := h.digest()
		refresh, family.Expires, family.Current = &h, now.Add(a.settings.RefreshTokenTTL).Unix(), d[:]
	}
	return issuance{family: family, token: a.mint.make(accessHandle, was.Family), access: access}, refresh
}

// maxTries is how often a change is tried that fails because another request has changed the record.
const maxTries = 5

// codeLife is the lifetime of a code. RFC 6749 §4.1.2 allows at most ten minutes; clients redeem a code at once.
const codeLife = time.Minute
