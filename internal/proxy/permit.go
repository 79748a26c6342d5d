package proxy

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/auth"
)

// A Permit says what a proxy that forwards a request itself changes in it (forward-auth).
type Permit struct {
	// Set has the headers that the request for the upstream gets. Each replaces the client's lines of that name.
	Set http.Header
	// Remove lists headers of the client's request, as the client spelled them, that the upstream must not get.
	Remove []string
	// Response has the headers that the decision adds to the response for the client.
	Response http.Header
}

// forwardedNames are the X-Forwarded-* headers that upstreams are known to believe.
var forwardedNames = []string{
	"X-Forwarded-Access-Token", "X-Forwarded-By", "X-Forwarded-Client-Cert", "X-Forwarded-Email", "X-Forwarded-Groups",
	"X-Forwarded-Host", "X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-Port", "X-Forwarded-Preferred-Username",
	"X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Server",
	"X-Forwarded-Ssl", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info", "X-Forwarded-Uri",
	"X-Forwarded-Url", "X-Forwarded-User",
}

// permit returns what a proxy must change in a request that may pass. It returns an error if the request can only be forwarded by the gate
// itself: what the proxy can't change would reach the upstream. certificates are the headers that withoutCertificates has removed.
func (d *Decision) permit(certificates []string) (*Permit, error) {
	if err := d.assert(time.Now()); err != nil {
		return nil, err
	}
	if d.Route.Own != nil {
		return nil, onlyForwarded("the route has pages of the gate (console), which only the gate can serve")
	}
	hidden := d.hidden()
	if len(namesIn(hidden, auth.InQuery))+len(namesIn(hidden, auth.InBody)) > 0 || d.upstreamQuery != nil {
		return nil, onlyForwarded("the credential stands in the query or in the body, which forward-auth can't change")
	}
	if d.isResumed {
		return nil, onlyForwarded("the form was kept across the login, and only the gate could send it on")
	}
	if d.view().plan.proves(d.Identity) {
		return nil, onlyForwarded("the access token needs a proof for each request (upstream_dpop)")
	}
	in := d.Request.Header
	if upgradesHTTP(in) || in["Http2-Settings"] != nil {
		return nil, auth.Forbidden("upgrade_http", errors.New("an upgrade to another version of HTTP or to TLS: "+
			"further requests on that connection would pass the proxy without a question"))
	}
	h := d.upstreamHeader(in)
	p := &Permit{Set: h.set, Response: http.Header{}}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if h.removes(name) && h.set[name] == nil {
			p.Remove = append(p.Remove, name)
		}
	}
	p.Remove = append(p.Remove, certificates...)
	d.setCookie(p, h)
	delete(p.Set, "X-Forwarded-For") // the proxy appends to it
	addOwn(p.Response, d.headerNow())
	return p, nil
}

// setCookie sets the cookies that are for the upstream, or removes the header.
func (d *Decision) setCookie(p *Permit, h *upstreamHeader) {
	lines, found := d.Request.Header["Cookie"]
	if !found {
		return
	}
	rest := http.Header{"Cookie": slices.Clone(lines)}
	stripCookies(rest, h.removesCookie)
	if lines, found = rest["Cookie"]; found {
		p.Set["Cookie"] = lines
	} else {
		p.Remove = append(p.Remove, "Cookie")
	}
}

func onlyForwarded(why string) error {
	return auth.NotSetUp(errors.New(why + ": send the request through a listener without forward_auth"))
}

// An asked has what a gate knows for proxies that ask it. It is made at load.
type asked struct {
	permitNames, responseNames []string
	certificateNames           []string // see withoutCertificates
	cookieNames                []string
	ownPaths                   []OwnPath
	origins                    []string // see PublicOrigins
}

func newAsked(c *Config, common *common) asked {
	var origins []string
	for _, r := range c.Routes {
		if r.Origin != "" && !slices.Contains(origins, r.Origin) {
			origins = append(origins, r.Origin)
		}
	}
	return asked{
		origins:     origins,
		permitNames: newPermitNames(c.Routes), responseNames: newResponseNames(c.Routes), certificateNames: certificateNames(c.Routes),
		cookieNames: slices.Sorted(maps.Keys(common.cookies.names)), ownPaths: newOwnPaths(c.Routes, c.Endpoints),
	}
}

