package auth

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// An Identity is what a credential proves. It is immutable: caches and sessions share it between requests. Its claim sets are never merged,
// because they differ in issuer, audience and age.
type Identity struct {
	Flow     string `json:"flow"`      // the flow that proved it, by its name in auth_methods
	Issuer   string `json:"iss"`       // the URL of the issuer that proved it
	ClientID string `json:"client_id"` // the client of the tokens
	Subject  string `json:"sub"`

	AccessToken   Claims `json:"access_token,omitempty"` // nil if the token is opaque
	IDToken       Claims `json:"id_token,omitempty"`
	Introspection Claims `json:"introspection,omitempty"` // RFC 7662 §2.2
	Userinfo      Claims `json:"userinfo,omitempty"`      // OIDC Core §5.3

	Tokens Tokens `json:"tokens"`

	AccessTokenJWK   string `json:"access_token_jwk,omitempty"`  // the public key that verified the access token, as JSON
	IDTokenJWK       string `json:"id_token_jwk,omitempty"`      // likewise of the ID token
	IntrospectionJWT string `json:"introspection_jwt,omitempty"` // the response, if it was signed (RFC 9701)
	UserinfoJWT      string `json:"userinfo_jwt,omitempty"`      // the response, if it was signed (OIDC Core §5.3.2)

	// MappedFrom has the claims of the token that was exchanged for this one, if consumers and credentials are mapped from those. It is
	// nil if they are mapped from the claim sets above.
	MappedFrom Claims `json:"mapped_from,omitempty"`

	// Presented says that the request carried the token, so that its audience must name one of the gate's clients. It is false for tokens
	// that were issued to the gate.
	Presented bool `json:"presented,omitempty"`

	// Session says that a session proved it, which a login or an earlier credential began.
	Session bool `json:"session,omitempty"`

	// BuiltIn says that the built-in authorization server has issued the access token.
	BuiltIn bool `json:"built_in,omitempty"`

	// OnBehalfOf is the user for whom an access token of the built-in authorization server acts, if the user has logged in. A policy must
	// let both the token and the user pass.
	OnBehalfOf *User `json:"on_behalf_of,omitempty"`
}

// A User is the user for whom an access token acts, as policies judge the user. It is immutable.
type User struct {
	Issuer string `json:"iss"` // at which the user logged in
	// Identity has the claims of the token, and for claims that the token doesn't have those of the login. So a policy finds the scope and
	// audience of the token, and the groups of the user.
	Identity *Identity `json:"identity"`
}

// Judged returns the one claim set that policies see: that of the access token, else of its introspection, else of the ID token (for a
// session whose access token is opaque), else of userinfo. It returns nil if there is none.
func (i *Identity) Judged() Claims {
	switch {
	case i == nil:
		return nil
	case i.AccessToken != nil:
		return i.AccessToken
	case i.Introspection != nil:
		return i.Introspection
	case i.IDToken != nil && !i.Presented:
		return i.IDToken
	default:
		return i.Userinfo
	}
}

// LookupTime returns the NumericDate of a top-level claim from the first claim set that has it, in the order of Lookup. It returns false if
// no set has the claim, or if it is no date.
func (i *Identity) LookupTime(name string) (time.Time, bool) {
	v, found := i.Lookup([]string{name})
	if !found {
		return time.Time{}, false
	}
	return Claims{name: v}.Time(name)
}

// Lookup returns the claim at path from the first claim set that has it: access token, introspection, ID token, userinfo.
func (i *Identity) Lookup(path []string) (any, bool) {
	if i == nil {
		return nil, false
	}
	for _, c := range [...]Claims{i.AccessToken, i.Introspection, i.IDToken, i.Userinfo} {
		if v, ok := c.At(path); ok {
			return v, true
		}
	}
	return nil, false
}

