package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

// FuzzJWT: of all that a stranger can write only a spelling of the issuer's own token is an access token (a spelling: base64
// has bits that nobody reads), and a token that go-jose reads has the shape that IsJWS looks for.
func FuzzJWT(f *testing.F) {
	p, c, now := begin(f, nil)
	claims := good(p, now.Now())
	token := p.SignJWT(claims)
	parts := strings.Split(token, ".")
	f.Add(token)
	for _, header := range []string{`{"alg":"none"}`, `{"alg":"HS256"}`, `{"alg":"RS256","crit":["b64"],"b64":false}`, `{"alg":"RS256","jwk":{}}`, `[]`, `{`} {
		encoded := base64.RawURLEncoding.EncodeToString([]byte(header))
		f.Add(encoded + "." + parts[1] + "." + parts[2])
		f.Add(encoded + "." + parts[1] + ".")
	}
	for _, seed := range []string{"", "..", ".a.b", "a..b", "a.b", parts[0] + ".." + parts[2], token + ".", token + "=", token + "\n", "{}", "a.b.c.d.e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256}); err == nil && !IsJWS(token) && !strings.ContainsAny(token, "\r\n") {
			t.Errorf("%q is a JWS for go-jose, and none for IsJWS", token)
		}
		identity, err := c.issuer.AccessToken(t.Context(), token)
		if err == nil && (identity.Subject != "john" || identity.Tokens.Expiry.Unix() != claims["exp"] || p.Requests(provider.JWKS) > 2) {
			t.Errorf("%q is an access token of %+v", token, identity)
		}
		if head, _, _ := strings.Cut(token, "."); err == nil && len(head) != len(parts[0]) {
			t.Errorf("%q verifies with another header than the issuer's", token)
		}
	})
}

// FuzzTokenAnswer: the tokens of a token response are its members of exactly these names that stand there once, and none of
// them lasts for more than a year.
func FuzzTokenAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"a","token_type":"Bearer","expires_in":60,"refresh_token":"r","id_token":"i","scope":"s"}`, `{"access_token":"a","access_token":"b"}`,
		`{"access_token":"a","Access_Token":"b"}`, `{"access_token":"a","\u0061ccess_token":"b"}`, `{"access_token":["a"]}`, `{"access_token":"a"} {}`,
		`{"access_token":"a","expires_in":1e400}`, `{"access_token":"a","expires_in":"Inf"}`, `{"access_token":"a","expires_in":9223372036854775807}`,
		`{"access_token":"a","expires_in":"NaN"}`, `{"access_token":"a","expires_in":true}`, `null`, `[]`, ``, `{"access_token":"\ud800"}`, `[[[[[[[[`,
	} {
		f.Add([]byte(seed))
	}
	asked := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		object, err := decodeObject(body)
		_ = refusal(400, object, []string{"invalid_grant"})
		tokens, errTokens := readTokens(object, asked)
		if err != nil || errTokens != nil {
			return
		}
		if e := tokens.Expiry; !e.IsZero() && (e.Before(asked) || e.After(asked.Add(366*24*time.Hour))) {
			t.Errorf("%q expires at %v", body, e)
		}
		members, err := membersOf(body)
		if err != nil {
			t.Fatalf("%q is read, and is no JSON object: %v", body, err)
		}
		got := map[string]string{"access_token": tokens.AccessToken, "refresh_token": tokens.RefreshToken, "id_token": tokens.IDToken, "scope": tokens.Scope}
		maps.DeleteFunc(got, func(_, value string) bool { return value == "" })
		for name, value := range got {
			if list := members[name]; len(list) != 1 || !reflect.DeepEqual(list[0], value) {
				t.Errorf("%q: %s is %q, and stands there as %q", body, name, value, list)
			}
		}
	})
}

// membersOf lists the values of each member of a JSON object, as encoding/json reads them.
func membersOf(body []byte) (map[string][]any, error) {
	d, members := json.NewDecoder(bytes.NewReader(body)), map[string][]any{}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		members[name.(string)] = append(members[name.(string)], value)
	}
	return members, nil
}
