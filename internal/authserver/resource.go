package authserver

import (
	"net/url"
	"strings"

	"sallyport/internal/auth"
)

var errTarget = refuse("invalid_target", "The resource isn't the one that this server issues tokens for.")

// resource returns the resource of a request, for the audience of its tokens (RFC 8707 §2): the route, which is its origin and its first
// path, if the parameter resource names it, or "" without that parameter. Another resource is refused, because a token for it would be
// accepted elsewhere. On an MCP server a client that names none means the route.
func (s *Site) resource(r *auth.Request, p params) (string, error) {
	asked := p["resource"]
	own := s.Route.URL(r)
	switch {
	case asked == "" && s.Route.On:
		return own, nil
	case asked == "":
		return "", nil
	}
	for each := range strings.SplitSeq(asked, " ") { // parseParams joins them
		if !sameResource(each, own) {
			return "", errTarget.because("resource is " + asked[:min(len(asked), maxRedirectURI)] + ", expected " + own)
		}
	}
	return own, nil
}

// exchanged returns the resource of the tokens for which a code or a refresh token is exchanged: that of the authorization, or if it had
// none, that of the request.
func (s *Site) exchanged(r *auth.Request, was *record, p params) (string, error) {
	asked, err := s.resource(r, p)
	if err != nil || was.Resource == "" {
		return asked, err
	}
	if asked != "" && asked != was.Resource {
		return "", errTarget.because("the authorization is for " + was.Resource)
	}
	return was.Resource, nil
}

// sameResource reports whether a client means a resource. Its host may have another case, and a final slash is forgiven: clients derive the
// identifier from a URL that a user has typed.
func sameResource(asked, own string) bool {
	u, err := url.Parse(asked)
	if err != nil || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(asked, "#") {
		return false
	}
	origin := strings.ToLower(u.Scheme + "://" + u.Host)
	switch u.Scheme {
	case "https":
		origin = strings.TrimSuffix(origin, ":443")
	case "http":
		origin = strings.TrimSuffix(origin, ":80")
	}
	return origin+strings.TrimSuffix(u.EscapedPath(), "/") == own
}
