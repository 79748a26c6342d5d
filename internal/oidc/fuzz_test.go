package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

// FuzzJWT puts the parts of a good token together with other text. Only the token itself is an access token, and every token that go-jose
// parses has the form that IsJWS expects. {H}, {P} and {S} stand for the parts, because each fuzzing process has other keys.
func FuzzJWT(f *testing.F) {
	p, c, now := begin(f, nil)
	good := p.SignJWT(good(p, now.Now()))
	parts := strings.Split(good, ".")
	letters := strings.NewReplacer("{H}", parts[0], "{P}", parts[1], "{S}", parts[2])
	for _, header := range []string{`{"alg":"none"}`, `{"alg":"HS256"}`,
		`{"alg":"RS256","crit":["b64"],"b64":false}`, `{"alg":"RS256","jwk":{}}`, `[]`, `{`} {
		encoded := base64.RawURLEncoding.EncodeToString([]byte(header))
		f.Add(encoded + ".{P}.{S}")
		f.Add(encoded + ".{P}.")
	}
	for _, seed := range []string{"{H}.{P}.{S}", "{H}..{S}", "{H}.{P}.", "{H}.{P}.{S}.", "{H}.{P}.{S}=",
		"{H}.{P}\n.{S}", "{H}.{P}A.{S}", "", "..", ".a.b", "a.b", "{}", "a.b.c.d.e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token := letters.Replace(text)
		_, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
		if err == nil && !IsJWS(token) && !strings.ContainsAny(token, "\r\n") { // which Go's base64 skips
			t.Errorf("%q is a JWS for go-jose, and none for IsJWS", token)
		}
		if _, err := c.issuer.AccessToken(t.Context(), token); (err == nil) != (token == good) {
			t.Errorf("%q: %v", text, err)
		}
		if n := p.Requests(provider.JWKS); n > 2 {
			t.Errorf("the keys were fetched %d times", n)
		}
	})
}

// FuzzDecrypted puts the parts of a good JWE together with other text. What is decrypted is the content of a JWE that was encrypted for the
// gate, and is bounded. {H}, {K}, {I}, {C} and {T} stand for the parts, because each fuzzing process has other keys.
func FuzzDecrypted(f *testing.F) {
	_, c, _ := beginEncrypted(f, nil)
	const content = "the content"
	parts := strings.Split(sealedFor(f, c, jose.ECDH_ES_A128KW, jose.A128GCM, content, nil), ".")
	letters := strings.NewReplacer("{H}", parts[0], "{K}", parts[1], "{I}", parts[2], "{C}", parts[3], "{T}", parts[4])
	for _, header := range []string{`{"alg":"dir","enc":"A128GCM"}`, `{"alg":"RSA1_5","enc":"A128GCM"}`,
		`{"alg":"RSA-OAEP","enc":"A128GCM","zip":"DEF"}`,
		`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAAAAAAAAA"}`,
		`{"alg":"ECDH-ES","enc":"A128GCM","epk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`, `{"crit":["x"]}`, `[]`, `{`} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(header)) + ".{K}.{I}.{C}.{T}")
	}
	for _, seed := range []string{"{H}.{K}.{I}.{C}.{T}", "{H}..{I}.{C}.{T}", "{H}.{K}.{I}.{C}.", "{H}.{K}..{C}.{T}", "{H}.{K}.{I}.{C}.{T}.",
		"....", "a.b.c.d.e", "{}", "", "a.b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := c.decrypted(letters.Replace(text), "", "")
		switch {
		case err != nil:
		case isJWE(letters.Replace(text)) && got != content:
			t.Errorf("%q was decrypted to %q", text, got)
		case !isJWE(letters.Replace(text)) && got != letters.Replace(text):
			t.Errorf("%q isn't encrypted, and was changed to %q", text, got)
		}
		if r, err := c.ParseResponse(letters.Replace(text)); err == nil && len(r.jwt.text) > maxJWT {
			t.Errorf("a JWT of %d bytes passed", len(r.jwt.text))
		}
	})
}

// FuzzTokenAnswer checks that the tokens of a token response are the members with exactly these names, not repeated, and that they expire
// within a year.
func FuzzTokenAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"a","token_type":"Bearer","expires_in":60,"refresh_token":"r","id_token":"i","scope":"s"}`,
		`{"access_token":"a","access_token":"b"}`,
		`{"access_token":"a","Access_Token":"b"}`, `{"access_token":"a","\u0061ccess_token":"b"}`,
		`{"access_token":["a"]}`, `{"access_token":"a"} {}`,
		`{"access_token":"a","expires_in":1e400}`, `{"access_token":"a","expires_in":"Inf"}`,
		`{"access_token":"a","expires_in":9223372036854775807}`,
		`{"access_token":"a","expires_in":"NaN"}`, `{"access_token":"a","expires_in":true}`, `null`, `[]`, ``,
		`{"access_token":"\ud800"}`, `[[[[[[[[`,
	} {
		f.Add([]byte(seed))
	}
	asked := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		object, err := decodeObject(body)
		refused := (&Client{ID: "app"}).tokenError(sessionGrant, &Metadata{}, 400, object, nil)
		if errors.Is(refused, ErrRefused) == errors.Is(refused, ErrUnavailable) {
			t.Errorf("%q is %v, expected a verdict or none", body, refused)
		}
		tokens, _, errTokens := readTokens(object, asked, "", "Bearer")
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
		got := map[string]string{
			"access_token": tokens.AccessToken, "refresh_token": tokens.RefreshToken, "id_token": tokens.IDToken, "scope": tokens.Scope,
		}
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
