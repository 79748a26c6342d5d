package flow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// tokenExchange replaces the access token of a request: with one that the authorization server issues for it (RFC 8693),
// then with one that token_exchange_endpoint returns.
type tokenExchange struct {
	settings *oidc.TokenExchange // nil: only token_exchange_endpoint is set
	entries  []exchangeEntry
	replace  bool
	clients  *clients
	params   *copiedParams
	// introspect verifies an issued opaque token; nil: opaque tokens cannot be verified.
	introspect introspectFunc
	scopes     []string // scopes_claim
	audience   []string // audience_claim
}

// An exchangeEntry is an entry of subject_token_issuers.
type exchangeEntry struct {
	oidc.SubjectTokenIssuer
	issuer *oidc.Issuer
}

// ClaimPaths are the paths of the claims that hold scopes and audiences, for the conditions of an exchange.
type ClaimPaths struct{ Scopes, Audience []string }

// newExchange returns the step that exchanges access tokens; nil if the part exchanges none.
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

// exchangeToken returns the result with the exchanged token, or the same result if no entry applies.
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

// entryFor returns the entry that applies to a token, or nil. A token of another issuer must have one: it was only accepted
// to be exchanged.
func (e *tokenExchange) entryFor(i *auth.Identity) (*exchangeEntry, error) {
	own := e.clients.first().Issuer()
	if i.AccessToken == nil {
		return nil, nil // an opaque token, or a flow that knows none of its claims
	}
	for n := range e.entries {
		entry := &e.entries[n]
		if entry.issuer.URL() == i.Issuer && e.matches(entry.Conditions, i.AccessToken) {
			return entry, nil
		}
	}
	if i.Issuer != own.URL() {
		return nil, auth.InvalidToken("token_issuer",
			fmt.Errorf("iss: no entry of subject_token_issuers exchanges this token of %q", i.Issuer))
	}
	return nil, nil
}

// matches reports whether the conditions of an entry hold for the claims of a token.
func (e *tokenExchange) matches(c *oidc.Conditions, claims auth.Claims) bool {
	if c == nil {
		return true
	}
	audience, scopes := claims.Values(e.audience), claims.Words(e.scopes)
	return allMatch(c.HasAudience, audience, true) && allMatch(c.HasScopes, scopes, true) &&
		allMatch(c.MissingAudience, audience, false) && allMatch(c.MissingScopes, scopes, false)
}

// allMatch reports whether, for each word, its presence in there equals present.
func allMatch(words, there []string, present bool) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return slices.Contains(there, w) != present })
}

// subjectAudience returns the audiences that an entry accepts in a subject token; by default the client IDs of the part.
func subjectAudience(i oidc.SubjectTokenIssuer, clientIDs []string) []string {
	if len(i.AudienceRequired) == 0 {
		return clientIDs
	}
	return i.AudienceRequired
}

// takesAudience reports whether has contains all words of an alternative in required, or required is any.
func takesAudience(required, has []string) bool {
	return slices.Equal(required, []string{"any"}) || slices.ContainsFunc(required, func(alternative string) bool {
		return allMatch(strings.Fields(alternative), has, true)
	})
}

// checkAudience checks the audience of a subject token that the client sent.
func (e *tokenExchange) checkAudience(i *auth.Identity, entry *exchangeEntry) error {
	var clientIDs []string
	for _, c := range e.clients.list {
		clientIDs = append(clientIDs, c.ID)
	}
	required, has := subjectAudience(entry.SubjectTokenIssuer, clientIDs), i.AccessToken.Values(e.audience)
	if !i.Presented || takesAudience(required, has) {
		return nil
	}
	return auth.InvalidToken("token_audience", fmt.Errorf("audience of the subject token: expected %s, got %q",
		strings.Join(required, ", or "), has))
}

// actor returns the actor token: the configured one, or the one that the client sends.
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

// exchangeError returns the refusal of a request whose exchange failed: 401 if the authorization server refused the token.
func exchangeError(err error) error {
	if errors.Is(err, oidc.ErrRefused) {
		return auth.InvalidToken("token_exchange_refused", err)
	}
	return grantError("", err)
}

// identity returns the identity of the exchanged token, which is verified like a token that a client sends.
func (e *tokenExchange) identity(
	r *auth.Request, client *oidc.Client, subject *auth.Identity, t *oidc.TokenResponse,
) (*auth.Identity, error) {
	next := *t.Identity
	next.Flow, next.ClientID = subject.Flow, subject.ClientID
	next.IDToken, next.IDTokenJWK, next.Tokens.IDToken = subject.IDToken, subject.IDTokenJWK, subject.Tokens.IDToken
	next.Userinfo, next.UserinfoJWT = subject.Userinfo, subject.UserinfoJWT
	next.Tokens.RefreshToken = subject.Tokens.RefreshToken // the refresh token of the client or the session does not change
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

// replaceToken returns the result with the token of token_exchange_endpoint. The gate does not verify that token: policies
// see the claims of the token before.
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
