package oidc

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// request is an authorization request that the test provider accepts.
func request(args url.Values) AuthorizationRequest {
	return AuthorizationRequest{
		RedirectURI: "http://127.0.0.1/cb", State: "a state", Nonce: "a nonce", Scopes: []string{"openid"},
		CodeChallenge: strings.Repeat("c", 43), Args: args,
	}
}

// ask returns the query of an authorization request.
func ask(t *testing.T, c *Client, args url.Values) url.Values {
	t.Helper()
	address, err := c.AuthorizationURL(t.Context(), request(args), Caller{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// TestPushedRequest checks that nothing stands beside request_uri, that everything else was pushed, and that each login pushes anew.
func TestPushedRequest(t *testing.T) {
	p, c, _ := begin(t, func(s *Settings) { s.RequirePushedAuthorizationRequests = yes() })
	args := url.Values{"login_hint": {"john"}, "audience": {"a", "b"}, "claims": {`{"id_token":{}}`}}
	first, second := ask(t, c, args), ask(t, c, args)
	for _, q := range []url.Values{first, second} {
		if got := slices.Sorted(maps.Keys(q)); !slices.Equal(got, []string{"client_id", "request_uri"}) {
			t.Errorf("the browser gets %q", got)
		}
	}
	if first.Get("request_uri") == second.Get("request_uri") {
		t.Error("two logins have the same request_uri")
	}
	form := p.LastForm(provider.PushedRequest)
	for name, want := range map[string][]string{
		"client_id": {"app"}, "state": {"a state"}, "nonce": {"a nonce"}, "login_hint": {"john"}, "audience": {"a", "b"},
		"claims": {`{"id_token":{}}`}, "scope": {"openid"}, "response_type": {"code"},
	} {
		if !slices.Equal(form[name], want) {
			t.Errorf("%s: pushed %q, expected %q", name, form[name], want)
		}
	}
	if p.LastHeader(provider.PushedRequest).Get("Authorization") == "" {
		t.Error("the client didn't authenticate")
	}
}

// TestPushDecision: the setting decides, and without it the metadata.
func TestPushDecision(t *testing.T) {
	for _, test := range []struct {
		name     string
		setting  *bool
		metadata any
		pushed   bool
	}{
		{"nothing", nil, nil, false}, {"metadata", nil, true, true}, {"metadata of another type", nil, "true", false},
		{"setting", yes(), nil, true}, {"setting against metadata", no(), true, false},
	} {
		p, c, _ := begin(t, func(s *Settings) { s.RequirePushedAuthorizationRequests = test.setting })
		p.AdjustAnswer(provider.Discovery, func(m map[string]any) { m["require_pushed_authorization_requests"] = test.metadata })
		if got := ask(t, c, nil).Has("request_uri"); got != test.pushed {
			t.Errorf("%s: pushed %v", test.name, got)
		}
	}
}

// TestRefusedPush: a refusal is the operator's to correct, unless the issuer is in trouble.
func TestRefusedPush(t *testing.T) {
	p, c, now := begin(t, func(s *Settings) { s.RequirePushedAuthorizationRequests = yes() })
	good := `"request_uri":"urn:x:1","expires_in":60`
	for _, test := range []struct {
		status int
		body   string
		outage bool
		says   string
	}{
		{400, `{"error":"invalid_request"}`, false, "compare redirect_uri"},
		{401, `{"error":"invalid_client"}`, false, "compare client_id (app), client_secret and client_auth"},
		{403, `{"error":"unauthorized_client"}`, false, "let client_id use authorization codes"},
		{400, `{"error":"invalid_request_object"}`, false, "request_object_signing_alg"},
		{400, `{"error":"temporarily_unavailable"}`, true, "temporarily_unavailable"},
		{503, `{"error":"invalid_request"}`, true, "503"},
		{429, ``, true, "429"},
		{404, `<html>`, false, "pushed_authorization_request_endpoint names the right address"},
		{200, `{` + good + `}`, false, "answered 200"},
		{201, `{"request_uri":"urn:x:1"}`, true, "expires_in"},
		{201, `{"request_uri":"urn:x:1","expires_in":0}`, true, "expires_in"},
		{201, `{"request_uri":"urn:x:1","expires_in":"soon"}`, true, "expires_in"},
		{201, `{"request_uri":"","expires_in":60}`, true, "request_uri"},
		{201, `{"request_uri":"no scheme","expires_in":60}`, true, "request_uri"},
		{201, `{"request_uri":["urn:x:1"],"expires_in":60}`, true, "request_uri"},
		{201, `{"request_uri":"urn:` + strings.Repeat("x", maxRequestURI) + `","expires_in":60}`, true, "request_uri"},
		{201, `{` + good + `,` + good + `}`, true, ""},
		{201, `[]`, true, ""},
	} {
		p.Break(provider.PushedRequest, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			w.Write([]byte(test.body))
		})
		_, err := c.AuthorizationURL(t.Context(), request(nil), Caller{})
		if err == nil || IsOutage(err) != test.outage || !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%d %.60s: %v", test.status, test.body, err)
		}
		now.advance(failurePeriod)
	}
}

// TestPushIsAdmitted: the logins of one address that wait for the issuer are bounded, as other calls are.
func TestPushIsAdmitted(t *testing.T) {
	p, c, _ := begin(t, func(s *Settings) { s.RequirePushedAuthorizationRequests, s.CallsPerClient = yes(), 1 })
	ask(t, c, nil)
	waiting, release := p.Hold(provider.PushedRequest)
	defer release()
	go c.AuthorizationURL(t.Context(), request(nil), Caller{})
	<-waiting
	if _, err := c.AuthorizationURL(t.Context(), request(nil), Caller{}); !IsOutage(err) || p.Requests(provider.PushedRequest) != 2 {
		t.Errorf("a second call of the address: %v, %d requests", err, p.Requests(provider.PushedRequest))
	}
}

// payload returns the claims and the header of a JWT.
func payloadOf(t *testing.T, token string) (header, claims auth.Claims) {
	t.Helper()
	parts, err := decodeJWS(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.Unmarshal(parts[0], &header), json.Unmarshal(parts[1], &claims)); err != nil {
		t.Fatal(err)
	}
	return header, claims
}
