package flow

import (
	"errors"
	"net/textproto"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A search is what holds wherever flows look for credentials.
type readOptions struct {
	fromBodies     bool     // a flow that is on reads bodies
	bodyLimit      int64    // of a body that is read, in bytes
	trustedOrigins []string // trusted_origins
}

// places are where in a request a flow looks for its credential.
type places struct {
	header, query, body, cookie bool
	readOptions
}

func newPlaces(types []string, s readOptions) places {
	has := func(in auth.In) bool { return slices.Contains(types, string(in)) }
	return places{
		header: has(auth.InHeader), query: has(auth.InQuery), body: has(auth.InBody), cookie: has(auth.InCookie),
		readOptions: s,
	}
}

// A credential is one value and where it stood.
type credential struct {
	value string
	at    auth.Param
	jws   bool // an access token that has a JWT's form
}

// params returns the values of a parameter in the query and the body.
func (p *places) params(r *auth.Request, name string) ([]credential, error) {
	var all []credential
	if p.query && r.URL.RawQuery != "" {
		for _, v := range r.Query()[name] {
			all = append(all, credential{value: v, at: auth.Param{In: auth.InQuery, Name: name}})
		}
	}
	if p.body {
		form, err := r.Form(p.bodyLimit)
		if err != nil {
			return nil, err
		}
		for _, v := range form.Values[name] {
			all = append(all, credential{value: v, at: auth.Param{In: auth.InBody, Name: name}})
		}
	}
	return all, nil
}

// named returns the values of a parameter in a header of that name, where _ is - , the query and the body.
func (p *places) named(r *auth.Request, name string) ([]credential, error) {
	all, err := p.params(r, name)
	if err != nil || !p.header {
		return all, err
	}
	header := headerName(name)
	for _, v := range r.Header[header] {
		all = append(all, credential{value: v, at: auth.Param{In: auth.InHeader, Name: header}})
	}
	return all, nil
}

func headerName(name string) string {
	return textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// one is the value of a list of at most one; a credential that stands in two places is refused, because the next server
// could take the other (RFC 6750 §2).
func single(all []credential) (f credential, ok bool, err error) {
	switch len(all) {
	case 0:
		return f, false, nil
	case 1:
		return all[0], all[0].value != "", nil
	}
	return f, false, errTwice
}

var errTwice = auth.InvalidRequest("credential_twice", errors.New("the request has the same credential in two places, or twice in one"))

// used are the places of a credential.
func paramsOf(all ...credential) []auth.Param {
	if len(all) == 1 && all[0].at == authorization {
		return inAuthorization
	}
	places := make([]auth.Param, len(all))
	for i := range all {
		places[i] = all[i].at
	}
	return places
}

// authorization is where most credentials stand.
var (
	authorization   = auth.Param{In: auth.InHeader, Name: "Authorization"}
	inAuthorization = []auth.Param{authorization} // nobody writes into it
)
