package flow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// exchange gives a request another access token before it goes on: the one that the authorization server issues for it
// (RFC 8693), or the one that token_exchange_endpoint answers with.
type tokenExchange struct {
	settings *oidc.TokenExchange // nil: only token_exchange_endpoint
	entries  []exchangeEntry
	replace  bool
	clients  *clients
	params   *copiedParams
	// introspect judges an opaque token that was issued; nil: nothing can
	introspect func(*auth.Request, string) (*auth.Identity, error)
	scopes     []string // scopes_claim
	audience   []string // audience_claim
}

// An exchangeEntry is one of subject_token_issuers.
type exchangeEntry struct {
	oidc.SubjectTokenIssuer
	issuer *oidc.Issuer
}

// ClaimPaths say where the conditions of an exchange find scopes and audiences.
type ClaimPaths struct{ Scopes, Audience []string }

// newExchange returns the exchange of access tokens; nil if the part has none.
func newExchange(b *base, claims ClaimPaths) auth.Step {
	c := of[oidc.TokenExchangeSettings](b.view)
	x := c.TokenExchange
	if x == nil && c.TokenExchangeEndpoint == "" {
		return nil
	}
	e := &tokenExchange{
		settings: x, replace: c.TokenExchangeEndpoint != "", clients: b.clients, params: b.params,
		scopes: claims.Scopes, audience: claims.Audience, introspect: b.introspect,
	}
	if x != nil {
		for n, entry := range x.SubjectTokenIssuers {
			e.entries = append(e.entries, exchangeEntry{entry, b.SubjectIssuers[n]})
		}
	}
	return e.exchange
}

func (e *tokenExchange) exchange(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	if res.Identity == nil {
		return res, nil
	}
	res, err := e.exchangeToken(r, res)
	if err != nil || !e.replace {
		return res, err
	}
	return e.replaceToken(r, res)
}

// exchanged is the result with the exchanged token, or as it was if no entry is for it.
func (e *tokenExchange) exchangeToken(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	subject := res.Identity
	entry, err := e.entryFor(subject)
	if err != nil || entry == nil {
		return res, err
	}
	if err := e.checkAudience(subject, entry); err != nil {
		return nil, err
	}
	actor, err := e.actor(r)
	if err != nil {
		return nil, err
	}
	caller, err := e.params.caller(r)
	if err != nil {
		return nil, err
	}
	client := e.clients.chosen(r)
	t, err := client.Exchange(r.Context(), subject.Tokens.AccessToken, actor.value, caller)
	if err != nil {
		return nil, exchangeError(err)
	}
	identity, err := e.identity(r, client, subject, t)
	if err != nil {
		return nil, err
	}
	out := *res
	out.Identity = identity
	if actor.value != "" && actor.at.In == auth.InHeader {
		out.Used = append(slices.Clone(res.Used), actor.at)
	}
	return &out, nil
}

// entry is what says that a token is to be exchanged. A token of another issuer than the route's is never left as it is: its
// entry let it in.
func (e *tokenExchange) entryFor(i *auth.Identity) (*exchangeEntry, error) {
	own := e.clients.first().Issuer()
	if i.AccessToken == nil {
		return nil, nil // opaque, or a flow's that knows no claims of it
	}
	for n := range e.entries {
		entry := &e.entries[n]
		if entry.issuer.URL() == i.Issuer && e.matches(entry.Conditions, i.AccessToken) {
			return entry, nil
		}
	}
	if i.Issuer != own.URL() {
		return nil, auth.InvalidToken("token_issuer", fmt.Errorf("iss: no entry of subject_token_issuers exchanges this token of %q", i.Issuer))
	}
	return nil, nil
}

func (e *tokenExchange) matches(c *oidc.Conditions, claims auth.Claims) bool {
	if c == nil {
		return true
	}
	audience, scopes := claims.Values(e.audience), claims.Words(e.scopes)
	return allMatch(c.HasAudience, audience, true) && allMatch(c.HasScopes, scopes, true) &&
		allMatch(c.MissingAudience, audience, false) && allMatch(c.MissingScopes, scopes, false)
}

// haveAll reports whether each word is there, or none is.
func allMatch(words, there []string, present bool) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return slices.Contains(there, w) != present })
}

