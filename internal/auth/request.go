package auth

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// A Request is a client's request as flows and policies see it. The router makes it, and it is not changed after that.
type Request struct {
	*http.Request
	Origin     string            // scheme://host as the client sees it
	AskedAt    string            // the origin in the request itself, if public_url is another; empty: Origin
	Hostname   string            // the host that chooses the route: lower case, without port, brackets and final dot
	Path       string            // decoded once: rules match the path that is forwarded
	RawPath    string            // the same, escaped, as it is forwarded
	Readings   []string          // other ways in which the upstream may read the path; only on routes that allow ambiguous paths
	ClientAddr netip.Addr        // by trusted_proxies; the zero Addr if it is unknown
	ClientCert *x509.Certificate // of the connection, or from a trusted proxy's header
	ID         string
	FromProxy  bool   // the connection is of a trusted proxy
	SentPath   string // the path as the client sent it, undecoded, with the prefix that a trusted proxy removed; empty: that of the URL

	cookies []*http.Cookie // parsed at the first use
	parsed  bool
	query   url.Values
	form    *Form
	bodyErr error // why the body could not be read
	number  uint64
}

// Number returns a random number, which is the same at each call. Unlike ID no client or proxy can choose it.
func (r *Request) Number() uint64 {
	for r.number == 0 {
		r.number = rand.Uint64()
	}
	return r.number
}

// SentURL returns the URL to which the client sent the request, as far as proofs name it: without the query.
func (r *Request) SentURL() string { return r.Origin + cmp.Or(r.SentPath, r.URL.EscapedPath()) }

// In is a place in a request.
type In string

// The places of credentials.
const (
	InHeader In = "header"
	InQuery  In = "query"
	InBody   In = "body"
	InCookie In = "cookie"
)

// A Param is the header, parameter or cookie that had a credential.
type Param struct {
	In   In
	Name string
}

// Client returns the client's address for logs and upstreams: "unknown" (RFC 7239 §6.2) if it is not known.
func (r *Request) Client() string {
	if !r.ClientAddr.IsValid() {
		return "unknown"
	}
	return r.ClientAddr.String()
}

// Target returns the path and the query as they are forwarded. Links and redirects to the same page use it, because they must have the same
// escapes.
func (r *Request) Target() string {
	path := cmp.Or(r.RawPath, r.URL.EscapedPath())
	if r.URL.RawQuery == "" && !r.URL.ForceQuery {
		return path
	}
	return path + "?" + r.URL.RawQuery
}

// Secure reports whether the client reached the gate over https.
func (r *Request) Secure() bool { return strings.HasPrefix(r.Origin, "https://") }

// CookieValues returns the values of all cookies with this name.
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

// maxCookies bounds the cookies of a request. Browsers store about 180 for one host; over HTTP/2 a client can send thousands in a few
// bytes.
const maxCookies = 500

// CheckCookies refuses a request with more than maxCookies. The rest can't be ignored, because the upstream would read it.
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

// AllCookies returns the request's cookies. It parses them once.
func (r *Request) AllCookies() []*http.Cookie {
	if !r.parsed {
		r.cookies, r.parsed = r.Request.Cookies(), true
	}
	return r.cookies
}

// Query returns the parameters of the query. It parses them once, and leaves out pairs that net/url can't parse.
func (r *Request) Query() url.Values {
	if r.query == nil {
		r.query, _ = url.ParseQuery(r.URL.RawQuery)
		if r.query == nil {
			r.query = url.Values{}
		}
	}
	return r.query
}

// Navigation reports whether a browser requests a page that it shows at the top level. A login begins only for such a request. Prefetches,
// frames, scripts, upgrades and unsafe methods are none (Fetch Metadata). With always, Accept need not have text/html.
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

// Opened reports whether the request is for a page at the top level, from any site, and not for a prefetch, script, image or frame (Fetch
// Metadata). It returns true for a client that sends no Fetch Metadata.
func (r *Request) Opened() bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return !r.prefetch() && (mode == "" || mode == "navigate") && (dest == "" || dest == "document")
}

// OpenedInFrame reports whether the request is for a page in a frame (Fetch Metadata).
func (r *Request) OpenedInFrame() bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return !r.prefetch() && r.Header.Get("Sec-Fetch-Mode") == "navigate" && (dest == "iframe" || dest == "frame")
}

// prefetch reports whether the request is a prefetch: by Sec-Purpose (Fetch), or by the headers of older browsers.
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

// MayChange reports whether the request may change something for the user whose cookie it carries, because no other site caused it (Fetch
// Metadata). A GET or HEAD must also be a navigation at the top level and no prefetch: scripts, images, frames, and clients that send no
// Fetch Metadata are refused. Other methods pass without Fetch Metadata, because other sites' requests have no cookie with SameSite=Lax.
func (r *Request) MayChange() bool {
	h := r.Header
	site := h.Get("Sec-Fetch-Site")
	own := site == "same-origin" || site == "none"
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return own || site == ""
	}
	return own && h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document" && !r.prefetch()
}

// Preflight reports whether the request is a CORS preflight (Fetch), which never carries a credential.
func (r *Request) Preflight() bool {
	h := r.Header
	return r.Method == http.MethodOptions && h.Get("Origin") != "" && h.Get("Access-Control-Request-Method") != ""
}

// WantsHTML reports whether Accept has text/html.
func (r *Request) WantsHTML() bool { return WantsHTML(r.Header) }

// WantsHTML reports whether the Accept of a request's header has text/html.
func WantsHTML(h http.Header) bool {
	for _, accept := range h.Values("Accept") {
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