// Tokens are the tokens of a token response (RFC 6749 §5.1, OIDC Core §3.1.3.3). They never print, so that a log line can't leak them.
type Tokens struct {
	AccessToken  string    `json:"access_token,omitempty"`
	TokenType    string    `json:"token_type,omitempty"`
	RefreshToken string    `json:"refresh_token,omitempty"`
	IDToken      string    `json:"id_token,omitempty"`
	Scope        string    `json:"scope,omitempty"`
	Expiry       time.Time `json:"expiry,omitzero"` // of the access token; zero if unknown

	AuthorizationDetails Details `json:"authorization_details,omitempty"` // RFC 9396 §7; nil without any

	// DPoPKey is the private key of the gate to which the access token is bound (RFC 9449 §6), as dpop.ParseKey reads it. It is nil for a
	// token that is bound to no key, or to a caller's.
	DPoPKey []byte `json:"dpop_key,omitempty"`

	// Certificate is the thumbprint of the gate's client certificate with which the tokens were requested (x5t#S256, RFC 8705 §3.1): the
	// access token may be bound to it. It is empty without a certificate.
	Certificate string `json:"certificate,omitempty"`
}

// Details are a JSON array, whose values have the types of those of Claims.
type Details []any

// UnmarshalJSON reads an array whose numbers become int64 where they are whole and float64 otherwise.
func (d *Details) UnmarshalJSON(b []byte) error {
	reader := json.NewDecoder(bytes.NewReader(b))
	reader.UseNumber()
	var list []any
	if err := reader.Decode(&list); err != nil {
		return err
	}
	plain(list)
	*d = list
	return nil
}

// Claims are a verified JSON object. Values are nil, bool, int64, float64, string, []any and map[string]any.
type Claims map[string]any

// At returns the value at a path of object members.
func (c Claims) At(path []string) (any, bool) {
	if len(path) == 0 {
		return nil, false
	}
	v, ok := c[path[0]]
	for _, name := range path[1:] {
		m, isObject := v.(map[string]any)
		if !ok || !isObject {
			return nil, false
		}
		v, ok = m[name]
	}
	return v, ok
}

// String returns the string at a top-level name, or "" if it is absent or no string.
func (c Claims) String(name string) string {
	s, _ := c[name].(string)
	return s
}

// Time returns the NumericDate (RFC 7519 §2) at a top-level name: the zero time if the claim is absent. ok is false if it is present and
// not a date.
func (c Claims) Time(name string) (t time.Time, ok bool) {
	v, present := c[name]
	if !present || v == nil {
		return time.Time{}, true
	}
	switch n := v.(type) {
	case int64:
		return unix(float64(n))
	case float64:
		return unix(n)
	case string: // some issuers quote it
		if f, err := strconv.ParseFloat(n, 64); err == nil {
			return unix(f)
		}
	}
	return time.Time{}, false
}

// unix returns the time of seconds since 1970. It refuses those that time.Time can't compare, such as 1e300 or NaN, because they could
// make an expired token valid.
func unix(sec float64) (time.Time, bool) {
	if !(sec >= 0 && sec < 1<<38) {
		return time.Time{}, false
	}
	whole := int64(sec)
	return time.Unix(whole, int64((sec-float64(whole))*1e9)), true
}

// Words returns the values of a scope claim. It splits a string at its spaces (RFC 6749 §3.3); else it is like Values.
func (c Claims) Words(path []string) []string {
	if v, _ := c.At(path); v != nil {
		if s, isString := v.(string); isString {
			return strings.Fields(s)
		}
	}
	return c.Values(path)
}

// Values returns the values at path as strings, as policies compare them: a string as it is, the elements of a list, a number or boolean as
// JSON writes it. An object has no values.
func (c Claims) Values(path []string) []string {
	v, ok := c.At(path)
	if !ok || v == "" {
		return nil
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	var words []string
	for _, e := range list {
		if w, ok := Scalar(e); ok {
			words = append(words, w)
		}
	}
	return words
}

// Scalar returns a string as it is and a number or boolean as JSON writes it; ok is false for anything else.
func Scalar(v any) (s string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		b, err := json.Marshal(v)
		return string(b), err == nil
	}
	return "", false
}

// UnmarshalJSON reads an object whose numbers become int64 where they are whole and float64 otherwise.
func (c *Claims) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return err
	}
	for k, v := range m {
		m[k] = plain(v)
	}
	*c = m
	return nil
}

// plain replaces every json.Number in v by an int64 or float64.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

func (Tokens) String() string       { return redacted }
func (Tokens) GoString() string     { return redacted }
func (Tokens) LogValue() slog.Value { return slog.StringValue(redacted) }