// subjectAudience is what an entry requires of a subject token's audience; by default one of our clients.
func subjectAudience(i oidc.SubjectTokenIssuer, clientIDs []string) []string {
	if len(i.AudienceRequired) == 0 {
		return clientIDs
	}
	return i.AudienceRequired
}

func takesAudience(required, has []string) bool {
	return slices.Equal(required, []string{"any"}) || slices.ContainsFunc(required, func(alternative string) bool {
		return allMatch(strings.Fields(alternative), has, true)
	})
}

// checkAudience judges whom a presented subject token was issued for: one of our clients, or what the entry says.
func (e *tokenExchange) checkAudience(i *auth.Identity, entry *exchangeEntry) error {
	var clientIDs []string
	for _, c := range e.clients.list {
		clientIDs = append(clientIDs, c.ID)
	}
	required, has := subjectAudience(entry.SubjectTokenIssuer, clientIDs), i.AccessToken.Values(e.audience)
	if !i.Presented || takesAudience(required, has) {
		return nil
	}
	return auth.InvalidToken("token_audience", fmt.Errorf("audience of the subject token: expected %s, got %q", strings.Join(required, ", or "), has))
}

// actor is the actor token: the configured one, or the caller's.
func (e *tokenExchange) actor(r *auth.Request) (credential, error) {
	a := &e.settings.Request.ActorToken
	switch a.Source {
	case "config":
		return credential{value: string(a.StaticToken)}, nil
	case "header":
		name := headerName(a.HeaderName)
		values := r.Header[name]
		if len(values) == 1 && len(values[0]) > maxToken {
			return credential{}, errTooLong
		}
		if len(values) != 1 || !token68(values[0]) {
			return credential{}, auth.InvalidToken("actor_token_missing", fmt.Errorf("expected one actor token in the header %s", name))
		}
		return credential{value: values[0], at: auth.Param{In: auth.InHeader, Name: name}}, nil
	}
	return credential{}, nil
}

// exchangeError gives a refused exchange its status: the verdict on the token is 401, anything else is ours to mend.
func exchangeError(err error) error {
	if errors.Is(err, oidc.ErrRefused) {
		return auth.InvalidToken("token_exchange_refused", err)
	}
	return grantError("", err)
}

// identity is what the exchanged token proves: it is verified like one that a caller brings.
func (e *tokenExchange) identity(r *auth.Request, client *oidc.Client, subject *auth.Identity, t *oidc.TokenResponse) (*auth.Identity, error) {
	next := *t.Identity
	next.Flow, next.ClientID = subject.Flow, subject.ClientID
	next.IDToken, next.IDTokenJWK, next.Tokens.IDToken = subject.IDToken, subject.IDTokenJWK, subject.Tokens.IDToken
	next.Userinfo, next.UserinfoJWT = subject.Userinfo, subject.UserinfoJWT
	next.Tokens.RefreshToken = subject.Tokens.RefreshToken // the caller's own, which may have been rotated for it
	if next.AccessToken == nil {
		if e.introspect == nil || oidc.IsJWS(t.Tokens.AccessToken) {
			return nil, auth.NotSetUp(errors.New("the exchanged token can't be verified with the issuer's keys: " +
				"add introspection to auth_methods, or have the issuer issue JWTs"))
		}
		answer, err := e.introspect(r, t.Tokens.AccessToken)
		if err != nil {
			return nil, err
		}
		next.Introspection, next.Subject = answer.Introspection, answer.Subject
	}
	if e.settings.MapIdentitiesFrom == "subject_token" {
		next.MappedFrom = subject.AccessToken
	}
	return &next, nil
}

// replaced is the result with the token of token_exchange_endpoint, of which nothing is known: policies see what the token
// before proved.
func (e *tokenExchange) replaceToken(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	if res.Identity.Tokens.AccessToken == "" {
		return res, nil
	}
	token, err := e.clients.chosen(r).Replace(r.Context(), res.Identity.Tokens.AccessToken, oidc.Caller{Address: r.ClientAddr})
	if err != nil {
		return nil, exchangeError(err)
	}
	out, next := *res, *res.Identity
	next.Tokens.AccessToken = token
	out.Identity = &next
	return &out, nil
}
