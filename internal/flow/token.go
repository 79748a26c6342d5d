package flow

import (
	"errors"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// BearerSettings say where an access token is read from.
type BearerSettings struct {
	BearerTokenParamType []string `yaml:"bearer_token_param_type" place:"true" default:"[header]" enum:"header,query,body,cookie" min:"1"`
	// BearerTokenHeaderName is the one header that is looked at; default Authorization, Access-Token, X-Access-Token.
	BearerTokenHeaderName string `yaml:"bearer_token_header_name" place:"true"`
	BearerTokenCookieName string `yaml:"bearer_token_cookie_name" place:"true"`
	CredentialBodyLimit   int    `yaml:"credential_body_limit" place:"true" default:"65536" min:"1" max:"16777216"` // bytes
}

// A tokenFinder finds the access token that a request carries. The flows that judge access tokens share it.
type tokenFinder struct {
	*tokenReader   // one for all issuers of a route: a token is read before it is known whose it is
	verifiers      tokenVerifiers
	binding        BindingSettings
	trustedOrigins []string // trusted_origins
}

func newTokenFinder(v view, reader *tokenReader, j tokenVerifiers, s readOptions) *tokenFinder {
	if reader == nil {
		reader = newTokenReader(of[BearerSettings](v), s)
	}
	return &tokenFinder{tokenReader: reader, verifiers: j, binding: *of[BindingSettings](v), trustedOrigins: s.trustedOrigins}
}

// token returns the access token and where it stood. One in a cookie opens no WebSocket for another site's page.
func (p *tokenFinder) token(r *auth.Request) (credential, error) {
	f, err := p.read(r)
	if err == nil && f.at.In == auth.InCookie {
		return f, checkUpgrade(r, p.trustedOrigins)
	}
	return f, err
}

// A tokenReader knows where access tokens stand.
type tokenReader struct {
	places
	onlyHeader string // the one header that is looked at, or empty
	cookieName string
}

func newTokenReader(s *BearerSettings, at readOptions) *tokenReader {
	t := &tokenReader{places: newPlaces(s.BearerTokenParamType, at), cookieName: s.BearerTokenCookieName}
	if s.BearerTokenHeaderName != "" {
		t.onlyHeader = headerName(s.BearerTokenHeaderName)
	}
	return t
}

// read returns the access token and where it stood (RFC 6750 §2), or an error that wraps auth.ErrNoCredential. A header
// that begins with our scheme and goes on wrongly is refused, and so is a token in two places.
func (t *tokenReader) read(r *auth.Request) (credential, error) {
	var all []credential
	var err error
	if t.header {
		if all, err = t.inHeaders(r); err != nil {
			return credential{}, err
		}
	}
	if t.query || t.body {
		more, err := t.params(r, "access_token")
		if err != nil {
			return credential{}, err
		}
		all = append(all, more...)
	}
	if t.cookie && t.cookieName != "" {
		for _, v := range r.CookieValues(t.cookieName) {
			all = append(all, credential{value: v, at: auth.Param{In: auth.InCookie, Name: t.cookieName}})
		}
	}
	f, ok, err := single(all)
	switch {
	case err != nil:
		return f, err
	case len(all) == 0:
		return f, auth.ErrNoCredential
	case len(f.value) > maxToken:
		return f, errTooLong
	case !ok:
		return f, errMalformed
	}
	if f.jws = oidc.IsJWS(f.value); !f.jws && !token68(f.value) {
		return f, errMalformed
	}
	return f, nil
}

// inHeaders returns the token of the one configured header, else those of all that are usual.
func (t *tokenReader) inHeaders(r *auth.Request) (all []credential, err error) {
	if t.onlyHeader != "" && t.onlyHeader != "Authorization" {
		for _, v := range r.Header[t.onlyHeader] {
			if scheme, rest, cut := strings.Cut(v, " "); cut && strings.EqualFold(scheme, "Bearer") {
				v = strings.Trim(rest, " ")
			}
			all = append(all, credential{value: v, at: auth.Param{In: auth.InHeader, Name: t.onlyHeader}})
		}
		return all, nil
	}
	if values := r.Header["Authorization"]; len(values) > 0 {
		if len(values) > 1 {
			return nil, auth.InvalidRequest("authorization_twice", errors.New("more than one Authorization header"))
		}
		switch scheme, token, _ := strings.Cut(values[0], " "); {
		case strings.EqualFold(scheme, "Bearer"):
			all = append(all, credential{value: strings.Trim(token, " "), at: authorization})
		case strings.EqualFold(scheme, "DPoP"):
			return nil, errBound("by the scheme DPoP")
		}
	}
	if t.onlyHeader != "" {
		return all, nil
	}
	for _, name := range [...]string{"Access-Token", "X-Access-Token"} {
		for _, v := range r.Header[name] {
			all = append(all, credential{value: v, at: auth.Param{In: auth.InHeader, Name: name}})
		}
	}
	return all, nil
}

// of returns the token if the flow of this kind is the one that judges it, else an error that wraps
// auth.ErrNoCredential: another flow does, or unjudged refuses it.
func (p *tokenFinder) tokenFor(r *auth.Request, k *Kind) (credential, error) {
	f, err := p.token(r)
	if err == nil && p.verifiers.kindFor(f) != k {
		return f, auth.ErrNoCredential
	}
	return f, err
}

// result is what a flow answers that has proved a token: its binding is judged at every request, whatever proved it.
func (p *tokenFinder) result(f credential, i *auth.Identity) (*auth.Result, error) {
	if err := p.binding.check(i); err != nil {
		return nil, err
	}
	return &auth.Result{Identity: i, Used: paramsOf(f)}, nil
}

// tokenPlaces returns where access tokens are read from, which tokenPlacesKey says.
func tokenPlaces(v view) []string { return of[BearerSettings](v).BearerTokenParamType }

const tokenPlacesKey = "bearer_token_param_type"

// tokenSchemes are those of Authorization, where access tokens stand in that header.
func tokenSchemes(v view) []string {
	if own := headerName(of[BearerSettings](v).BearerTokenHeaderName); own != "" && own != authorization.Name {
		return nil
	}
	return []string{"bearer", "dpop"}
}

// tokenJudges say which flow's verdict on a token is final: the first in table that judges its kind and is on.
type tokenVerifiers struct {
	prefix string // of the built-in authorization server's tokens; empty: there are none
	byKind [tokenKindCount]*Kind
}

func newTokenVerifiers(on []*Kind, prefix string) tokenVerifiers {
	j := tokenVerifiers{prefix: prefix}
	for _, k := range on {
		for _, t := range k.verifies {
			if j.byKind[t] == nil && (t != builtInTokens || j.prefix != "") {
				j.byKind[t] = k
			}
		}
	}
	return j
}

// of returns the flow that judges a token; nil if none does.
func (j *tokenVerifiers) kindFor(token credential) *Kind {
	switch {
	case j.byKind[builtInTokens] != nil && strings.HasPrefix(token.value, j.prefix):
		return j.byKind[builtInTokens]
	case token.jws:
		return j.byKind[jwts]
	}
	return j.byKind[opaqueTokens]
}
