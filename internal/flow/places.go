package flow

import (
	"errors"
	"net/textproto"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/dpop"
)

// A readOptions has the limits that all flows of a part observe when they read credentials.
type readOptions struct {
	fromBodies     bool     // whether a flow that is on reads request bodies
	bodyLimit      int64    // of a request body, in bytes
	trustedOrigins []string // trusted_origins
}

// places are where a flow reads its credential from.
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

// A credential is a value, and where the request carries it.
type credential struct {
	value string
	at    auth.Param
	jws   bool // whether it is an access token in the form of a JWT
	dpop  bool // whether it is an access token under the scheme DPoP
	proof *dpop.Proof
}

// credentials returns the values of the header, parameter or cookie of a name.
func credentials(in auth.In, name string, values []string) (all []credential) {
	for _, v := range values {
		all = append(all, credential{value: v, at: auth.Param{In: in, Name: name}})
	}
	return all
}

// params returns the values of a parameter in the query and the body.
func (p *places) params(r *auth.Request, name string) ([]credential, error) {
	var all []credential
	if p.query && r.URL.RawQuery != "" {
		all = append(all, credentials(auth.InQuery, name, r.Query()[name])...)
	}
	if p.body {
		form, err := r.Form(p.bodyLimit)
		if err != nil {
			return nil, err
		}
		all = append(all, credentials(auth.InBody, name, form.Values[name])...)
	}
	return all, nil
}

// named returns the values of a parameter in the query, the body and the header of that name (with - for _).
func (p *places) named(r *auth.Request, name string) ([]credential, error) {
	all, err := p.params(r, name)
	if err != nil || !p.header {
		return all, err
	}
	header := headerName(name)
	all = append(all, credentials(auth.InHeader, header, r.Header[header])...)
	return all, nil
}

// headerName returns the name of the header for the name of a parameter, with - for _.
func headerName(name string) string {
	return textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// single returns the only credential of a list; ok is false if there is none or it is empty. A credential in two places is
// refused, because the next server could read the other one (RFC 6750 §2).
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

// paramsOf returns where the request carries the credentials.
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

// authorization is the place of most credentials.
var (
	authorization   = auth.Param{In: auth.InHeader, Name: "Authorization"}
	inAuthorization = []auth.Param{authorization} // shared: it must not be modified
)
