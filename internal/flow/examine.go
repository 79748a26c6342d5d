package flow

import (
	"strings"

	"sallyport/internal/oidc"
)

// Examination is what the flows want of their authorization server. Base is the route's first path, origin its public_url, which
// may be empty.
func (s *Settings) Examination(base, origin string) oidc.Examination {
	e := oidc.Examination{Introspect: s.IntrospectJWTTokens, Userinfo: s.SearchUserInfo}
	for _, k := range s.kindsOn() {
		e = e.And(k.asks)
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
