package oidc

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// TestIntrospectionAnswers checks that the claims of an introspection response are checked like those of a JWT.
func TestIntrospectionAnswers(t *testing.T) {
	p, c, now := begin(t, asJSON)
	future, past := now.Now().Unix()+60, now.Now().Unix()-60
	for name, test := range map[string]struct {
		change map[string]any
		wanted error // nil: passes
	}{
		"good":                     {nil, nil},
		"no sub":                   {map[string]any{"sub": nil}, nil},
		"no iss":                   {map[string]any{"iss": nil}, nil},
		"nonce, typ Bearer":        {map[string]any{"nonce": "x", "typ": "Bearer"}, nil},
		"nonce, typ DPoP":          {map[string]any{"nonce": "x", "typ": "DPoP"}, nil},
		"nonce, token_use access":  {map[string]any{"nonce": "x", "token_use": "access"}, nil},
		"exp in quotes":            {map[string]any{"exp": auth.Claims{"v": future}.Values([]string{"v"})[0]}, nil},
		"expired in quotes":        {map[string]any{"exp": auth.Claims{"v": past}.Values([]string{"v"})[0]}, ErrExpired},
		"expired":                  {map[string]any{"exp": past}, ErrExpired},
		"exp is text":              {map[string]any{"exp": "soon"}, errAny},
		"exp is a list":            {map[string]any{"exp": []any{future}}, errAny},
		"nbf within the tolerance": {map[string]any{"nbf": future}, nil},
		"nbf is text":              {map[string]any{"nbf": "soon"}, errAny},
		"not yet valid":            {map[string]any{"nbf": future + 60}, ErrNotYetValid},
		"inactive":                 {map[string]any{"active": false}, ErrInactive},
		"active is text":           {map[string]any{"active": "true"}, ErrInactive},
		"active isn't there":       {map[string]any{"active": nil}, ErrInactive},
		"empty sub":                {map[string]any{"sub": ""}, ErrInactive},
		"sub is a number":          {map[string]any{"sub": 7}, ErrInactive},
		"another issuer's":         {map[string]any{"iss": "https://evil.example.com"}, ErrInactive},
		"typ ID":                   {map[string]any{"typ": "ID"}, ErrNotAccessToken},
		"typ Refresh":              {map[string]any{"typ": "Refresh"}, ErrNotAccessToken},
		"token_use id":             {map[string]any{"token_use": "id"}, ErrNotAccessToken},
		"events":                   {map[string]any{"events": map[string]any{}}, ErrNotAccessToken},
		"at_hash":                  {map[string]any{"at_hash": "x", "typ": "Bearer"}, ErrNotAccessToken},
		"c_hash":                   {map[string]any{"c_hash": "x"}, ErrNotAccessToken},
		"s_hash":                   {map[string]any{"s_hash": "x"}, ErrNotAccessToken},
		"nonce":                    {map[string]any{"nonce": "x"}, ErrNotAccessToken},
	} {
		answer := good(p, now.Now())
		answer["active"] = true
		maps.Copy(answer, test.change)
		maps.DeleteFunc(answer, func(_ string, v any) bool { return v == nil })
		p.Break(provider.Introspection, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(answer) })
		_, err := c.Introspect(t.Context(), "opaque, "+name, Caller{})
		right := err == nil == (test.wanted == nil) && (err == nil || test.wanted == errAny || errors.Is(err, test.wanted))
		if !right || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v, expected %v", name, err, test.wanted)
		}
	}
}

// TestNobodyIsAskedAboutOtherTokens checks that a JWT which says that it isn't an access token is refused without an introspection
// request.
func TestNobodyIsAskedAboutOtherTokens(t *testing.T) {
	p, c, now := begin(t, asJSON)
	claims := func(name string, v any) map[string]any {
		all := good(p, now.Now())
		all[name] = v
		return all
	}
	header := func(name string, v any) provider.SignOption { return provider.WithHeader(name, v) }
	for name, token := range map[string]string{
		"typ logout+jwt":              p.SignJWT(good(p, now.Now()), header("typ", "logout+jwt")),
		"typ dpop+jwt":                p.SignJWT(good(p, now.Now()), header("typ", "dpop+jwt")),
		"typ token-introspection+jwt": p.SignJWT(good(p, now.Now()), header("typ", "token-introspection+jwt")),
		"typ oauth-authz-req+jwt":     p.SignJWT(good(p, now.Now()), header("typ", "application/oauth-authz-req+jwt")),
		"typ secevent+jwt":            p.SignJWT(good(p, now.Now()), header("typ", "secevent+JWT")),
		"crit":                        p.SignJWT(good(p, now.Now()), header("crit", []string{"x"})),
		"crit is null":                p.SignPayload([]byte(`{}`), header("crit", json.RawMessage("null"))),
		"events":                      p.SignJWT(claims("events", map[string]any{})),
		"typ ID":                      p.SignJWT(claims("typ", "ID")),
		"token_use id":                p.SignJWT(claims("token_use", "id")),
		"nonce":                       p.SignJWT(claims("nonce", "x")),
		"at_hash":                     p.SignJWT(claims("at_hash", "x")),
	} {
		if err := CheckUnread(token); err == nil {
			t.Errorf("%s: a server would be asked", name)
		}
		if _, err := c.Introspect(t.Context(), token, Caller{}); !errors.Is(err, ErrNotAccessToken) && !errors.Is(err, errCritical) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := p.Requests(provider.Introspection); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
	for name, token := range map[string]string{
		"opaque": "opaque", "three parts that are no JWS": "a.b.c", "three parts of base64url": "YQ.YQ.YQ",
		"no claims":       p.SignPayload([]byte("x")),
		"an access token": p.SignJWT(good(p, now.Now())), "of RFC 9068": p.SignJWT(claims("nonce", "x"), header("typ", "at+jwt")),
	} {
		if err := CheckUnread(token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
