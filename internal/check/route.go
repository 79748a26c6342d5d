package check

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A Route has the settings of a route that checks of other settings in it need.
type Route struct {
	Hosts     []string
	Paths     []string
	PublicURL string // empty: clients use the origin of the request
	Literal   Literal
}

// CheckRedirectURI checks the URI of a redirection endpoint, whose path the gate itself serves (RFC 6749 §3.1.2).
func (r *Route) CheckRedirectURI(text string) error {
	path := text
	if !strings.HasPrefix(text, "/") {
		u, err := ParseURL(text, "https", "http")
		if err != nil {
			return errors.New("expected an absolute URL such as https://app.example.com/oauth2/callback, " +
				"or a path such as /oauth2/callback")
		}
		if u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, "?#") {
			return errors.New("a redirect URI here can't have a query or a fragment: write it up to the ? or #")
		}
		if path = u.Path; path == "" {
			return errors.New("it has no path: write one that only logins use, such as /oauth2/callback")
		}
		if public := r.PublicURL; public != "" && public != u.Scheme+"://"+u.Host {
			return fmt.Errorf("a login begins and ends on one origin, and public_url is %s: write %s%s", public, public, path)
		}
		if len(r.Hosts) > 0 && !r.hasHost(u.Hostname()) {
			return errors.New("its host isn't among the hosts of the route: add it there, or write one of those")
		}
	}
	if path == "/" {
		return errors.New("the gate answers this path itself, so it can't be /: write /oauth2/callback")
	}
	if !r.Literal.Has("paths") && IsPathPattern(path) {
		return errors.New("the issuer redirects browsers to exactly this path, so it can't be a pattern or a list: " +
			"write one such as /oauth2/callback")
	}
	return Path(path)
}

func (r *Route) hasHost(host string) bool {
	return slices.ContainsFunc(r.Hosts, func(h string) bool { return HostCovers(h, host) })
}

// CheckSuffix checks the suffix of a path, which is compared literally.
func (r *Route) CheckSuffix(suffix string) error {
	if !r.Literal.Has("paths") && pathPattern.MatchString(suffix) || strings.ContainsAny(suffix, "?#%") ||
		strings.TrimSpace(suffix) != suffix {
		return errors.New("it is the literal, decoded end of a path, not a pattern: write one such as /logout")
	}
	return nil
}

// CheckDomain checks a cookie's Domain: a browser refuses a cookie whose domain doesn't have the host (RFC 6265 §5.3).
func (r *Route) CheckDomain(domain string) error {
	if err := CookieDomain(domain); err != nil {
		return err
	}
	hosts := r.Hosts
	if u, err := url.Parse(r.PublicURL); err == nil && u.Host != "" {
		hosts = []string{u.Hostname()} // browsers use public_url
	}
	for _, h := range hosts {
		if h = strings.TrimPrefix(h, "*."); h != domain && !strings.HasSuffix(h, "."+domain) {
			return fmt.Errorf("browsers refuse it from %s: write a domain that all hosts of the route are in", h)
		}
	}
	return nil
}

// RefusesSecure reports whether browsers refuse Secure cookies from the route, because public_url is http.
func (r *Route) RefusesSecure() bool {
	u, err := url.Parse(r.PublicURL)
	return err == nil && u.Host != "" && u.Scheme != "https" && !auth.Loopback(r.PublicURL)
}

// CheckPublicURL warns of a public_url whose host the route doesn't have.
func (r *Route) CheckPublicURL(c Checker) {
	u, err := url.Parse(r.PublicURL)
	if err == nil && u.Host != "" && len(r.Hosts) > 0 && !r.hasHost(u.Hostname()) {
		c.Warn("public_url", "hosts has no %s, so a request that comes with that Host header finds no route: add it, "+
			"unless the proxy in front sends another", u.Hostname())
	}
}
