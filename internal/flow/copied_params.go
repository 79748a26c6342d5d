package flow

import (
	"net/http"
	"net/url"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// copiedParams are the names of parameters and headers that are copied from a client's request to a request to the
// authorization server.
type copiedParams struct {
	headers     []string // headers that are copied to headers
	args        []string // parameters of query or body, or headers of that name, that are copied to parameters
	argHeaders  []string // headers that are copied to parameters of that name
	readOptions          // bodies have parameters, if they are read
}

// maxCopied is the longest value that is copied, in bytes: values become parts of cache keys and requests.
const maxCopied = 4 << 10

// caller returns the client that causes a request to the authorization server, with the copied parameters.
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

// arg returns the first value of a parameter: from the query, from the body if the part reads bodies, or from a header.
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
