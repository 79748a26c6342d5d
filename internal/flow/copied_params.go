package flow

import (
	"net/http"
	"net/url"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// copiedParams are copied from a client's request into the gate's request to the authorization server.
type copiedParams struct {
	headers     []string // request headers that become headers
	args        []string // parameters of query or body, or headers of that name, that become parameters
	argHeaders  []string // request headers that become parameters of that name
	readOptions          // parameters may come from bodies that are read
}

// maxCopied bounds a copied value, in bytes: it goes into cache keys and requests.
const maxCopied = 4 << 10

// caller returns the client that causes a request to the authorization server, and what is copied from its own.
func (c *copiedParams) caller(r *auth.Request) (oidc.Caller, error) {
	caller := oidc.Caller{Address: r.ClientAddr}
	if len(c.headers)+len(c.args)+len(c.argHeaders) == 0 {
		return caller, nil
	}
	caller.Extra = oidc.Extra{Args: url.Values{}, Header: http.Header{}}
	for _, name := range c.headers {
		if v := r.Header.Get(name); v != "" && len(v) <= maxCopied {
			caller.Extra.Header.Set(name, v)
		}
	}
	for _, name := range c.argHeaders {
		if v := r.Header.Get(name); v != "" && len(v) <= maxCopied {
			caller.Extra.Args.Set(name, v)
		}
	}
	for _, name := range c.args {
		v, err := c.arg(r, name)
		if err != nil {
			return caller, err
		}
		if v != "" && len(v) <= maxCopied {
			caller.Extra.Args.Set(name, v)
		}
	}
	return caller, nil
}

// arg returns the first value of a parameter: of the query, of the body where the route reads bodies, of a header.
func (c *copiedParams) arg(r *auth.Request, name string) (string, error) {
	if v := r.Query().Get(name); v != "" {
		return v, nil
	}
	if c.fromBodies {
		form, err := r.Form(c.bodyLimit)
		if err != nil {
			return "", err
		}
		if v := form.Values.Get(name); v != "" {
			return v, nil
		}
	}
	return r.Header.Get(headerName(name)), nil
}
