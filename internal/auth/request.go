package auth

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// A Request is one client request as the gate judges it. Match makes it; nobody changes it after.
type Request struct {
	*http.Request
	Origin     string            // scheme://host as the client sees it
	AskedAt    string            // the origin that the request itself names; public_url may be another; empty: Origin
	Hostname   string            // by which the route is found: lower case, without port, brackets and final dot
	Path       string            // decoded once: what is judged is what is sent
	RawPath    string            // the same as it is sent: escaped
	Readings   []string          // the other ways in which the upstream may read the path: only where its route allows a trick
	ClientAddr netip.Addr        // after trusted_proxies; the zero Addr if it is unknown, which is nobody's
	ClientCert *x509.Certificate // from the listener or a trusted proxy's header
	ID         string

	cookies []*http.Cookie // parsed at the first use
	parsed  bool
	query   url.Values
	form    *Form
	bodyErr error // why the body could not be read whole
}

// In is where in a request something stands.
type In string

// The places of credentials.
const (
	InHeader In = "header"
	InQuery  In = "query"
	InBody   In = "body"
	InCookie In = "cookie"
)

// A Param is a place in a request that held a credential.
type Param struct {
	In   In
	Name string
}

// Client returns the client's address for logs and upstreams; "unknown" (RFC 7239 §6.2) if nobody has said what it is.
func (r *Request) Client() string {
	if !r.ClientAddr.IsValid() {
		return "unknown"
	}
	return r.ClientAddr.String()
}

// Target returns the path and the query as they are sent to the upstream. It is what a link or a redirect to the same page holds: an
// escape that came as one must come back as one.
func (r *Request) Target() string {
	path := cmp.Or(r.RawPath, r.URL.EscapedPath())
	if r.URL.RawQuery == "" && !r.URL.ForceQuery {
		return path
	}
	return path + "?" + r.URL.RawQuery
}

// Secure reports whether the client reached the gate over https.
func (r *Request) Secure() bool { return strings.HasPrefix(r.Origin, "https://") }

// CookieValues returns the values of every cookie with this name: a client can send several.
func (r *Request) CookieValues(name string) []string {
	if len(r.Header["Cookie"]) == 0 {
		return nil
	}
	var values []string
	for _, c := range r.AllCookies() {
		if c.Name == name {
			values = append(values, c.Value)
		}
	}
	return values
}

// maxCookies bounds the cookies of a request. Browsers keep about 180 for one host; over HTTP/2 a client can send thousands in
// a few bytes.
const maxCookies = 500

// CheckCookies refuses a request with more cookies than are looked at: what the gate doesn't see the upstream would.
func (r *Request) CheckCookies() error {
	n := len(r.Header["Cookie"])
	for _, line := range r.Header["Cookie"] {
		if n += strings.Count(line, ";"); n > maxCookies {
			return &Error{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "too_many_cookies",
				Description: "The request has too many cookies.", Err: fmt.Errorf("more than %d cookies", maxCookies)}
		}
	}
	return nil
}

// AllCookies returns the request's cookies, parsed once.
func (r *Request) AllCookies() []*http.Cookie {
	if !r.parsed {
		r.cookies, r.parsed = r.Request.Cookies(), true
	}
	return r.cookies
}

// Query returns the query's parameters, parsed once. Pairs that net/url can't read are left out.
func (r *Request) Query() url.Values {
	if r.query == nil {
		r.query, _ = url.ParseQuery(r.URL.RawQuery)
		if r.query == nil {
			r.query = url.Values{}
		}
	}
	return r.query
}

// Navigation reports whether a person's browser asked for a page that it will show at the top level: the only kind of
// request for which a login begins. Prefetches, frames, scripts, upgrades and unsafe methods are none (Fetch Metadata). With
// always it needn't say that it reads HTML.
func (r *Request) Navigation(always bool) bool {
	h := r.Header
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !always && !r.WantsHTML() {
		return false
	}
	if h.Get("Upgrade") != "" || strings.EqualFold(h.Get("X-Requested-With"), "XMLHttpRequest") {
		return false
	}
	return r.Opened()
}

// Opened reports whether a browser opens the address as a page at the top level, whatever site it comes from: no prefetch,
// script, picture or frame says so (Fetch Metadata). A client that sends no Fetch Metadata passes.
func (r *Request) Opened() bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return !r.prefetch() && (mode == "" || mode == "navigate") && (dest == "" || dest == "document")
}

// OpenedInFrame reports whether a browser says that it opens the address as a page in a frame.
func (r *Request) OpenedInFrame() bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return !r.prefetch() && r.Header.Get("Sec-Fetch-Mode") == "navigate" && (dest == "iframe" || dest == "frame")
}

// prefetch reports whether the browser asks ahead, for a page that nobody has opened yet: by Sec-Purpose (Fetch), or by the
// names that older browsers give it.
func (r *Request) prefetch() bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		for _, purpose := range r.Header.Values(name) {
			if purpose = strings.ToLower(purpose); strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "prerender") {
				return true
			}
		}
	}
	return false
}

// MayChange reports whether the request may change something for the person whose cookie it carries: no other site caused
// it (Fetch Metadata). A GET or HEAD must besides be a navigation at the top level that is no prefetch, and must say so; a
// script, a picture and a frame are refused, as is a client that sends no Fetch Metadata. Other methods without Fetch
// Metadata pass, because SameSite=Lax keeps the cookie from foreign ones.
func (r *Request) MayChange() bool {
	h := r.Header
	site := h.Get("Sec-Fetch-Site")
	own := site == "same-origin" || site == "none"
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return own || site == ""
	}
	return own && h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document" && !r.prefetch()
}

// Preflight reports whether a browser asks by this request what a script may ask (Fetch, CORS-preflight): it never carries
// a credential.
func (r *Request) Preflight() bool {
	h := r.Header
	return r.Method == http.MethodOptions && h.Get("Origin") != "" && h.Get("Access-Control-Request-Method") != ""
}

// WantsHTML reports whether the client reads HTML pages: its Accept names text/html.
func (r *Request) WantsHTML() bool {
	for _, accept := range r.Header.Values("Accept") {
		if strings.Contains(strings.ToLower(accept), "text/html") {
			return true
		}
	}
	return false
}

// Loopback reports whether the host of an origin (scheme://host[:port]) names this machine.
func Loopback(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
