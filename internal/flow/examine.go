package flow

import (
	"strings"

	"sallyport/internal/oidc"
)

// Examination is what the flows want of their authorization server. Base is the route's first path, origin its public_url, which
// may be empty.
func (s *Settings) Examination(base, origin string) oidc.Examination {
	e := oidc.Examination{
		Login: s.on("authorization_code"), Token: s.on("password") || s.on("client_credentials") || s.on("refresh_token"),
		Introspect: s.on("introspection") || s.IntrospectJWTTokens, Userinfo: s.on("userinfo") || s.SearchUserInfo,
	}
	configured := oidc.At(s.RedirectURI, 0)
	switch {
	case configured != "" && !strings.HasPrefix(configured, "/"):
		e.RedirectURI = configured
	case origin != "":
		e.RedirectURI = origin + CallbackPaths(s.RedirectURI, base)[0]
	}
	return e
}
