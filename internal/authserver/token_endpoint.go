package authserver

import (
	"context"
	"net/http"
	"time"

	"sallyport/internal/auth"
)

// A tokenAnswer is the response of the token endpoint (RFC 6749 §5.1). It says the scope where there is one, so that no
// client has to guess what it got.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// token is the token endpoint (RFC 6749 §3.2).
func (s *site) token(r *auth.Request, v auth.Visitor) (*auth.Result, error) {
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
	return answerJSON(http.StatusOK, answer), nil
}

// grant gives tokens for what a client brings.
func (s *site) grant(r *auth.Request, v auth.Visitor, c *client, p params) (*tokenAnswer, error) {
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
		return nil, refuse("unauthorized_client", "The client may not use this grant_type.").because(c.ClientID + " may not use " + p["grant_type"])
	}
	return grant(r, v, c, p)
}

// clientCredentials is RFC 6749 §4.4: no refresh token, because the client can ask again. With the provision key a client
// may say which user it acts for, as in Kong.
func (s *site) clientCredentials(r *auth.Request, _ auth.Visitor, c *client, p params) (*tokenAnswer, error) {
	scope, err := s.scope(c, p)
	if err != nil {
		return nil, err
	}
	rec := s.access(c, s.issuer(r), clientCredentials)
	rec.Scope = scope
	if p["authenticated_userid"] != "" {
		if rec.UserID, err = s.provisionedUser(r, p); err != nil {
			return nil, err
		}
		rec.Subject = rec.UserID
	}
	h := s.mint.make(accessHandle, "")
	if err := s.store.keep(r.Context(), h, rec); err != nil {
		return nil, err
	}
	return newTokenAnswer(h, rec), nil
}

// scope is the scope that a client asks for (RFC 6749 §3.3).
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

// endFamily ends all tokens of an authorization, here at once.
func (a *Server) endFamily(ctx context.Context, family string) error {
	if err := a.store.end(context.WithoutCancel(ctx), family); err != nil { // whoever causes it must not stop it
		return err
	}
	a.kept.facts.end(familyDigest(family))
	return nil
}

// next returns what a family's code or refresh token is exchanged for. The refresh token is new if it rotates; its handle is
// nil where there is none, or the one that was presented stays. A public client's always rotates: anybody could use it
// (RFC 9700 §2.2.2).
func (a *Server) next(c *client, was *record, scope string) (next issue, refresh *handle) {
	now := a.now()
	access := a.access(c, was.Issuer, authorizationCode)
	access.Subject, access.UserID, access.Scope, access.Family, access.User = was.Subject, was.UserID, scope, was.Family, was.User
	family := &record{
		Version: recordVersion, Grant: authorizationCode, Issuer: was.Issuer, ClientID: was.ClientID, Subject: was.Subject, UserID: was.UserID,
		Scope: was.Scope, Issued: was.Issued, Expires: access.Expires, Family: was.Family, User: was.User,
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
	return issue{family: family, token: a.mint.make(accessHandle, ""), access: access}, refresh
}

// attempts is how often something is tried again that another request was quicker to change.
const attempts = 5

// codeLife is how long a code is good. RFC 6749 §4.1.2 wants ten minutes at most; clients redeem it at once.
const codeLife = time.Minute
