package auth

import "testing"

// TestJudged checks that policies see one claim set of an identity, and never the ID token beside an access token of the request.
func TestJudged(t *testing.T) {
	set := func(name string) Claims { return Claims{"set": name} }
	for want, all := range map[string][]*Identity{
		"":              {nil, {}, {IDToken: set("id token"), Presented: true}},
		"access token":  {{AccessToken: set("access token"), Introspection: set("x"), IDToken: set("x"), Userinfo: set("x")}},
		"introspection": {{Introspection: set("introspection"), IDToken: set("x"), Userinfo: set("x")}},
		"id token":      {{IDToken: set("id token"), Userinfo: set("x")}},
		"userinfo":      {{Userinfo: set("userinfo")}, {IDToken: set("x"), Userinfo: set("userinfo"), Presented: true}},
	} {
		for n, i := range all {
			if got, _ := i.Judged()["set"].(string); got != want {
				t.Errorf("identity %d of %q: policies see %q", n, want, got)
			}
		}
	}
}
