package provider_test

import (
	"maps"
	"net/url"
	"reflect"
	"testing"

	"sallyport/internal/provider"
)

const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessType    = "urn:ietf:params:oauth:token-type:access_token"
	refreshType   = "urn:ietf:params:oauth:token-type:refresh_token"
	idType        = "urn:ietf:params:oauth:token-type:id_token"
	jwtType       = "urn:ietf:params:oauth:token-type:jwt"
)

// startTrusting starts a provider and a second one that it trusts, which has a user that the first doesn't have.
func startTrusting(t *testing.T, change func(*provider.Config)) (p, other *provider.Provider) {
	t.Helper()
	c := config()
	c.Users = append(c.Users, provider.User{Username: "ann", Claims: map[string]any{"sub": "a-9", "department": "ships"}})
	other = provider.Start(t, c)
	c = config()
	c.TrustedIssuers = []*provider.Provider{other}
	c.Clients = append(c.Clients, provider.Client{ID: "strict", Secret: "s3cret", OnlyOwnAudience: true,
		AccessTokenAudience: []string{"api"}})
	if change != nil {
		change(&c)
	}
	return provider.Start(t, c), other
}

// exchange sends a token exchange request and returns the response.
func exchange(t *testing.T, p *provider.Provider, client string, form url.Values) map[string]any {
	t.Helper()
	all := url.Values{"grant_type": {tokenExchange}, "subject_token_type": {accessType}}
	maps.Copy(all, form)
	r, answer := post(t, p.URL+"/token", client, "s3cret", all)
	if good := answer["error"] == nil; good != (r.StatusCode == 200) || !good && r.StatusCode != 400 {
		t.Errorf("got %s %v", r.Status, answer)
	}
	return answer
}

func TestExchange(t *testing.T) {
	p, other := startTrusting(t, nil)
	mine := p.AccessToken("john", "app", map[string]any{"scope": "openid profile orders:read"})
	answer := exchange(t, p, "app", url.Values{"subject_token": {mine}, "audience": {"a", "b"}, "resource": {"https://api.test/x"},
		"scope": {"orders:read unknown"}})
	if answer["issued_token_type"] != accessType || answer["token_type"] != "Bearer" || answer["expires_in"] != 300.0 ||
		answer["scope"] != "orders:read" ||
		answer["refresh_token"] != nil || answer["id_token"] != nil {
		t.Errorf("got %v", answer)
	}
	c := claims(t, answer["access_token"].(string))
	if c["sub"] != "u-1" || c["client_id"] != "app" || c["act"] != nil ||
		!reflect.DeepEqual(c["aud"], []any{"https://api.test/x", "a", "b"}) {
		t.Errorf("got the claims %v", c)
	}
	if !active(t, p, answer["access_token"].(string)) {
		t.Error("expected the new token to be active")
	}
	answer = exchange(t, p, "strict", url.Values{"subject_token": {p.AccessToken("john", "app",
		map[string]any{"aud": []string{"x", "strict"}, "scope": "openid profile"})}})
	if c = claims(t, answer["access_token"].(string)); c["aud"] != "api" || c["scope"] != "openid profile" || c["client_id"] != "strict" ||
		c["name"] != "John Doe" {
		t.Errorf("by default: got the claims %v", c)
	}
	for name, tc := range map[string]struct{ subject, sub, claim string }{
		"a user of both":         {other.AccessToken("john", "app", nil), "u-1", "realm_access"},
		"a user of the other":    {other.AccessToken("ann", "app", nil), "a-9", "department"},
		"the other's own client": {other.AccessToken("", "post", nil), "post", "groups"},
		"its own client":         {p.AccessToken("", "post", nil), "post", "groups"},
	} {
		answer := exchange(t, p, "app", url.Values{"subject_token": {tc.subject}})
		if c := claims(t, answer["access_token"].(string)); c["iss"] != p.Issuer() || c["sub"] != tc.sub || c[tc.claim] == nil ||
			c["client_id"] != "app" {
			t.Errorf("%s: got the claims %v", name, c)
		}
	}
}

