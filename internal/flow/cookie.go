package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// A cookie has the attributes of one of the gate's cookies (RFC 6265 §4.1.2). Over https its name has a prefix, with which
// browsers reject it from other hosts or over http (RFC 6265bis §4.1.3): __Host-, or __Secure- if a domain or another path
// is set.
type cookie struct {
	name     string // without a prefix
	path     string
	domain   string
	sameSite http.SameSite
	httpOnly bool
	secure   *bool // nil: if the request uses https

	secureName string // with the prefix
}

// CookieSettings are the attributes of one of the gate's cookies (RFC 6265 §4.1.2).
type CookieSettings struct {
	Path     string `yaml:"path" default:"/"`
	Domain   string `yaml:"domain"`
	SameSite string `yaml:"same_site" default:"Lax" enum:"Default,Lax,None,Strict"`
	HTTPOnly bool   `yaml:"http_only" default:"true"`
	Secure   *bool  `yaml:"secure"` // default: if the request uses https
}

func newCookie(name string, s CookieSettings) cookie {
	modes := map[string]http.SameSite{"Lax": http.SameSiteLaxMode, "Strict": http.SameSiteStrictMode, "None": http.SameSiteNoneMode}
	prefix := "__Secure-"
	if s.Domain == "" && s.Path == "/" {
		prefix = "__Host-"
	}
	return cookie{
		name: name, path: s.Path, domain: s.Domain, sameSite: modes[s.SameSite], httpOnly: s.HTTPOnly, secure: s.Secure,
		secureName: prefix + name,
	}
}

func (c *cookie) isSecure(r *auth.Request) bool {
	if c.secure != nil {
		return *c.secure
	}
	return r.Secure()
}

// fullName returns the name on this request, with its prefix.
func (c *cookie) fullName(r *auth.Request) string {
	if c.isSecure(r) {
		return c.secureName
	}
	return c.name
}

// set adds a Set-Cookie header. With SameSite=None the cookie is always Secure (RFC 6265bis §4.1.2.7), which browsers also
// accept on loopback without TLS. A negative maxAge, in seconds, deletes the cookie; zero makes it a session cookie.
func (c *cookie) set(h http.Header, r *auth.Request, name, value string, maxAge int) {
	line := &http.Cookie{
		Name: name, Value: value, Path: c.path, Domain: c.domain, MaxAge: maxAge,
		Secure: c.isSecure(r) || c.sameSite == http.SameSiteNoneMode, HttpOnly: c.httpOnly, SameSite: c.sameSite,
	}
	h.Add("Set-Cookie", line.String())
}

// safeReturn reports whether a path and query may follow an origin in a redirect: they begin with one slash and name no
// authority.
func safeReturn(requestURI string) bool {
	return strings.HasPrefix(requestURI, "/") && !strings.HasPrefix(requestURI, "//") && !strings.HasPrefix(requestURI, "/\\") &&
		!strings.ContainsAny(requestURI, "\r\n\t\\")
}

// check reports mistakes in the attributes. The keys of the settings begin with prefix.
func (s *CookieSettings) check(c check.Checker, prefix string, r *check.Route) {
	c.One(prefix+"path", s.Path, check.CookiePath)
	c.One(prefix+"domain", s.Domain, r.CheckDomain)
	off := s.Secure != nil && !*s.Secure
	c.Must(prefix+"same_site", s.SameSite != "None" || !off,
		"browsers refuse None without Secure: write Lax, or take %ssecure: false out", prefix)
	if off {
		c.Warn(prefix+"secure", "the cookie travels in the clear where a page is requested over http")
	}
	c.Must(prefix+"secure", s.Secure == nil || off || !r.RefusesSecure(),
		"browsers refuse Secure cookies at %s: take it out, or write a public_url with https", r.PublicURL)
}

// reaches reports whether a browser sends the cookie with a request for a path.
func (s *CookieSettings) reaches(path string) bool {
	return s.Path == "/" || check.PathCovers(s.Path, path)
}

// maxCookies is how many cookies of one name are tried: another host of the domain may have set one.
const maxCookies = 4

// loginDigest returns 8 hex digits that identify an issuer, a client and an audience.
func loginDigest(issuer, clientID, audience string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{issuer, clientID, audience}, "\x00")))
	return hex.EncodeToString(sum[:4])
}
