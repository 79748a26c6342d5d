package flow

import (
	"log/slog"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// distributed adds distributed claims (OIDC Core §5.6.2) to an identity.
type distributed struct {
	clients *clients
	log     *slog.Logger
}

// resolve adds the claims to the result. It refuses no request: a claim that cannot be resolved is absent, and a policy that
// requires it refuses.
func (d *distributed) resolve(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	i := res.Identity
	if i == nil || i.Issuer != d.clients.first().Issuer().URL() {
		return res, nil
	}
	if !oidc.HasDistributed(i.AccessToken) && !oidc.HasDistributed(i.IDToken) &&
		!oidc.HasDistributed(i.Userinfo) && !oidc.HasDistributed(i.Introspection) {
		return res, nil
	}
	out, more := *res, *i
	for _, set := range []*auth.Claims{&more.AccessToken, &more.IDToken, &more.Userinfo, &more.Introspection} {
		if oidc.HasDistributed(*set) {
			*set = d.of(r, i, *set)
		}
	}
	out.Identity = &more
	return &out, nil
}

func (d *distributed) of(r *auth.Request, i *auth.Identity, claims auth.Claims) auth.Claims {
	accessToken := ""
	if !i.Presented { // a token that a client sent isn't for the endpoint of groups
		accessToken = i.Tokens.AccessToken
	}
	all, err := d.clients.forIdentity(i).ResolveClaims(r.Context(), claims, accessToken, oidc.Caller{Address: r.ClientAddr})
	if err != nil {
		d.log.Warn("distributed claims are missing", "request_id", r.ID, "error", err)
	}
	return all
}