func TestExchangeTypes(t *testing.T) {
	p, other := startTrusting(t, nil)
	tokens := mustTokens(t, p, oauthConfig(p, "app", "s3cret"))
	opaque := p.AccessToken("john", "opaque", nil)
	for name, tc := range map[string]struct {
		client, kind, subject, requested string
		issued, tokenType                string // or "" for invalid_request
	}{
		"access token":            {"app", accessType, tokens.AccessToken, "", accessType, "Bearer"},
		"access token as JWT":     {"app", jwtType, tokens.AccessToken, jwtType, jwtType, "Bearer"},
		"opaque":                  {"app", accessType, opaque, accessType, accessType, "Bearer"},
		"opaque isn't a JWT":      {"app", jwtType, opaque, "", "", ""},
		"opaque for an opaque":    {"opaque", accessType, opaque, "", accessType, "Bearer"},
		"no JWT for an opaque":    {"opaque", accessType, opaque, jwtType, "", ""},
		"ID token":                {"app", idType, tokens.Extra("id_token").(string), "", accessType, "Bearer"},
		"ID token as JWT":         {"app", jwtType, tokens.Extra("id_token").(string), "", accessType, "Bearer"},
		"for an ID token":         {"app", accessType, tokens.AccessToken, idType, idType, "N_A"},
		"refresh token":           {"app", refreshType, tokens.RefreshToken, "", accessType, "Bearer"},
		"another's refresh token": {"opaque", refreshType, tokens.RefreshToken, "", "", ""},
		"for a refresh token":     {"app", accessType, tokens.AccessToken, refreshType, "", ""},
		"for something":           {"app", accessType, tokens.AccessToken, "x", "", ""},
		"ID token for access":     {"app", accessType, tokens.Extra("id_token").(string), "", "", ""},
		"access token for ID":     {"app", idType, tokens.AccessToken, "", "", ""},
		"foreign access token":    {"app", accessType, other.AccessToken("john", "app", nil), "", accessType, "Bearer"},
		"foreign ID token":        {"app", idType, other.IDToken("john", "app", nil), "", accessType, "Bearer"},
		"foreign, wrong type":     {"app", accessType, other.IDToken("john", "app", nil), "", "", ""},
		"SAML":                    {"app", "urn:ietf:params:oauth:token-type:saml2", tokens.AccessToken, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"subject_token": {tc.subject}, "subject_token_type": {tc.kind}, "scope": {"openid"}}
			if tc.requested != "" {
				form.Set("requested_token_type", tc.requested)
			}
			answer := exchange(t, p, tc.client, form)
			if tc.issued == "" {
				if answer["error"] != "invalid_request" {
					t.Errorf("expected invalid_request, got %v", answer)
				}
				return
			}
			if answer["issued_token_type"] != tc.issued || answer["token_type"] != tc.tokenType || answer["expires_in"] == nil {
				t.Errorf("got %v", answer)
			}
			if tc.issued == idType {
				if c := claims(t, answer["access_token"].(string)); c["azp"] != "app" || c["aud"] != "app" {
					t.Errorf("got the ID token %v", c)
				}
			}
		})
	}
}

func TestExchangeRefused(t *testing.T) {
	p, other := startTrusting(t, func(c *provider.Config) { c.ExchangeAudiences = []string{"api", "https://api.test"} })
	clockwise := func(seconds int64) map[string]any {
		c := claims(t, other.AccessToken("john", "app", nil))
		return map[string]any{"exp": int64(c["iat"].(float64)) + seconds}
	}
	good, revoked := p.AccessToken("john", "app", nil), p.AccessToken("john", "app", nil)
	p.Revoke(revoked)
	untrusted := provider.Start(t, config())
	gone := other.AccessToken("john", "app", nil)
	other.RotateKeys(false)
	for name, tc := range map[string]struct {
		client   string
		change   url.Values
		expected string
	}{
		"good":                {"app", nil, ""},
		"known audience":      {"app", url.Values{"audience": {"api"}, "resource": {"https://api.test"}}, ""},
		"unknown audience":    {"app", url.Values{"audience": {"api", "other"}}, "invalid_target"},
		"unknown resource":    {"app", url.Values{"resource": {"https://other.test"}}, "invalid_target"},
		"relative resource":   {"app", url.Values{"resource": {"api"}}, "invalid_target"},
		"resource's fragment": {"app", url.Values{"resource": {"https://api.test#x"}}, "invalid_target"},
		"no subject":          {"app", url.Values{"subject_token": nil}, "invalid_request"},
		"empty subject":       {"app", url.Values{"subject_token": {""}}, "invalid_request"},
		"two subjects":        {"app", url.Values{"subject_token": {good, good}}, "invalid_request"},
		"no type":             {"app", url.Values{"subject_token_type": nil}, "invalid_request"},
		"actor without type":  {"app", url.Values{"actor_token": {good}}, "invalid_request"},
		"type without actor":  {"app", url.Values{"actor_token_type": {accessType}}, "invalid_request"},
		"bad actor":           {"app", url.Values{"actor_token": {"x"}, "actor_token_type": {accessType}}, "invalid_request"},
		"garbage":             {"app", url.Values{"subject_token": {"x"}}, "invalid_request"},
		"revoked":             {"app", url.Values{"subject_token": {revoked}}, "invalid_request"},
		"never issued": {"app", url.Values{"subject_token": {p.SignJWT(map[string]any{"iss": p.Issuer(), "sub": "u-1",
			"exp": 1 << 33}, provider.WithHeader("typ", "at+jwt"))}}, "invalid_request"},
		"foreign, unknown": {"app", url.Values{"subject_token": {untrusted.AccessToken("john", "app", nil)}}, "invalid_request"},
		"foreign, forged": {"app", url.Values{"subject_token": {other.SignJWT(map[string]any{"iss": p.Issuer(), "sub": "u-1",
			"exp": 1 << 33})}}, "invalid_request"},
		"foreign, old key": {"app", url.Values{"subject_token": {gone}}, "invalid_request"},
		"foreign, good":    {"app", url.Values{"subject_token": {other.AccessToken("john", "app", clockwise(60))}}, ""},
		"foreign, expired": {"app", url.Values{"subject_token": {other.AccessToken("john", "app", clockwise(-60))}}, "invalid_request"},
		"foreign, no exp": {"app", url.Values{"subject_token": {other.AccessToken("john", "app", map[string]any{"exp": nil})}},
			"invalid_request"},
		"foreign, no sub": {"app", url.Values{"subject_token": {other.AccessToken("john", "app", map[string]any{"sub": nil})}},
			"invalid_request"},
		"not for this client": {"strict", nil, "invalid_request"},
		"foreign, not for it": {"strict", url.Values{"subject_token": {other.AccessToken("john", "app", nil)}}, "invalid_request"},
		"for this client": {"strict", url.Values{"subject_token": {other.AccessToken("john", "app", map[string]any{"aud": "strict"})}},
			""},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"subject_token": {good}}
			maps.Copy(form, tc.change)
			if got, _ := exchange(t, p, tc.client, form)["error"].(string); got != tc.expected {
				t.Errorf("expected %q, got %q", tc.expected, got)
			}
		})
	}
	public := url.Values{"grant_type": {tokenExchange}, "client_id": {"public"}, "subject_token": {good},
		"subject_token_type": {accessType}}
	if _, answer := post(t, p.URL+"/token", "", "", public); answer["error"] != "unauthorized_client" {
		t.Errorf("a public client: got %v", answer)
	}
}

