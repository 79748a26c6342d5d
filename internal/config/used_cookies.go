package config

import (
	"slices"
	"strings"

	"sallyport/internal/oidc"
)

// usedCookies has the uses of one cookie name. It finds those with which another use can conflict without comparing all of them, because
// thousands of routes may have one name: uses with the same settings never conflict, nor do those for different hosts.
type usedCookies struct {
	kinds  map[cookieKind][]*cookieUse // the first use of each kind and settings
	byHost map[string][]*cookieUse     // by an exact host, the first use of each kind and settings
	broad  []*cookieUse                // those for wildcards, for every host, or with session_cookie_domain
	all    []*cookieUse
}

// A cookieKind says whose session a cookie holds.
type cookieKind struct {
	issuer, client string
	chunk          int
}

func newUsedCookies() *usedCookies {
	return &usedCookies{kinds: map[cookieKind][]*cookieUse{}, byHost: map[string][]*cookieUse{}}
}

// add adds a use, and returns the uses before it that may be for the same hosts and have other settings.
func (c *usedCookies) add(u *cookieUse) (others []*cookieUse) {
	u.like = c.first(u)
	hosts := u.exactHosts()
	candidates := [][]*cookieUse{c.all}
	if hosts != nil {
		candidates = [][]*cookieUse{c.broad}
		for _, h := range hosts {
			candidates = append(candidates, c.byHost[h])
		}
	}
	for _, list := range candidates {
		for _, o := range list {
			if o.like != u.like {
				others = append(others, o)
			}
		}
	}
	c.insert(u, hosts)
	return others
}

// first returns the first use with the settings of u, which is u itself if there is none before it.
func (c *usedCookies) first(u *cookieUse) *cookieUse {
	kind := cookieKind{oidc.IssuerOf(u.part.OIDC.Flow.Client.Issuer), u.client, u.chunk}
	for _, o := range c.kinds[kind] {
		if u.chunk > 0 || !slices.ContainsFunc(sharedBySessions(&u.part.OIDC.Flow, &o.part.OIDC.Flow), comparison.differs) {
			return o
		}
	}
	c.kinds[kind] = append(c.kinds[kind], u)
	return u
}

func (c comparison) differs() bool { return !c.equal }

// insert stores a use for the exact hosts; nil are others.
func (c *usedCookies) insert(u *cookieUse, hosts []string) {
	c.all = append(c.all, u)
	if hosts == nil {
		c.broad = append(c.broad, u)
	}
	for _, h := range hosts {
		if !slices.ContainsFunc(c.byHost[h], func(o *cookieUse) bool { return o.like == u.like }) {
			c.byHost[h] = append(c.byHost[h], u)
		}
	}
}

// exactHosts returns the hosts to which a browser sends the cookie, or nil if these aren't a list of names.
func (u *cookieUse) exactHosts() []string {
	hosts := u.part.browserHosts()
	if u.part.OIDC.Flow.SessionCookie.Domain != "" ||
		slices.ContainsFunc(hosts, func(h string) bool { return strings.HasPrefix(h, "*") }) {
		return nil
	}
	var exact []string
	for _, h := range hosts {
		exact = append(exact, strings.ToLower(h))
	}
	return exact
}
