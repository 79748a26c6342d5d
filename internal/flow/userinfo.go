package flow

import (
	"context"
	"errors"
	"fmt"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// UserinfoClientSettings say when the userinfo endpoint is asked besides by the flow userinfo, and what of the caller's
// request goes along.
type UserinfoClientSettings struct {
	SearchUserInfo           bool     `yaml:"search_user_info" default:"false"` // after every flow, for claims that headers and policies want
	ResolveDistributedClaims bool     `yaml:"resolve_distributed_claims" default:"false"`
	UserinfoHeadersClient    []string `yaml:"userinfo_headers_client" group:"issuer"`
	UserinfoQueryArgsClient  []string `yaml:"userinfo_query_args_client" group:"issuer"`
}

// userinfo proves an access token by what the userinfo endpoint says of it (OIDC Core §5.3): that it is good, and whose it
// is, but not for whom it was issued.
type userinfo struct {
	clients *clients
	tokens  *tokenFinder
	params  copiedParams
}

var userinfoKind = Kind{
	Name: "userinfo", new: func(b *base, _ *Kind) auth.Flow { return b.userinfo }, role: proves, places: tokenPlaces, placesKey: tokenPlacesKey,
	schemes: tokenSchemes, judges: []tokenKind{jwts, opaqueTokens}, asks: oidc.Examination{Userinfo: true},
	check: checkUserinfo,
}

func newUserinfo(b *base) *userinfo {
	return &userinfo{clients: b.clients, tokens: b.tokens, params: copiedParams{
		headers: b.UserinfoHeadersClient, args: b.UserinfoQueryArgsClient, limit: int64(b.CredentialBodyLimit), bodies: b.bodies,
	}}
}

func (f *userinfo) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := f.tokens.of(r, &userinfoKind)
	if err != nil {
		return nil, err
	}
	if err := oidc.CheckUnread(token.value); err != nil {
		return nil, tokenError(err)
	}
	client := f.clients.of(r)
	u, err := f.ask(r, client, token.value)
	if err != nil {
		return nil, tokenError(err)
	}
	return f.tokens.result(token, &auth.Identity{
		Issuer: client.Issuer().URL(), Subject: u.Claims.String("sub"), Userinfo: u.Claims, UserinfoJWT: u.JWT,
		Tokens: auth.Tokens{AccessToken: token.value, TokenType: "Bearer"}, Presented: true,
	})
}

func (f *userinfo) ask(r *auth.Request, client *oidc.Client, accessToken string) (*oidc.Userinfo, error) {
	by, err := f.params.caller(r)
	if err != nil {
		return nil, err
	}
	return client.Userinfo(r.Context(), accessToken, by)
}

// search adds what userinfo says to what another flow has proved. It counts only if it is about the same person (OIDC Core
// §5.3.2).
func (f *userinfo) search(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	i := res.Identity
	if i == nil || i.Userinfo != nil || i.Tokens.AccessToken == "" || i.Issuer != f.clients.first().Issuer().URL() {
		return res, nil
	}
	u, err := f.ask(r, f.clients.ofIdentity(i), i.Tokens.AccessToken)
	switch {
	case errors.Is(err, oidc.ErrInactive): // a token without the scope openid, such as a program's: there is nothing to be known
		return res, nil
	case err != nil:
		return nil, tokenError(err)
	case u.Claims.String("sub") != i.Subject:
		return nil, auth.InvalidToken("userinfo_subject", errors.New("sub: userinfo is about somebody else than the token"))
	}
	more, out := *i, *res
	more.Userinfo, more.UserinfoJWT = u.Claims, u.JWT
	out.Identity = &more
	return &out, nil
}

// renewUserinfo asks userinfo with the access token of a refresh, where search_user_info asks it at all. While it can't be asked, the
// answer before stays; one about another subject ends the session (OIDC Core §5.3.2).
func (f *sessions) renewUserinfo(ctx context.Context, client *oidc.Client, i *auth.Identity) (*auth.Identity, error) {
	if !f.searches || i.Tokens.AccessToken == "" {
		return i, nil
	}
	u, err := client.UserinfoAgain(ctx, i.Tokens.AccessToken)
	renewed := *i
	switch {
	case errors.Is(err, oidc.ErrInactive), errors.Is(err, oidc.ErrNobody):
		renewed.Userinfo, renewed.UserinfoJWT = nil, ""
	case err != nil:
		f.log.Warn("userinfo can't be asked after a refresh, so what it said before stays", "issuer", i.Issuer, "sub", i.Subject, "error", err)
		return i, nil
	case u.Claims.String("sub") != i.Subject:
		f.log.Warn("session ended, because userinfo is about another subject", "issuer", i.Issuer, "sub", i.Subject)
		return nil, fmt.Errorf("%w: userinfo is about another subject", session.ErrEnded)
	default:
		renewed.Userinfo, renewed.UserinfoJWT = u.Claims, u.JWT
	}
	return &renewed, nil
}

func checkUserinfo(s *Settings, c check.Checker, x *kindContext) {
	c.Each("userinfo_headers_client", s.UserinfoHeadersClient, oidc.CheckUserinfoHeader)
	c.Each("userinfo_query_args_client", s.UserinfoQueryArgsClient, check.NotEmpty)
	if x.on && s.Client.UserinfoAccept == "application/json" && !x.AnyAudience {
		c.Complain("auth_methods", "userinfo doesn't say for whom a token was issued, so nobody could pass: use introspection, or have userinfo signed "+
			"(userinfo_accept: application/jwt), or write audience_required: any if every token of the issuer may pass")
	}
}