// TestExchangeActor checks the claims act (RFC 8693 §4.1) and may_act (§4.4).
func TestExchangeActor(t *testing.T) {
	p, other := startTrusting(t, nil)
	act := func(iss *provider.Provider, sub string, before map[string]any) map[string]any {
		a := map[string]any{"iss": iss.Issuer(), "sub": sub}
		if before != nil {
			a["act"] = before
		}
		return a
	}
	subject := p.AccessToken("john", "app", nil)
	actor := url.Values{"subject_token": {subject}, "actor_token": {p.AccessToken("", "post", nil)}, "actor_token_type": {accessType}}
	first, _ := exchange(t, p, "app", actor)["access_token"].(string)
	if got := claims(t, first)["act"]; !reflect.DeepEqual(got, act(p, "post", nil)) {
		t.Errorf("got act %v", got)
	}
	actor.Set("subject_token", first)
	actor.Set("actor_token", other.IDToken("ann", "app", nil))
	actor.Set("actor_token_type", idType)
	second, _ := exchange(t, p, "app", actor)["access_token"].(string)
	if got := claims(t, second)["act"]; !reflect.DeepEqual(got, act(other, "a-9", act(p, "post", nil))) {
		t.Errorf("a second actor: got act %v", got)
	}
	third, _ := exchange(t, p, "app", url.Values{"subject_token": {second}})["access_token"].(string)
	if got := claims(t, third)["act"]; !reflect.DeepEqual(got, act(other, "a-9", act(p, "post", nil))) {
		t.Errorf("without a new actor: got act %v", got)
	}
	for name, tc := range map[string]struct {
		mayAct   map[string]any
		actor    string
		expected any
	}{
		"the actor":         {map[string]any{"sub": "u-1"}, p.AccessToken("john", "app", nil), nil},
		"another":           {map[string]any{"sub": "u-2"}, p.AccessToken("john", "app", nil), "invalid_request"},
		"another issuer's":  {map[string]any{"sub": "u-1", "iss": p.Issuer()}, other.AccessToken("john", "app", nil), "invalid_request"},
		"the client itself": {map[string]any{"sub": "app"}, "", nil},
		"another client":    {map[string]any{"sub": "post"}, "", "invalid_request"},
		"not a string":      {map[string]any{"sub": map[string]any{}}, "", "invalid_request"},
	} {
		form := url.Values{"subject_token": {p.AccessToken("john", "app", map[string]any{"may_act": tc.mayAct})}}
		if tc.actor != "" {
			form.Set("actor_token", tc.actor)
			form.Set("actor_token_type", accessType)
		}
		if got := exchange(t, p, "app", form)["error"]; got != tc.expected {
			t.Errorf("may_act, %s: expected %v, got %v", name, tc.expected, got)
		}
	}
}
