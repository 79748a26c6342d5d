package flow

import (
	"errors"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// BearerSettings say where a request carries its access token.
type BearerSettings struct {
	BearerTokenParamType []string `yaml:"bearer_token_param_type" place:"true" default:"[header]" enum:"header,query,body,cookie" min:"1"`
	// BearerTokenHeaderName is the only header that is read; default: Authorization, Access-Token and X-Access-Token.
	BearerTokenHeaderName string `yaml:"bearer_token_header_name" place:"true"`
	BearerTokenCookieName string `yaml:"bearer_token_cookie_name" place:"true"`
	CredentialBodyLimit   int    `yaml:"credential_body_limit" place:"true" default:"65536" min:"1" max:"16777216"` // bytes
}

// A tokenFinder finds the access token of a request. The flows that verify access tokens share it.
type tokenFinder struct {
	*tokenReader   // one for all issuers of a route: the issuer is only known after the token is read
	verifiers      tokenVerifiers
	possession     *possession
	trustedOrigins []string // trusted_origins
}

func newTokenFinder(v view, reader *tokenReader, j tokenVerifiers, p *possession, s readOptions) *tokenFinder {
	if reader == nil {
		reader = newTokenReader(of[BearerSettings](v), s)
	}
	return &tokenFinder{tokenReader: reader, verifiers: j, possession: p, trustedOrigins: s.trustedOrigins}
}

// token returns the access token and where the request carries it. A token in a cookie opens no WebSocket for a page of
// another site.
func (p *tokenFinder) token(r *auth.Request) (credential, error) {
	f, err := p.read(r)
	if err == nil && f.at.In == auth.InCookie {
		return f, checkUpgrade(r, p.trustedOrigins)
	}
	return f, err
}

// A tokenReader reads the access token of a request.
type tokenReader struct {
	places
	onlyHeader string // the only header that is read; empty: the usual ones
	cookieName string
}

func newTokenReader(s *BearerSettings, at readOptions) *tokenReader {
	t := &tokenReader{places: newPlaces(s.BearerTokenParamType, at), cookieName: s.BearerTokenCookieName}
	if s.BearerTokenHeaderName != "" {
		t.onlyHeader = headerName(s.BearerTokenHeaderName)
	}
	return t
}

// read returns the access token and where the request carries it (RFC 6750 §2). Its error wraps auth.ErrNoCredential if
// there is no token. A malformed Bearer header is refused, and so is a token in two places.
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
		all = append(all, credentials(auth.InCookie, t.cookieName, r.CookieValues(t.cookieName))...)
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

// inHeaders returns the tokens in the configured header or, by default, in the usual ones.
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
		case strings.EqualFold(scheme, schemeDPoP):
			all = append(all, credential{value: strings.Trim(token, " "), at: authorization, dpop: true})
		}
	}
	if t.onlyHeader != "" {
		return all, nil
	}
	for _, name := range [...]string{"Access-Token", "X-Access-Token"} {
		all = append(all, credentials(auth.InHeader, name, r.Header[name])...)
	}
	return all, nil
}

// tokenFor returns the access token if the flow of this kind verifies it. Otherwise its error wraps auth.ErrNoCredential:
// another flow verifies the token, or unacceptedToken refuses it. With the scheme DPoP the proof of the request is verified up to its
// signature; result does the rest.
func (p *tokenFinder) tokenFor(r *auth.Request, k *Kind) (credential, error) {
	f, err := p.token(r)
	switch {
	case err != nil:
		return f, err
	case p.verifiers.kindFor(f) != k:
		return f, auth.ErrNoCredential
	case f.dpop && !p.possession.dpop():
		return f, errBound("the scheme is DPoP, and proof_of_possession_dpop is off")
	case f.dpop:
		f.proof, err = p.possession.proof(r)
	}
	return f, err
}

// result returns the result of a flow of the kind k that verified a token. It checks the binding of the token at every request.
func (p *tokenFinder) result(r *auth.Request, k *Kind, f credential, i *auth.Identity) (*auth.Result, error) {
	if err := p.possession.check(r, i, f.proof, k.bindable); err != nil {
		return nil, err
	}
	return &auth.Result{Identity: i, Used: paramsOf(f), Header: p.possession.nonce(r)}, nil
}

// tokenPlaces returns where access tokens are read from. tokenPlacesKey is the setting.
func tokenPlaces(v view) []string { return of[BearerSettings](v).BearerTokenParamType }

const tokenPlacesKey = "bearer_token_param_type"

// tokenSchemes returns the schemes that carry access tokens, if they are read from Authorization.
func tokenSchemes(v view) []string {
	if own := headerName(of[BearerSettings](v).BearerTokenHeaderName); own != "" && own != authorization.Name {
		return nil
	}
	return []string{"bearer", "dpop"}
}

// tokenVerifiers say which flow verifies a token: the first in table that is on and verifies tokens of its kind.
type tokenVerifiers struct {
	prefix string // of the tokens of the built-in authorization server; empty: it is off
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

// kindFor returns the kind that verifies a token, or nil.
func (j *tokenVerifiers) kindFor(token credential) *Kind {
	switch {
	case j.byKind[builtInTokens] != nil && strings.HasPrefix(token.value, j.prefix):
		return j.byKind[builtInTokens]
	case token.jws:
		return j.byKind[jwts]
	}
	return j.byKind[opaqueTokens]
}
