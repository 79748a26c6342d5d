package proxy

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// needsNoAuthentication reports whether a request passes without authentication: its rule has auth: off, or it is a CORS preflight on a
// route with run_on_preflight: false.
func (d *Decision) needsNoAuthentication() bool {
	d.authOff = d.Rule.Auth == authz.Off
	d.preflight = !d.authOff && d.Route.SkipPreflight && d.Preflight()
	return d.authOff || d.preflight
}

// checkOpen returns an error for a preflight with _method in its query: an upstream could run that method.
func (*Gate) checkOpen(d *Decision) error {
	if !d.preflight {
		d.trace.add("flow", "not asked: the rule has auth: off")
		return nil
	}
	d.trace.add("flow", "not asked: a CORS preflight passes with run_on_preflight: false, without a body and without credentials")
	return checkMethodParam(d.URL.RawQuery)
}

// preflightHeaders are the headers of a CORS preflight (Fetch, CORS-preflight fetch), besides Sec-Fetch-* and Sec-CH-*.
var preflightHeaders = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Dnt", "Origin", "Pragma", "Priority", "Referer", "Sec-Gpc",
	"User-Agent",
	"Access-Control-Request-Method", "Access-Control-Request-Headers",
	"Access-Control-Request-Private-Network", "Access-Control-Request-Local-Network",
}

// onlyPreflight removes from a request what a preflight doesn't have: a body, credentials, and other headers than preflightHeaders. The
// query loses its credentials, too: a browser sends the complete address, which may have an access token.
func onlyPreflight(out *http.Request, credentials []string) {
	for name := range out.Header {
		if !slices.Contains(preflightHeaders, name) && !strings.HasPrefix(name, "Sec-Fetch-") && !strings.HasPrefix(name, "Sec-Ch-") {
			delete(out.Header, name)
		}
	}
	out.URL.RawQuery = withoutCredentials(out.URL.RawQuery, credentials)
	out.Body, out.ContentLength, out.TransferEncoding, out.Trailer = http.NoBody, 0, nil, nil
}

// withoutCredentials removes the pairs from a query that a framework may parse as one of the named parameters.
func withoutCredentials(query string, names []string) string {
	folded := make([]string, len(names))
	for n, name := range names {
		folded[n] = auth.FoldHeader(name)
	}
	credential := func(pair string) bool {
		return slices.ContainsFunc(strings.Split(pair, ";"), func(part string) bool {
			return slices.Contains(folded, strings.TrimRight(paramName(part), "-")) // also access_token[]
		})
	}
	return strings.Join(slices.DeleteFunc(strings.Split(query, "&"), credential), "&")
}
