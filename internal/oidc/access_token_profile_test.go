package oidc

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport/internal/provider"
)

// TestAccessTokenProfile checks that access_token_profile refuses a token without the typ or one of the claims of RFC 9068.
func TestAccessTokenProfile(t *testing.T) {
	i := &Issuer{issuerConfig: issuerConfig{settings: IssuerSettings{AccessTokenProfile: "rfc9068"}}}
	p := provider.Start(t, provider.Config{})
	for _, missing := range append(slices.Clone(profileClaims), "") {
		claims := map[string]any{
			"iss": p.Issuer(), "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "aud": "app", "sub": "john",
			"client_id": "app", "jti": "1",
		}
		delete(claims, missing)
		token, err := parseJWT(p.SignJWT(claims, provider.WithHeader("typ", "at+jwt")))
		if err != nil {
			t.Fatal(err)
		}
		if err := i.checkProfile(token); (err == nil) != (missing == "") {
			t.Errorf("without %q: %v", missing, err)
		}
		for _, typ := range []any{"JWT", nil} {
			token, err := parseJWT(p.SignJWT(claims, provider.WithHeader("typ", typ)))
			if err != nil {
				t.Fatal(err)
			}
			if err := i.checkProfile(token); !errors.Is(err, ErrNotAccessToken) {
				t.Errorf("typ %v: %v", typ, err)
			}
			if err := new(Issuer).checkProfile(token); err != nil {
				t.Errorf("typ %v, any profile: %v", typ, err)
			}
		}
	}
}
