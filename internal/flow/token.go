package flow

import (
	"errors"
	"fmt"
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

// maxToken is the longest access token that is looked at, in bytes.
const maxToken = 16 << 10

// A presented finds the access token that a request carries. The flows that judge access tokens share it.
type presented struct {
	*tokenReader // one for all issuers of a route: a token is read before it is known whose it is
	judges       judges
	binding      BindingSettings
	trusted      []string // trusted_origins
}

func newPresented(s *Settings, issued string) *presented {
	return &presented{
		tokenReader: newTokenReader(s), judges: newJudges(s, issued), binding: s.BindingSettings, trusted: s.TrustedOrigins,
	}
}

// token returns the access token and where it stood. One in a cookie opens no WebSocket for another site's page.
func (p *presented) token(r *auth.Request) (found, error) {
	f, err := p.read(r)
	if err == nil && f.at.In == auth.InCookie {
		return f, checkUpgrade(r, p.trusted)
	}
	return f, err
}

// A tokenReader knows where access tokens stand.
type tokenReader struct {
	places
	only       string // the one header that is looked at, or empty
	cookieName string
}

func newTokenReader(s *Settings) *tokenReader {
	t := &tokenReader{places: newPlaces(s.BearerTokenParamType, s), cookieName: s.BearerTokenCookieName}
	if s.BearerTokenHeaderName != "" {
		t.only = headerName(s.BearerTokenHeaderName)
	}
	return t
}

// read returns the access token and where it stood (RFC 6750 §2), or an error that wraps auth.ErrNoCredential. A header
// that begins with our scheme and goes on wrongly is refused, and so is a token in two places.
func (t *tokenReader) read(r *auth.Request) (found, error) {
	var all []found
	var err error
	if t.header {
		if all, err = t.inHeaders(r); err != nil {
			return found{}, err
		}
	}
	if t.query || t.body {
		more, err := t.params(r, "access_token")
		if err != nil {
			return found{}, err
		}
		all = append(all, more...)
	}
	if t.cookie && t.cookieName != "" {
		for _, v := range r.CookieValues(t.cookieName) {
			all = append(all, found{value: v, at: auth.Param{In: auth.InCookie, Name: t.cookieName}})
		}
	}
	f, ok, err := one(all)
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
func (t *tokenReader) inHeaders(r *auth.Request) (all []found, err error) {
	if t.only != "" && t.only != "Authorization" {
		for _, v := range r.Header[t.only] {
			if scheme, rest, cut := strings.Cut(v, " "); cut && strings.EqualFold(scheme, "Bearer") {
				v = strings.Trim(rest, " ")
			}
			all = append(all, found{value: v, at: auth.Param{In: auth.InHeader, Name: t.only}})
		}
		return all, nil
	}
	if values := r.Header["Authorization"]; len(values) > 0 {
		if len(values) > 1 {
			return nil, auth.InvalidRequest("authorization_twice", errors.New("more than one Authorization header"))
		}
		switch scheme, token, _ := strings.Cut(values[0], " "); {
		case strings.EqualFold(scheme, "Bearer"):
			all = append(all, found{value: strings.Trim(token, " "), at: authorization})
		case strings.EqualFold(scheme, "DPoP"):
			return nil, errBound("by the scheme DPoP")
		}
	}
	if t.only != "" {
		return all, nil
	}
	for _, name := range [...]string{"Access-Token", "X-Access-Token"} {
		for _, v := range r.Header[name] {
			all = append(all, found{value: v, at: auth.Param{In: auth.InHeader, Name: name}})
		}
	}
	return all, nil
}

// mine returns the token if the flow of this kind is the one that judges it, else an error that wraps
// auth.ErrNoCredential: another flow does, or unjudged refuses it.
func (p *presented) mine(r *auth.Request, k *Kind) (found, error) {
	f, err := p.token(r)
	if err == nil && p.judges.of(f) != k {
		return f, auth.ErrNoCredential
	}
	return f, err
}

// result returns what a flow of kind k answers after it has proved a token. The token's binding is checked at every request, whatever proved
// the token.
func (p *presented) result(k *Kind, f found, i *auth.Identity) (*auth.Result, error) {
	if err := p.binding.check(i); err != nil {
		return nil, err
	}
	return &auth.Result{Identity: k.proved(i), Used: used(f)}, nil
}

// places of access tokens.
func tokenPlaces(s *Settings) []string { return s.BearerTokenParamType }

// tokenSchemes are those of Authorization, where access tokens stand in that header.
func tokenSchemes(s *Settings) []string {
	if own := headerName(s.BearerTokenHeaderName); own != "" && own != authorization.Name {
		return nil
	}
	return []string{"bearer", "dpop"}
}

// errTooLong is final: what is longer isn't looked at.
var errTooLong = auth.InvalidToken("token_too_long", fmt.Errorf("the token is longer than %d bytes", maxToken))

// errMalformed is final, and the same for whatever is wrong with a token's form.
var errMalformed = auth.InvalidToken("authorization_malformed", errors.New("expected one token of RFC 6750 §2.1"))

// token68 is b64token of RFC 6750 §2.1.
func token68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		switch c := body[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return body != ""
}

// A tokenKind is what can be said of an access token by looking at it.
type tokenKind int

const (
	issuedTokens tokenKind = iota // with the built-in authorization server's prefix
	jwts
	opaqueTokens
	tokenKinds // how many there are
)

// judges say which flow's verdict on a token is final: the first in table that judges its kind and is on.
type judges struct {
	prefix string // of the built-in authorization server's tokens; empty: there are none
	by     [tokenKinds]*Kind
}

func newJudges(s *Settings, prefix string) judges {
	j := judges{prefix: prefix}
	for _, k := range s.kindsOn() {
		for _, t := range k.judges {
			if j.by[t] == nil && (t != issuedTokens || prefix != "") {
				j.by[t] = k
			}
		}
	}
	return j
}

// of returns the flow that judges a token; nil if none does.
func (j *judges) of(token found) *Kind {
	switch {
	case j.by[issuedTokens] != nil && strings.HasPrefix(token.value, j.prefix):
		return j.by[issuedTokens]
	case token.jws:
		return j.by[jwts]
	}
	return j.by[opaqueTokens]
}

// unjudgedKind refuses tokens that no flow judges. It is always on.
var unjudgedKind = Kind{new: newUnjudged, role: guards}

func newUnjudged(_ *Settings, d *Deps) auth.Flow { return unjudged{d.presented} }

// unjudged refuses a token that no flow of the route judges, rather than letting its bearer log in or pass as if it had
// brought nothing.
type unjudged struct{ presented *presented }

func (u unjudged) Authenticate(r *auth.Request) (*auth.Result, error) {
	f, err := u.presented.token(r)
	switch {
	case err != nil:
		return nil, err
	case u.presented.judges.by == [tokenKinds]*Kind{}:
		return nil, auth.InvalidToken("token_not_accepted", errors.New("auth_methods names no flow that judges access tokens"))
	case f.jws:
		return nil, auth.InvalidToken("token_not_accepted", errors.New("the token is a JWT, and no flow of this route judges those"))
	}
	return nil, auth.InvalidToken("token_opaque", errors.New("the token is no JWT, and no flow of this route judges opaque tokens"))
}
