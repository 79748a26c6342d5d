package forwardauth

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/proxy"
)

// The paths of oauth2-proxy that nginx configurations use, besides oauth2/callback, which is the gate's own path.
const (
	oauth2Auth    = "/oauth2/auth"     // a question: 202 or 401
	oauth2Start   = "/oauth2/start"    // a login; rd is where it ends
	oauth2SignIn  = "/oauth2/sign_in"  // a page with a link to it
	oauth2SignOut = "/oauth2/sign_out" // a logout
)

// serveOAuth2Proxy answers nginx configurations that were written for oauth2-proxy. Their questions don't reliably have the path of the
// client's request, so that all of a route's requests are judged alike: as a GET of its root.
func (h *handler) serveOAuth2Proxy(w http.ResponseWriter, r *http.Request) {
	if !h.trusts(r) {
		h.refuse(w, r, "its address isn't in trusted_proxies")
		return
	}
	origin := h.originOf(r)
	c := h.client(r, r.Method, r.RequestURI, origin)
	c.Body, c.ContentLength, c.TransferEncoding = r.Body, r.ContentLength, r.TransferEncoding
	switch r.URL.Path {
	case oauth2Auth:
		h.judge(w, r, origin)
	case oauth2Start:
		h.start(w, r, origin)
	case oauth2SignIn:
		h.Gate().Show(w, c, http.StatusForbidden, auth.Page{
			Title: "Log in", Text: "This page needs a login.", Action: "Log in",
			Link: oauth2Start + "?" + url.Values{"rd": {wanted(r)}}.Encode(),
		})
	case oauth2SignOut:
		c.URL, c.RequestURI = &url.URL{Path: "/oauth2/logout"}, "/oauth2/logout"
		h.Gate().Answer(w, c, false)
	default:
		h.Gate().Answer(w, c, false)
	}
}

// originOf returns the public_url of the route for the Host of a request, or http://Host if no route has it.
func (h *handler) originOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	for _, origin := range h.Gate().PublicOrigins() {
		if u, err := url.Parse(origin); err == nil && strings.EqualFold(u.Hostname(), host) {
			return origin
		}
	}
	return "http://" + r.Host
}

// client returns a request of the client to an origin.
func (h *handler) client(r *http.Request, method, uri, origin string) *http.Request {
	scheme, host, _ := strings.Cut(origin, "://")
	q := &question{method: method, scheme: scheme, host: host, uri: uri, client: r.Header["X-Forwarded-For"], header: r.Header}
	if address := r.Header["X-Real-Ip"]; len(address) == 1 {
		q.client = address
	}
	c, err := q.request(r)
	if err != nil { // the target isn't a path
		q.uri = "/"
		c, _ = q.request(r)
	}
	h.dropID(c)
	return c
}

// judge answers 202 with the headers X-Auth-Request-*, or 401. A client can ask this itself. So the answer doesn't have the other headers
// for the upstream, such as the access token.
func (h *handler) judge(w http.ResponseWriter, r *http.Request, origin string) {
	asked, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		h.refuse(w, r, err.Error())
		return
	}
	for name := range asked {
		if strings.HasPrefix(name, "allowed_") {
			h.refuse(w, r, fmt.Sprintf("the question requires %s, which the gate doesn't read: "+
				"write groups_required, roles_required or domains in the route's oidc block", name))
			return
		}
	}
	permit := func(w http.ResponseWriter, p *proxy.Permit) error {
		for name, lines := range p.Set {
			if strings.HasPrefix(name, "X-Auth-Request-") {
				w.Header()[name] = lines
			}
		}
		(&answer{Permit: p, Dialect: h.Dialect}).respond(w.Header())
		w.Header().Set("X-Accel-Expires", "0")
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	if !h.Gate().Judge(w, h.client(r, http.MethodGet, "/", origin), false, permit) {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// start begins a login that ends at the page of rd. If the user is logged in, that is at once. A login begins and ends on one origin, so
// the browser is first sent to that of rd.
func (h *handler) start(w http.ResponseWriter, r *http.Request, origin string) {
	at, uri := h.target(wanted(r), origin)
	if at != origin {
		http.Redirect(w, r, at+oauth2Start+"?"+url.Values{"rd": {uri}}.Encode(), http.StatusFound)
		return
	}
	h.Gate().Ask(w, h.client(r, http.MethodGet, uri, origin), func(w http.ResponseWriter, p *proxy.Permit) error {
		(&answer{Permit: p, Dialect: h.Dialect}).respond(w.Header())
		w.Header().Set("Location", origin+uri)
		w.WriteHeader(http.StatusFound)
		return nil
	})
}

// wanted returns the page that the user wants, as a client or the proxy named it.
func wanted(r *http.Request) string {
	if rd := r.URL.Query().Get("rd"); rd != "" {
		return rd
	}
	return r.Header.Get("X-Auth-Request-Redirect")
}

// target returns origin and request target of a page, which must be on the origin or on that of another route. Any other is the root of the
// origin, and so are the gate's own paths.
func (h *handler) target(page, origin string) (at, uri string) {
	u, err := url.Parse(page)
	if err != nil || u.User != nil || u.Opaque != "" || strings.ContainsAny(page, "\\\x00\r\n\t") {
		return origin, "/"
	}
	at = origin
	if u.Scheme != "" || u.Host != "" {
		at = strings.ToLower(u.Scheme + "://" + u.Host)
		if !slices.Contains(h.Gate().PublicOrigins(), at) {
			return origin, "/"
		}
	}
	uri = (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).RequestURI()
	if !strings.HasPrefix(uri, "/") || strings.HasPrefix(uri, "//") || strings.HasPrefix(u.Path, "/oauth2/") {
		uri = "/"
	}
	return at, uri
}
