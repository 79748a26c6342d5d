package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// UserinfoClientSettings say when userinfo is requested after other flows, and what is copied from the client's request to
// the userinfo request.
type UserinfoClientSettings struct {
	SearchUserInfo           bool     `yaml:"search_user_info" default:"false"` // request userinfo after every flow
	ResolveDistributedClaims bool     `yaml:"resolve_distributed_claims" default:"false"`
	UserinfoHeadersClient    []string `yaml:"userinfo_headers_client" group:"issuer"`
	UserinfoQueryArgsClient  []string `yaml:"userinfo_query_args_client" group:"issuer"`
}

// userinfo verifies an access token with the userinfo endpoint (OIDC Core §5.3). The response has the subject of a valid
// token, but not its audience.
type userinfo struct {
	clients *clients
	tokens  *tokenFinder
	params  copiedParams
}

var userinfoKind = Kind{
	Name: "userinfo", role: roleToken, places: tokenPlaces, placesKey: tokenPlacesKey,
	schemes: tokenSchemes, verifies: []tokenKind{jwts, opaqueTokens}, requires: oidc.Examination{Userinfo: true},
	check: checkUserinfo,
}

func newUserinfo(b *base) *userinfo {
	s := of[UserinfoClientSettings](b.view)
	return &userinfo{clients: b.clients, tokens: b.tokens, params: copiedParams{
		headers: s.UserinfoHeadersClient, args: s.UserinfoQueryArgsClient, readOptions: b.readOptions,
	}}
}

func (f *userinfo) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := f.tokens.tokenFor(r, &userinfoKind)
	if err != nil {
		return nil, err
	}
	if err := oidc.CheckUnread(token.value); err != nil {
		return nil, tokenError(err)
	}
	client := f.clients.chosen(r)
	u, err := f.fetch(r, client, auth.Tokens{AccessToken: token.value})
	if err != nil {
		return nil, tokenError(err)
	}
	return f.tokens.result(r, &userinfoKind, token, &auth.Identity{
		Issuer: client.Issuer().URL(), Subject: u.Claims.String("sub"), Userinfo: u.Claims, UserinfoJWT: u.JWT,
		Tokens: auth.Tokens{AccessToken: token.value, TokenType: "Bearer"}, Presented: true,
	})
}

func (f *userinfo) fetch(r *auth.Request, client *oidc.Client, t auth.Tokens) (*oidc.Userinfo, error) {
	caller, err := f.params.caller(r)
	if err != nil {
		return nil, err
	}
	return client.Userinfo(r.Context(), t, caller)
}

// search adds the userinfo response to the identity of another flow. It must be about the same subject (OIDC Core §5.3.2). If an
// introspection response has no sub, the userinfo response's counts: the authorization server says both of one token.
func (f *userinfo) search(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	i := res.Identity
	if i == nil || i.Userinfo != nil || i.Tokens.AccessToken == "" || i.Issuer != f.clients.first().Issuer().URL() {
		return res, nil
	}
	u, err := f.fetch(r, f.clients.forIdentity(i), i.Tokens)
	switch {
	case errors.Is(err, oidc.ErrInactive): // a token without the scope openid, such as that of a client credentials grant, has no userinfo
		return res, nil
	case err != nil:
		return nil, tokenError(err)
	case u.Claims.String("sub") != i.Subject && (i.Subject != "" || i.Introspection == nil):
		return nil, auth.InvalidToken("userinfo_subject", errors.New("sub: userinfo is about another subject than the token"))
	}
	more, out := *i, *res
	more.Userinfo, more.UserinfoJWT, more.Subject = u.Claims, u.JWT, u.Claims.String("sub")
	out.Identity = &more
	return &out, nil
}

func checkUserinfo(v view, c check.Checker, x *kindContext) {
	s := of[UserinfoClientSettings](v)
	c.Each("userinfo_headers_client", s.UserinfoHeadersClient, oidc.CheckUserinfoHeader)
	c.Each("userinfo_query_args_client", s.UserinfoQueryArgsClient, check.NotEmpty)
	c.Must("groups_overage_endpoint", s.ResolveDistributedClaims || of[oidc.GroupsOverageSettings](v).GroupsOverageEndpoint == "",
		"the groups are claims that the token only refers to: add resolve_distributed_claims: true")
	if x.on && of[oidc.UserinfoSettings](v).UserinfoAccept == "application/json" && !x.anyAudience {
		c.Complain("auth_methods", "userinfo doesn't name the audience of a token, so no token could pass: "+
			"use introspection, or have userinfo signed (userinfo_accept: application/jwt), "+
			"or write audience_required: any if every token of the issuer may pass")
	}
}
