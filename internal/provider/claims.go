package provider

import (
	"maps"
	"slices"
)

// scopeClaims lists the standard claims that each scope requests (OIDC Core §5.4).
var scopeClaims = map[string][]string{
	"profile": {"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
		"website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"},
	"email":   {"email", "email_verified"},
	"address": {"address"},
	"phone":   {"phone_number", "phone_number_verified"},
}

// claimScope maps each claim of scopeClaims to its scope. Other claims don't need a scope.
var claimScope = func() map[string]string {
	needs := map[string]string{}
	for scope, claims := range scopeClaims {
		for _, c := range claims {
			needs[c] = scope
		}
	}
	return needs
}()

// sub returns the claim sub, or the username if the user doesn't have that claim.
func (u *User) sub() string {
	if sub, ok := u.Claims["sub"].(string); ok {
		return sub
	}
	return u.Username
}

// claims returns a new map of the user's claims that the scopes allow.
func (u *User) claims(scopes []string) map[string]any {
	all := map[string]any{"preferred_username": u.Username}
	maps.Copy(all, u.Claims)
	all["sub"] = u.sub()
	maps.DeleteFunc(all, func(name string, _ any) bool {
		scope, standard := claimScope[name]
		return standard && !slices.Contains(scopes, scope)
	})
	return all
}

// claimNames returns the names for claims_supported.
func (p *Provider) claimNames() []string {
	names := map[string]bool{"preferred_username": true}
	for _, n := range []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "sid"} {
		names[n] = true
	}
	for _, u := range p.config.Users {
		for n := range u.Claims {
			names[n] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
