package proxy

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/textproto"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// A field is a header whose value comes from an identity.
type field struct {
	header  string
	prefix  string // "Bearer "
	value   func(*auth.Identity) any
	isToken bool // maxHeaderValue doesn't apply
}

// setFields sets the headers for which the identity has a value. refused are the headers whose value headerValue refuses.
func setFields(h http.Header, fields []field, i *auth.Identity) (refused []string) {
	if i == nil {
		return nil
	}
	for n := range fields {
		f := &fields[n]
		v := f.value(i)
		if v == nil || v == "" {
			continue
		}
		value, ok := headerValue(v, f.isToken)
		if !ok {
			refused = append(refused, f.header)
			continue
		}
		h[f.header] = []string{f.prefix + value}
	}
	return refused
}

// setBuiltInToken sets the scope and the user of a token of the built-in authorization server. The names are Kong's.
func setBuiltInToken(h http.Header, i *auth.Identity) {
	if !i.BuiltIn {
		return
	}
	if i.Tokens.Scope != "" {
		h["X-Authenticated-Scope"] = []string{i.Tokens.Scope}
	}
	if user := i.Introspection.String("authenticated_userid"); user != "" {
		if value, ok := headerValue(user, false); ok {
			h["X-Authenticated-Userid"] = []string{value}
		}
	}
}

// setGrant sets the consumer and the groups of a grant. The names are Kong's. refused are the headers whose value headerValue refuses.
func setGrant(h http.Header, g *authz.Grant) (refused []string) {
	if g == nil {
		return nil
	}
	add := func(name, value string) {
		if value == "" {
			return
		}
		if !isHeaderText(value, false) {
			refused = append(refused, name)
			return
		}
		h[name] = []string{value}
	}
	add("X-Credential-Identifier", g.Credential)
	add("X-Authenticated-Groups", strings.Join(g.Groups, ", "))
	if c := g.Consumer; c != nil {
		add("X-Consumer-Id", c.ID)
		add("X-Consumer-Custom-Id", c.CustomID)
		add("X-Consumer-Username", c.Username)
	}
	add("X-Consumer-Groups", strings.Join(g.ConsumerGroups, ", "))
	if g.Anonymous {
		add("X-Anonymous-Consumer", "true")
	}
	return refused
}

// maxHeaderValue is the maximum length of a header value from a claim, in bytes.
const maxHeaderValue = 8 << 10

// headerValue returns a claim as a header's value: a string as it is, a number or boolean as JSON, anything else as base64 of JSON. ok is
// false for control characters, invalid UTF-8, and unless it is a token, more than maxHeaderValue bytes.
func headerValue(claim any, isToken bool) (value string, ok bool) {
	value, scalar := auth.Scalar(claim)
	if !scalar {
		b, err := json.Marshal(claim)
		if err != nil {
			return "", false
		}
		value = base64.StdEncoding.EncodeToString(b)
	}
	if !isHeaderText(value, isToken) {
		return "", false
	}
	return value, true
}

// isHeaderText reports whether a text can be sent as a header's value: UTF-8 without control characters and, unless it is a token, of at
// most maxHeaderValue bytes.
func isHeaderText(text string, isToken bool) bool {
	return (len(text) <= maxHeaderValue || isToken) && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// The values of fields that aren't claims.
func accessToken(i *auth.Identity) any      { return i.Tokens.AccessToken }
func idToken(i *auth.Identity) any          { return i.Tokens.IDToken }
func refreshToken(i *auth.Identity) any     { return i.Tokens.RefreshToken }
func accessTokenJWK(i *auth.Identity) any   { return object(i.AccessTokenJWK) }
func idTokenJWK(i *auth.Identity) any       { return object(i.IDTokenJWK) }
func userinfoJWT(i *auth.Identity) any      { return i.UserinfoJWT }
func introspectionJWT(i *auth.Identity) any { return i.IntrospectionJWT }

func userinfo(i *auth.Identity) any {
	if i.Userinfo == nil {
		return nil
	}
	return i.Userinfo
}

func introspection(i *auth.Identity) any {
	if i.Introspection == nil {
		return nil
	}
	return i.Introspection
}

// object returns a JSON text as a value that headerValue encodes as an object, or nil for "".
func object(text string) any {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// claim returns a function that returns the claim at a path, from the first claim set that has it.
func claim(path []string) func(*auth.Identity) any {
	return func(i *auth.Identity) any {
		v, _ := i.Lookup(path)
		return v
	}
}

// An identityField is a field with the key of the setting that names its header, without upstream_ or downstream_.
type identityField struct {
	key string
	field
}

// identityFields returns the headers whose value is a token, a key or a complete claim set.
func (h *IdentityHeaders) identityFields() []identityField {
	return []identityField{
		{"access_token_jwk_header", field{header: h.AccessTokenJWKHeader, value: accessTokenJWK}},
		{"id_token_header", field{header: h.IDTokenHeader, value: idToken, isToken: true}},
		{"id_token_jwk_header", field{header: h.IDTokenJWKHeader, value: idTokenJWK}},
		{"refresh_token_header", field{header: h.RefreshTokenHeader, value: refreshToken, isToken: true}},
		{"user_info_header", field{header: h.UserInfoHeader, value: userinfo}},
		{"user_info_jwt_header", field{header: h.UserInfoJWTHeader, value: userinfoJWT, isToken: true}},
		{"introspection_header", field{header: h.IntrospectionHeader, value: introspection}},
		{"introspection_jwt_header", field{header: h.IntrospectionJWTHeader, value: introspectionJWT, isToken: true}},
	}
}

// fields returns all configured headers: identityFields, and the headers of claims in both forms of configuration.
func (h *IdentityHeaders) fields() []field {
	var all []field
	for _, k := range h.identityFields() {
		all = append(all, k.field)
	}
	all = append(all, mappedFields(h.Headers)...)
	for i, name := range h.HeadersNames {
		all = append(all, field{header: name, value: claim([]string{h.HeadersClaims[i]})})
	}
	return configured(all)
}

// downstream returns the headers that the client receives.
func (h *HeaderSettings) downstream() []field {
	name, prefix := splitScheme(&h.DownstreamAccessTokenHeader)
	token := field{header: name, prefix: prefix, value: accessToken, isToken: true}
	return append(configured([]field{token}), h.Downstream.fields()...)
}

// mappedFields returns the headers of the claims in mappings.
func mappedFields(mappings []HeaderMapping) (all []field) {
	for _, m := range mappings {
		all = append(all, field{header: m.Header, value: claim(m.Path)})
	}
	return configured(all)
}

// configured returns the fields whose header is configured, with its canonical name.
func configured(all []field) (fields []field) {
	for _, f := range all {
		if f.header != "" {
			f.header = canonical(f.header)
			fields = append(fields, f)
		}
	}
	return fields
}

// splitScheme splits header:scheme into the header's canonical name and the prefix of the token, such as "Bearer ".
func splitScheme(setting *string) (name, prefix string) {
	if setting == nil || *setting == "" {
		return "", ""
	}
	name, scheme, _ := strings.Cut(*setting, ":")
	if strings.EqualFold(scheme, "bearer") {
		scheme = "Bearer"
	}
	if scheme != "" {
		prefix = scheme + " "
	}
	return canonical(name), prefix
}

// canonical returns the name as a key of http.Header, with - for _.
func canonical(name string) string {
	return textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
}