// PermitNames returns the headers that a Permit for any route can set or remove, in order: those that clients must not set, the
// credentials, and Cookie. A proxy that copies a fixed list of headers copies these. The caller must not change the list.
func (g *Gate) PermitNames() []string { return g.asked.permitNames }

// ResponseNames returns the headers that the Response of a Permit for any route can have, in order. The caller must not change the list.
func (g *Gate) ResponseNames() []string { return g.asked.responseNames }

func newPermitNames(routes []*Route) []string {
	all := map[string]bool{"Authorization": true, "Dpop": true, "Cookie": true, interactionHeader: true}
	add := func(names ...string) {
		for _, name := range names {
			all[canonical(name)] = true
		}
	}
	add(removedNames...)
	add(methodOverrides...)
	add(ownNames...)
	add(consumerNames...)
	add(forwardedNames...)
	add(configuredNames(routes)...)
	for _, r := range routes {
		add(r.CredentialHeaders...)
		for _, v := range r.allViews() {
			for _, f := range sessionFields(v.Headers.SessionRequestHeaders, "") {
				add(f.header)
			}
		}
	}
	delete(all, "")
	delete(all, "X-Forwarded-For")
	return slices.Sorted(maps.Keys(all))
}

// consumerNames are the headers of a consumer and a credential.
var consumerNames = []string{
	"X-Consumer-Id", "X-Consumer-Custom-Id", "X-Consumer-Username", "X-Consumer-Groups", "X-Credential-Identifier",
}

func newResponseNames(routes []*Route) []string {
	all := map[string]bool{"Set-Cookie": true, "Cache-Control": true, "Dpop-Nonce": true, interactionHeader: true}
	for _, r := range routes {
		for _, v := range r.allViews() {
			for _, f := range v.Headers.downstream() {
				all[f.header] = true
			}
			for _, f := range sessionFields(v.Headers.SessionResponseHeaders, v.Headers.Downstream.SessionIDHeader) {
				all[f.header] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// certificateNames returns the headers in which trusted proxies send the certificates of clients.
func certificateNames(routes []*Route) (all []string) {
	for _, r := range routes {
		for _, v := range r.allViews() {
			if name := canonical(v.CertificateHeader); name != "" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// withoutCertificates removes the headers with certificates of clients from a request that came by forward-auth: the proxies send a
// client's own headers there, so that a client could send the certificate of another one.
func (g *Gate) withoutCertificates(r *http.Request) *http.Request {
	for _, name := range g.asked.certificateNames {
		delete(r.Header, name)
	}
	return r
}

// ForUpstream returns a function that reports whether a header is one that clients must not send because upstreams may believe it: by its
// name alone, or because it is one of configured, which settings name for the upstream.
func ForUpstream(configured []string) func(name string) bool {
	return newNameSet(configured, false).has
}

// An OwnPath is a path that the gate answers itself, on the hosts of a route. Without hosts it is on every host.
type OwnPath struct {
	Route string
	Hosts []string
	Path  string
}

// OwnPaths returns the paths that the gate answers itself: a proxy in front of it sends requests for them to the gate. The caller must not
// change the list.
func (g *Gate) OwnPaths() []OwnPath { return g.asked.ownPaths }

// CookieNames returns the names of the gate's cookies besides those of logins that are under way, in order.
func (g *Gate) CookieNames() []string { return g.asked.cookieNames }

// PublicOrigins returns the public_url of the routes. The caller must not change the list.
func (g *Gate) PublicOrigins() []string { return g.asked.origins }

func newOwnPaths(routes []*Route, process []auth.Endpoint) (all []OwnPath) {
	for _, e := range process {
		all = append(all, OwnPath{Route: "sallyport", Path: e.Path})
	}
	for _, r := range routes {
		for _, e := range r.Chain.Endpoints() {
			if e.Path != "" {
				all = append(all, OwnPath{r.Name, r.Hosts, e.Path})
			}
		}
	}
	slices.SortFunc(all, func(a, b OwnPath) int { return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Path, b.Path)) })
	return slices.CompactFunc(all, func(a, b OwnPath) bool { return a.Route == b.Route && a.Path == b.Path })
}
