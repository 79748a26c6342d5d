package authserver

import (
	"context"
	"net/http"
	"strings"
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
func (s *Site) token(r *auth.Request, v auth.Visitor) (*auth.Result, error) {
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
func (s *Site) grant(r *auth.Request, v auth.Visitor, c *client, p params) (*tokenAnswer, error) {
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
func (s *Site) clientCredentials(r *auth.Request, _ auth.Visitor, c *client, p params) (*tokenAnswer, error) {
	scope, err := s.scope(c, p["scope"])
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

// scope returns the scope for a client that asks for one (RFC 6749 §3.3). On an MCP server, whose clients also ask for scopes of their own
// and of other servers, scopes that the client may not have are left out, and a client that names none gets those of the server.
func (s *Site) scope(c *client, asked string) (string, error) {
	allowed := s.allowedScopes(c)
	if s.Route.On {
		if asked = stillAllowed(asked, allowed); asked == "" {
			asked = stillAllowed(strings.Join(s.Route.Scopes, " "), allowed)
		}
	}
	scope, ok := grantedScope(asked, allowed)
	switch {
	case !ok:
		return "", refuse("invalid_scope", "The client asks for a scope that it may not have.")
	case scope == "" && s.settings.MandatoryScope:
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
		Login: was.Login, Checked: was.Checked,
	}
	switch {
	case !c.may(refreshToken):
	case a.settings.ReuseRefreshToken && !c.Public && was.Current != nil:
		family.Expires, family.Current = was.Expires, was.Current
	default:
		h := a.mint.make(refreshHandle, was.Family)
		d := h.digest()
		refresh, family.Expires, family.Current = &h, now.Add(a.settings.RefreshTokenTTL).Unix(), d[:]
		family.Uses = was.usesAfter(h, now)
	}
	return issuance{family: family, token: a.mint.make(accessHandle, was.Family), access: access}, refresh
}

// usesAfter returns the uses of a family's refresh tokens that are still in their grace time, with that of the current one, whose successor
// is next. A code has no current one.
func (r *record) usesAfter(next handle, now time.Time) (uses []use) {
	for _, u := range r.Uses {
		if now.Sub(time.UnixMilli(u.Time)) < refreshGrace {
			uses = append(uses, u)
		}
	}
	if r.Current == nil {
		return nil
	}
	uses = append(uses, use{r.Current, next.text, now.UnixMilli()})
	return uses[max(0, len(uses)-maxUses):]
}

// unrotated returns the issuance of an access token for a refresh token that was used already: the family stays as it was, so that others
// may be issued at the same time.
func (i issuance) unrotated(was *record) issuance {
	i.family = was
	return i
}

// maxTries is how often a change is tried that fails because another request has changed the record.
const maxTries = 5

// codeLife is the lifetime of a code. RFC 6749 §4.1.2 allows at most ten minutes; clients redeem a code at once.
const codeLife = time.Minute
