package provider_test

import (
	"maps"
	"net/url"
	"reflect"
	"testing"

	"golang.org/x/oauth2"

	"sallyport/internal/provider"
)

// TestAudienceParameter checks that the parameter audience has an effect only with Config.AudienceParameter.
func TestAudienceParameter(t *testing.T) {
	for _, tc := range []struct {
		enabled  bool
		audience []string
		expected any
	}{
		{true, []string{"https://api.test"}, "https://api.test"},
		{true, []string{"a", "b"}, []any{"a", "b"}},
		{true, []string{""}, "app"},
		{true, nil, "app"},
		{false, []string{"https://api.test"}, "app"},
	} {
		c := config()
		c.AudienceParameter = tc.enabled
		p := provider.Start(t, c)
		for grant, more := range map[string]url.Values{
			"client_credentials": nil,
			"password":           {"username": {"john"}, "password": {"doe"}, "scope": {"openid"}},
		} {
			form := url.Values{"grant_type": {grant}, "audience": tc.audience, "organization": {"ignored"}}
			maps.Copy(form, more)
			r, answer := post(t, p.URL+"/token", "app", "s3cret", form)
			if r.StatusCode != 200 {
				t.Fatalf("%s: got %s %v", grant, r.Status, answer)
			}
			if got := claims(t, answer["access_token"].(string))["aud"]; !reflect.DeepEqual(got, tc.expected) {
				t.Errorf("%s with %v: expected aud %v, got %v", grant, tc.audience, tc.expected, got)
			}
			if id, ok := answer["id_token"].(string); ok && claims(t, id)["aud"] != "app" {
				t.Error("expected an ID token to be for the client, whatever audience says")
			}
		}
	}
}

// TestAudienceAtLogin checks that the audience of an authorization request applies to refreshed tokens, too.
func TestAudienceAtLogin(t *testing.T) {
	c := config()
	c.AudienceParameter = true
	p := provider.Start(t, c)
	app := oauthConfig(p, "app", "s3cret")
	code := mustLogIn(t, p, browser(p), app.AuthCodeURL("st", oauth2.SetAuthURLParam("audience", "api"))).Get("code")
	token, err := app.Exchange(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	refreshed, err := app.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil {
		t.Fatal(err)
	}
	for _, access := range []string{token.AccessToken, refreshed.AccessToken} {
		if got := claims(t, access)["aud"]; got != "api" {
			t.Errorf("got aud %v", got)
		}
	}
}

func TestNoOpenIDForClients(t *testing.T) {
	for strict, expected := range map[bool]string{false: "", true: "invalid_scope"} {
		c := config()
		c.NoOpenIDForClients = strict
		p := provider.Start(t, c)
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {"openid orders:read"}}
		_, answer := post(t, p.URL+"/token", "app", "s3cret", form)
		if got, _ := answer["error"].(string); got != expected {
			t.Errorf("strict %v: got %v", strict, answer)
		}
		form.Set("scope", "orders:read")
		if _, answer := post(t, p.URL+"/token", "app", "s3cret", form); answer["error"] != nil {
			t.Errorf("without openid: got %v", answer)
		}
	}
}
