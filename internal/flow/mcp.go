package flow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/mcp"
	"sallyport/internal/oidc"
)

// routeAt returns the route as a server with its first path.
func routeAt(v view, base string) *mcp.Route {
	route := *of[mcp.Route](v)
	route.Base = base
	return &route
}

// closesStreams reports whether a stream of an MCP server ends with its token.
func closesStreams(v view) bool { return of[mcp.Route](v).On && of[SessionSettings](v).CloseStreams }

// atEndpoints is a flow by which browsers log in, on a route that is an MCP server. It serves only the gate's own endpoints: at the server
// itself a cookie proves nothing, and no request begins a login.
type atEndpoints struct {
	auth.Flow
	authorize string // the path of the authorization endpoint
}

// onlyAtEndpoints returns a chain whose logins and sessions serve only endpoints.
func onlyAtEndpoints(chain auth.Chain, route *mcp.Route) auth.Chain {
	chain = slices.Clone(chain)
	for n := range chain {
		switch chain[n].Flow.(type) {
		case *sessions, *sessionFlow, *authorizationCode, *issuerLogins, sharedLogout:
			chain[n].Flow, chain[n].Steps = atEndpoints{chain[n].Flow, authserver.AuthorizePath(route)}, nil
		}
	}
	return chain
}

// Authenticate finds no credential.
func (atEndpoints) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

// Endpoints returns the endpoints of the flow.
func (f atEndpoints) Endpoints() []auth.Endpoint {
	if e, ok := f.Flow.(auth.Endpointer); ok {
		return e.Endpoints()
	}
	return nil
}

// Challenge begins a login for the authorization endpoint.
func (f atEndpoints) Challenge(r *auth.Request, l auth.Login) (*auth.Answer, error) {
	c, ok := f.Flow.(auth.Challenger)
	if !ok || r.Path != f.authorize {
		return nil, auth.ErrNoCredential
	}
	return c.Challenge(r, l)
}

// Review checks the headers of an answer as the flow does.
func (f atEndpoints) Review(r *auth.Request, header http.Header, forwarded bool) http.Header {
	if reviewer, ok := f.Flow.(auth.Reviewer); ok {
		return reviewer.Review(r, header, forwarded)
	}
	return header
}

// askAll returns a function that asks the provider of a login about its user (authserver.SiteConfig).
func askAll(bases []*builtPart) askFunc {
	return func(ctx context.Context, i *auth.Identity) (*auth.Identity, error) {
		for _, b := range bases {
			if b.issuer().URL() == i.Issuer && b.clients.byID(i.ClientID) != nil {
				return b.askProvider(ctx, i)
			}
		}
		return nil, fmt.Errorf("%w: the route has no issuer %s with the client %q any more", authserver.ErrGone, i.Issuer, i.ClientID)
	}
}

// askProvider asks the provider whether the user of a login is still there: by the refresh token, or by userinfo if the login has none.
func (b *builtPart) askProvider(ctx context.Context, i *auth.Identity) (*auth.Identity, error) {
	client := b.clients.byID(i.ClientID)
	if i.Tokens.RefreshToken == "" {
		return b.askUserinfo(ctx, client, i)
	}
	t, err := client.Refresh(ctx, i.Tokens)
	if errors.Is(err, oidc.ErrRefused) {
		return nil, fmt.Errorf("%w: %w", authserver.ErrGone, err)
	}
	if err != nil {
		return nil, err
	}
	renewed, err := client.Reissued(ctx, i, t.Tokens)
	switch {
	case oidc.IsOutage(err):
		return nil, err
	case err != nil: // the tokens may be about another subject (OIDC Core §12.2)
		return nil, fmt.Errorf("%w: the refreshed tokens don't verify: %w", authserver.ErrGone, err)
	}
	if b.searchUserinfo == nil {
		return renewed, nil
	}
	again, err := b.askUserinfo(ctx, client, renewed)
	if err != nil && !errors.Is(err, authserver.ErrGone) { // the refresh has answered the question
		return renewed, nil
	}
	return again, err
}

// askUserinfo asks with the access token. If that has expired the user can't be asked for, and must log in again.
func (b *builtPart) askUserinfo(ctx context.Context, client *oidc.Client, i *auth.Identity) (*auth.Identity, error) {
	if exp := i.Tokens.Expiry; i.Tokens.AccessToken == "" || !exp.IsZero() && !b.Now().Before(exp) {
		return nil, fmt.Errorf("%w: the login gave no refresh token, and its access token has expired: "+
			"ask the provider for refresh tokens, which many give for the scope offline_access", authserver.ErrGone)
	}
	u, err := client.RefreshedUserinfo(ctx, i.Tokens)
	switch {
	case errors.Is(err, oidc.ErrInactive):
		return nil, fmt.Errorf("%w: %w", authserver.ErrGone, err)
	case err != nil:
		return nil, err
	case u.Claims.String("sub") != i.Subject:
		return nil, fmt.Errorf("%w: userinfo is about another subject", authserver.ErrGone)
	}
	renewed := *i
	renewed.Userinfo, renewed.UserinfoJWT = u.Claims, u.JWT
	return &renewed, nil
}

// expiring watches an access token for a stream, which ends when the token expires.
type expiring struct{ at time.Time }

// Watch calls ended when the token expires.
func (e expiring) Watch(_ func() bool, ended func()) (stop func()) {
	t := time.AfterFunc(time.Until(e.at), ended)
	return func() { t.Stop() }
}

// endStreams returns the steps of a flow that verifies the access tokens of the provider, with one that ends streams when the token
// expires.
func (b *builtPart) endStreams(k *Kind, steps []auth.Step) []auth.Step {
	if k.role != roleToken || !closesStreams(b.base.view) {
		return steps
	}
	return append(steps, func(_ *auth.Request, res *auth.Result) (*auth.Result, error) {
		if res.Identity == nil || res.Identity.Tokens.Expiry.IsZero() || res.Watcher != nil {
			return res, nil
		}
		out := *res
		out.Watcher = expiring{res.Identity.Tokens.Expiry}
		return &out, nil
	})
}

// MCPMethods returns the auth_methods of an MCP server: those by which the built-in authorization server identifies users and verifies its
// tokens, or that by which tokens of the provider are verified.
func MCPMethods(byGate bool) []Method {
	if !byGate {
		return []Method{bearerKind.Name}
	}
	return []Method{authorizationCodeKind.Name, sessionKind.Name, kongOAuth2Kind.Name}
}
