package flow

import (
	"net/http"
	"strings"

	"sallyport/internal/auth"
)

// A cookie is how one cookie of the gate is set (RFC 6265 §4.1.2). Over https its name gets the prefix that makes
// browsers refuse it from anybody else (RFC 6265bis §4.1.3): __Host-, or __Secure- where a domain or another path is set.
type cookie struct {
	name     string // without a prefix
	path     string
	domain   string
	sameSite http.SameSite
	httpOnly bool
	secure   *bool // nil: where the client came by https

	secureName string // with the prefix
}

func newCookie(name, path, domain, sameSite string, httpOnly bool, secure *bool) cookie {
	modes := map[string]http.SameSite{"Lax": http.SameSiteLaxMode, "Strict": http.SameSiteStrictMode, "None": http.SameSiteNoneMode}
	prefix := "__Secure-"
	if domain == "" && path == "/" {
		prefix = "__Host-"
	}
	return cookie{name: name, path: path, domain: domain, sameSite: modes[sameSite], httpOnly: httpOnly, secure: secure, secureName: prefix + name}
}

func (c *cookie) isSecure(r *auth.Request) bool {
	if c.secure != nil {
		return *c.secure
	}
	return r.Secure()
}

// fullName is the name on this request, with its prefix.
func (c *cookie) fullName(r *auth.Request) string {
	if c.isSecure(r) {
		return c.secureName
	}
	return c.name
}

// set adds a Set-Cookie, which is Secure where another site may cause it to be sent (RFC 6265bis §4.1.2.7): browsers take
// that on loopback without TLS, too. A negative maxAge (seconds) deletes it, zero lets it live as long as the browser.
func (c *cookie) set(h http.Header, r *auth.Request, name, value string, maxAge int) {
	line := &http.Cookie{
		Name: name, Value: value, Path: c.path, Domain: c.domain, MaxAge: maxAge,
		Secure: c.isSecure(r) || c.sameSite == http.SameSiteNoneMode, HttpOnly: c.httpOnly, SameSite: c.sameSite,
	}
	h.Add("Set-Cookie", line.String())
}

// safeReturn reports whether a path and query may follow an origin in a redirect: one slash, no other authority.
func safeReturn(requestURI string) bool {
	return strings.HasPrefix(requestURI, "/") && !strings.HasPrefix(requestURI, "//") && !strings.HasPrefix(requestURI, "/\\") &&
		!strings.ContainsAny(requestURI, "\r\n\t\\")
}
