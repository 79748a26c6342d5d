package auth

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// An Identity is what a credential proved. It is immutable: caches and sessions share it between requests. Its claim
// sets are kept apart and never merged, because they have different issuers, audiences and freshness.
type Identity struct {
	Flow     string `json:"flow"`      // which flow proved it: "bearer", "session", ...
	Issuer   string `json:"iss"`       // the configured issuer whose keys proved it
	ClientID string `json:"client_id"` // the client that the gate was to this issuer
	Subject  string `json:"sub"`

	AccessToken   Claims `json:"access_token,omitempty"` // verified; nil if the token is opaque
	IDToken       Claims `json:"id_token,omitempty"`
	Introspection Claims `json:"introspection,omitempty"` // RFC 7662 §2.2
	Userinfo      Claims `json:"userinfo,omitempty"`      // OIDC Core §5.3

	Tokens Tokens `json:"tokens"`

	AccessTokenJWK   string `json:"access_token_jwk,omitempty"`  // the public key that verified it, as JSON
	IDTokenJWK       string `json:"id_token_jwk,omitempty"`      // likewise
	IntrospectionJWT string `json:"introspection_jwt,omitempty"` // the answer as it was signed (RFC 9701)
	UserinfoJWT      string `json:"userinfo_jwt,omitempty"`      // the answer as it was signed (OIDC Core §5.3.2)

	// MappedFrom is what consumers and credentials are mapped from, if not from the claim sets above: the claims of the
	// token that was exchanged for this one.
	MappedFrom Claims `json:"mapped_from,omitempty"`

	// Presented says that the caller brought the token itself, so that its audience must name one of our clients; it is
	// false for tokens that the gate was issued.
	Presented bool `json:"presented,omitempty"`

	// OnBehalfOf is the user for whom an access token of the built-in authorization server acts, if a login has proved who that is. A
	// policy must let both pass: the token, and its user.
	OnBehalfOf *User `json:"on_behalf_of,omitempty"`
}

// A User is the user for whom an access token acts, as policies judge the user. It is immutable.
type User struct {
	Issuer string `json:"iss"` // at which the user logged in
	// Identity has the token's claims, and where the token is silent those that the login has proved. So a policy finds the
	// token's own scope and audience, and the user's groups.
	Identity *Identity `json:"identity"`
}

// Judged returns the one claim set that policies see: the access token's, else the introspection result, else the ID
// token's (a session whose access token is opaque), else what userinfo says (a token that nothing else judges), else none.
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

// A ClaimSet names one of an identity's claim sets.
type ClaimSet int

// The claim sets that expressions name.
const (
	IDTokenClaims ClaimSet = iota
	UserinfoClaims
)

// Claims returns one claim set; nil if there is none, or nobody.
func (i *Identity) Claims(set ClaimSet) Claims {
	switch {
	case i == nil:
		return nil
	case set == IDTokenClaims:
		return i.IDToken
	}
	return i.Userinfo
}

// LookupTime finds the NumericDate at a top-level name in the first claim set that has it; the zero time if there is none.
func (i *Identity) LookupTime(name string) (time.Time, bool) {
	v, found := i.Lookup([]string{name})
	if !found {
		return time.Time{}, false
	}
	return Claims{name: v}.Time(name)
}

// Lookup finds the claim at path in the first claim set that has it: access token, introspection, ID token, userinfo.
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

// Tokens are what an authorization server issued (RFC 6749 §5.1, OIDC Core §3.1.3.3).
type Tokens struct {
	AccessToken  string    `json:"access_token,omitempty"`
	TokenType    string    `json:"token_type,omitempty"`
	RefreshToken string    `json:"refresh_token,omitempty"`
	IDToken      string    `json:"id_token,omitempty"`
	Scope        string    `json:"scope,omitempty"`
	Expiry       time.Time `json:"expiry,omitzero"` // of the access token; zero if unknown
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

// Time returns the NumericDate (RFC 7519 §2) at a top-level name. ok is false if the claim is present but no date;
// an absent claim is the zero time.
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

// unix refuses seconds that time.Time can't order, such as 1e300 or NaN: such a date must not become a valid one.
func unix(sec float64) (time.Time, bool) {
	if !(sec >= 0 && sec < 1<<38) {
		return time.Time{}, false
	}
	whole := int64(sec)
	return time.Unix(whole, int64((sec-float64(whole))*1e9)), true
}

// Words returns the values of a scope claim: one string is split at its spaces (RFC 6749 §3.3), all else is as for Values.
func (c Claims) Words(path []string) []string {
	if v, _ := c.At(path); v != nil {
		if s, isString := v.(string); isString {
			return strings.Fields(s)
		}
	}
	return c.Values(path)
}

// Values returns the values at path as a policy compares them: a string as it is, a list's elements, a number or boolean as
// JSON writes it. Objects have none.
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

// plain replaces every json.Number below v.
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

// Tokens never print: a stray %v in a log must not leak a credential.

func (Tokens) String() string       { return redacted }
func (Tokens) GoString() string     { return redacted }
func (Tokens) LogValue() slog.Value { return slog.StringValue(redacted) }
