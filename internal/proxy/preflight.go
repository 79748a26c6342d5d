package proxy

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// passesUnjudged reports whether a request passes without authentication: its rule has auth: off, or it is a CORS preflight and the
// route lets those pass.
func (d *Decision) passesUnjudged() bool {
	d.open = d.Rule.Auth == authz.Off
	d.preflight = !d.open && d.Route.SkipPreflight && d.Preflight()
	return d.open || d.preflight
}

// checkUnjudged refuses what an upstream could run as something else than a preflight: a preflight passes by its method alone.
func (*Gate) checkUnjudged(d *Decision) error {
	if !d.preflight {
		d.notes.add("flow", "none: this rule lets everybody in")
		return nil
	}
	d.notes.add("flow", "none: a CORS preflight passes with run_on_preflight: false, without a body and without credentials")
	return checkMethodParam(d.URL.RawQuery)
}

// preflightHeaders are what a browser sends with a CORS preflight (Fetch, CORS-preflight fetch), besides its Sec-Fetch-* and Sec-CH-*.
// It has no body and no credential, so that what passes unseen can't be anything else.
var preflightHeaders = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Dnt", "Origin", "Pragma", "Priority", "Referer", "Sec-Gpc", "User-Agent",
	"Access-Control-Request-Method", "Access-Control-Request-Headers",
	"Access-Control-Request-Private-Network", "Access-Control-Request-Local-Network",
}

// onlyPreflight leaves of a request what a preflight is. The query goes on without credentials: a browser sends the whole address, in
// which an access token may stand.
func onlyPreflight(out *http.Request, credentials []string) {
	for name := range out.Header {
		if !slices.Contains(preflightHeaders, name) && !strings.HasPrefix(name, "Sec-Fetch-") && !strings.HasPrefix(name, "Sec-Ch-") {
			delete(out.Header, name)
		}
	}
	out.URL.RawQuery = withoutCredentials(out.URL.RawQuery, credentials)
	out.Body, out.ContentLength, out.TransferEncoding, out.Trailer = http.NoBody, 0, nil, nil
}

// withoutCredentials takes the pairs out of a query that some framework may read as one of the named parameters.
func withoutCredentials(query string, names []string) string {
	folded := make([]string, len(names))
	for n, name := range names {
		folded[n] = auth.FoldHeader(name)
	}
	credential := func(pair string) bool {
		return slices.ContainsFunc(strings.Split(pair, ";"), func(part string) bool {
			return slices.Contains(folded, strings.TrimRight(paramName(part), "-")) // access_token[] is one, too
		})
	}
	return strings.Join(slices.DeleteFunc(strings.Split(query, "&"), credential), "&")
}
