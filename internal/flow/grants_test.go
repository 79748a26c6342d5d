package flow

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

func basic(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}

// A grantRow is a request with a client's credential for the token endpoint, and the expected outcome.
type grantRow struct {
	name   string
	target string   // default /
	body   string   // sent by POST
	header []string // names and values
	want   outcome
	calls  int // of the token endpoint
	flow   string
	sub    string
	used   []auth.Param // where the request carries the credential
}

// run runs the chain and compares the outcome. The chain continues only after a flow that finds no credential.
func (c *grantRow) run(t *testing.T, r *tokenRig) *auth.Result {
	t.Helper()
	q := r.ask("GET", orRoot(c.target), c.header...)
	if c.body != "" {
		q = r.askWith("POST", orRoot(c.target), c.body, c.header...)
	}
	calls, next := r.issuer.Requests(provider.Token), r.next.asked
	res, err := r.chain.Authenticate(q)
	if got := outcomeOf(err); got != c.want {
		t.Errorf("%s: got %+v (%v), expected %+v", c.name, got, err, c.want)
	}
	if got := r.issuer.Requests(provider.Token) - calls; got != c.calls {
		t.Errorf("%s: %d calls of the token endpoint, expected %d", c.name, got, c.calls)
	}
	if went := r.next.asked > next; went != (c.want == noCredential) {
		t.Errorf("%s: the chain went on: %v", c.name, went)
	}
	if err != nil {
		if strings.Contains(err.Error(), "doe") || strings.Contains(err.Error(), "-secret") {
			t.Errorf("%s: the error holds a credential: %v", c.name, err)
		}
		return nil
	}
	i := res.Identity
	if i.Flow != c.flow || i.Subject != c.sub || i.Issuer != r.issuer.URL || i.AccessToken.String("sub") != c.sub || i.Presented {
		t.Errorf("%s: identity of %s for %q at %s, presented %v, expected %s for %q", c.name, i.Flow, i.Subject, i.Issuer, i.Presented,
			c.flow, c.sub)
	}
	if !slices.Equal(res.Used, c.used) {
		t.Errorf("%s: the credential stood at %v, expected %v", c.name, res.Used, c.used)
	}
	return res
}

func orRoot(target string) string {
	if target == "" {
		return "/"
	}
	return target
}

func runGrants(t *testing.T, r *tokenRig, rows []grantRow) {
	t.Helper()
	for n := range rows {
		rows[n].run(t, r)
	}
}

// only turns on one flow, which reads its credential everywhere.
func only(name string) func(*Settings) {
	everywhere := []string{"header", "query", "body"}
	return func(s *Settings) {
		s.AuthMethods = []Method{Method(name)}
		s.PasswordParamType, s.ClientCredentialsParamType, s.RefreshTokenParamType = everywhere, everywhere, everywhere
	}
}

func TestPassword(t *testing.T) {
	r := newTokenRig(t, only("password"))
	query := []auth.Param{{In: auth.InQuery, Name: "username"}, {In: auth.InQuery, Name: "password"}}
	body := []auth.Param{{In: auth.InBody, Name: "username"}, {In: auth.InBody, Name: "password"}}
	runGrants(t, r, []grantRow{
		{name: "nothing", want: noCredential},
		{name: "an empty Authorization", header: []string{"Authorization", ""}, want: noCredential},
		{name: "another scheme", header: []string{"Authorization", "Digest username=john"}, want: noCredential},
		{name: "a scheme that begins alike", header: []string{"Authorization", "BasicX am9objpkb2U="}, want: noCredential},
		{name: "a name alone", target: "/?username=john", want: noCredential},
		{name: "an empty name", target: "/?username=&password=doe", want: noCredential},
		{name: "an empty password", target: "/?username=john&password=", want: noCredential},

		{name: "Basic", header: []string{"Authorization", basic("john", "doe")}, calls: 1, flow: "password", sub: "john",
			used: inAuthorization},
		{name: "Basic again", header: []string{"Authorization", basic("john", "doe")}, flow: "password", sub: "john",
			used: inAuthorization},
		{name: "basic", header: []string{"Authorization", "bASIC am9objpkb2U="}, flow: "password", sub: "john", used: inAuthorization},
		{name: "a query", target: "/?username=jane&password=doe", calls: 1, flow: "password", sub: "jane", used: query},
		{name: "a form", body: "username=jane&password=doe", flow: "password", sub: "jane", used: body},
		{name: "half in each", target: "/?username=jane", body: "password=doe", flow: "password", sub: "jane",
			used: []auth.Param{query[0], body[1]}},

		{name: "a wrong password", header: []string{"Authorization", basic("john", "wrong")}, want: refuses("password_refused"), calls: 1},
		{name: "the same again", header: []string{"Authorization", basic("john", "wrong")}, want: refuses("password_refused")},
		{name: "an unknown name", header: []string{"Authorization", basic("nobody", "doe")}, want: refuses("password_refused"), calls: 1},
		{name: "an empty password in Basic", header: []string{"Authorization", basic("john", "")},
			want: refuses("password_refused"), calls: 1},
		{name: "no name", header: []string{"Authorization", basic("", "doe")}, want: refuses("authorization_malformed")},
		{name: "no base64", header: []string{"Authorization", "Basic !!!"}, want: refuses("authorization_malformed")},
		{name: "no colon", header: []string{"Authorization", "Basic am9obg=="}, want: refuses("authorization_malformed")},
		{name: "nothing after the scheme", header: []string{"Authorization", "Basic"}, want: refuses("authorization_malformed")},
		{name: "too long", header: []string{"Authorization", basic("john", strings.Repeat("x", maxToken))},
			want: refuses("credentials_too_long")},
		{name: "two headers", header: []string{"Authorization", basic("john", "doe"), "Authorization", basic("jane", "doe")},
			want: malformed("authorization_twice")},
		{name: "the same header twice", header: []string{"Authorization", basic("john", "doe"), "Authorization", basic("john", "doe")},
			want: malformed("authorization_twice")},
		{name: "two names", target: "/?username=john&username=jane&password=doe", want: malformed("credential_twice")},
		{name: "two passwords", target: "/?username=john&password=doe&password=other", want: malformed("credential_twice")},
		{name: "query and body", target: "/?username=john&password=doe", body: "username=john&password=doe",
			want: malformed("credential_twice")},
		{name: "header and query", target: "/?username=john&password=doe", header: []string{"Authorization", basic("john", "doe")},
			want: malformed("credential_twice")},
		{name: "a page of another site", header: []string{"Authorization", basic("john", "doe"), "Origin", "https://evil.example",
			"Upgrade", "websocket", "Connection", "Upgrade"},
			want: outcome{status: 403, reason: "upgrade_origin"}},
		{name: "a body that is too long", body: "username=john&password=doe&more=" + strings.Repeat("x", 64<<10),
			want: outcome{status: 413, code: "invalid_request", reason: "body_too_large"}},
	})
}

// TestGrantRequests: the provider asserts the parameters and the client of each token request.
func TestGrantRequests(t *testing.T) {
	audience := func(s *Settings) {
		s.Client.Scopes, s.Client.Audience = []string{"openid", "email"}, []string{"api"}
		s.TokenPostArgsClient, s.TokenHeadersClient = []string{"tenant"}, []string{"X-Trace"}
	}
	for _, c := range []struct {
		row  grantRow
		want url.Values
	}{
		{grantRow{header: []string{"Authorization", basic("john", "doe")}, calls: 1, flow: "password", sub: "john", used: inAuthorization},
			url.Values{"grant_type": {"password"}, "username": {"john"}, "password": {"doe"}, "scope": {"openid email"},
				"audience": {"api"}, "tenant": {"blue"}}},
		{grantRow{header: []string{"Authorization", basic("app", "app-secret")}, calls: 1, flow: "client_credentials", sub: "app",
			used: inAuthorization},
			url.Values{"grant_type": {"client_credentials"}, "scope": {"openid email"}, "audience": {"api"}, "tenant": {"blue"}}},
	} {
		r := newTokenRig(t, func(s *Settings) {
			only(c.row.flow)(s)
			audience(s)
		})
		r.sent(c.want)
		r.issuer.Want(provider.Token, func(q *http.Request) error {
			if q.Header.Get("X-Trace") != "1" || q.Header.Get("X-Other") != "" {
				return io.ErrUnexpectedEOF
			}
			return nil
		})
		c.row.name, c.row.target = c.row.flow, "/?tenant=blue&other=red"
		c.row.header = append(c.row.header, "X-Trace", "1", "X-Other", "2")
		c.row.run(t, r)
	}
}

func TestClientCredentials(t *testing.T) {
	r := newTokenRig(t, only("client_credentials"))
	query := []auth.Param{{In: auth.InQuery, Name: "client_id"}, {In: auth.InQuery, Name: "client_secret"}}
	runGrants(t, r, []grantRow{
		{name: "nothing", want: noCredential},
		{name: "an ID alone", target: "/?client_id=second", want: noCredential},
		{name: "another scheme", header: []string{"Authorization", "Negotiate abc"}, want: noCredential},

		{name: "Basic", header: []string{"Authorization", basic("second", "second-secret")}, calls: 1,
			flow: "client_credentials", sub: "second", used: inAuthorization},
		{name: "again", header: []string{"Authorization", basic("second", "second-secret")}, flow: "client_credentials", sub: "second",
			used: inAuthorization},
		{name: "a query", target: "/?client_id=keeps&client_secret=keeps-secret", calls: 1, flow: "client_credentials", sub: "keeps",
			used: query},

		{name: "a wrong secret", header: []string{"Authorization", basic("second", "wrong")},
			want: refuses("client_credentials_refused"), calls: 1},
		{name: "the same again", header: []string{"Authorization", basic("second", "wrong")}, want: refuses("client_credentials_refused")},
		{name: "an unknown client", header: []string{"Authorization", basic("nobody", "x")},
			want: refuses("client_credentials_refused"), calls: 1},
		{name: "a person's", header: []string{"Authorization", basic("john", "doe")},
			want: refuses("client_credentials_refused"), calls: 1},
		{name: "our own with a wrong secret", header: []string{"Authorization", basic("app", "wrong")},
			want: refuses("client_credentials_refused"), calls: 1},
		{name: "no base64", header: []string{"Authorization", "Basic %"}, want: refuses("authorization_malformed")},
		{name: "two headers", header: []string{"Authorization", basic("second", "second-secret"), "Authorization", "Bearer x"},
			want: malformed("authorization_twice")},
		{name: "header and body", header: []string{"Authorization", basic("second", "second-secret")},
			body: "client_id=second&client_secret=second-secret", want: malformed("credential_twice")},
		{name: "two secrets", body: "client_id=second&client_secret=second-secret&client_secret=x", want: malformed("credential_twice")},
	})
}

// TestClientCredentialsProveNoPerson: an ID token in the response to client credentials is ignored.
func TestClientCredentialsProveNoPerson(t *testing.T) {
	r := newTokenRig(t, only("client_credentials"))
	r.issuer.AdjustAnswer(provider.Token, func(answer map[string]any) {
		answer["id_token"] = r.issuer.IDToken("john", "app", nil)
	})
	row := grantRow{name: "an ID token", header: []string{"Authorization", basic("second", "second-secret")}, calls: 1,
		flow: "client_credentials", sub: "second", used: inAuthorization}
	if i := row.run(t, r).Identity; i.IDToken != nil || i.Tokens.IDToken != "" || i.ClientID != "second" {
		t.Errorf("the identity has the ID token %v, and the client %q", i.IDToken, i.ClientID)
	}
}

func TestRefreshToken(t *testing.T) {
	r := newTokenRig(t, only("refresh_token"))
	header := []auth.Param{{In: auth.InHeader, Name: "X-Refresh-Token"}}
	john, jane, foreign := r.refreshToken("app", "john"), r.refreshToken("app", "jane"), r.refreshToken("second", "john")
	runGrants(t, r, []grantRow{
		{name: "nothing", want: noCredential},
		{name: "an empty header", header: []string{"X-Refresh-Token", ""}, want: noCredential},
		{name: "an empty parameter", target: "/?x_refresh_token=", want: noCredential},

		{name: "unknown", header: []string{"X-Refresh-Token", "unknown"}, want: refuses("refresh_token_refused"), calls: 1},
		{name: "unknown again", header: []string{"X-Refresh-Token", "unknown"}, want: refuses("refresh_token_refused")},
		{name: "another client's", header: []string{"X-Refresh-Token", foreign}, want: refuses("refresh_token_refused"), calls: 1},
		{name: "too long", header: []string{"X-Refresh-Token", strings.Repeat("x", maxToken+1)}, want: refuses("token_too_long")},
		{name: "two headers", header: []string{"X-Refresh-Token", john, "X-Refresh-Token", jane}, want: malformed("credential_twice")},
		{name: "header and query", target: "/?x_refresh_token=" + john, header: []string{"X-Refresh-Token", john},
			want: malformed("credential_twice")},
		{name: "query and body", target: "/?x_refresh_token=" + john, body: "x_refresh_token=" + john, want: malformed("credential_twice")},

		{name: "a header", header: []string{"X-Refresh-Token", john}, calls: 1, flow: "refresh_token", sub: "john", used: header},
		{name: "at the same time", header: []string{"X-Refresh-Token", john}, flow: "refresh_token", sub: "john", used: header},
		{name: "a query", target: "/?x_refresh_token=" + jane, calls: 1, flow: "refresh_token", sub: "jane",
			used: []auth.Param{{In: auth.InQuery, Name: "x_refresh_token"}}},
	})
	r.clock.advance(6 * time.Second)
	replayed := grantRow{name: "replayed later", header: []string{"X-Refresh-Token", john},
		want: refuses("refresh_token_refused"), calls: 1}
	replayed.run(t, r)
}

// TestRefreshRequest: the provider asserts the token request, and the client receives the rotated token.
func TestRefreshRequest(t *testing.T) {
	r := newTokenRig(t, only("refresh_token"))
	token := r.refreshToken("app", "john")
	r.sent(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	row := grantRow{name: "good", body: "x_refresh_token=" + token, calls: 1, flow: "refresh_token", sub: "john",
		used: []auth.Param{{In: auth.InBody, Name: "x_refresh_token"}}}
	if next := row.run(t, r).Identity.Tokens.RefreshToken; next == token || next == "" {
		t.Errorf("the refresh token is %q", next)
	}
}

// TestRefreshTokenWithoutRotation: without rotation a response is cached until the access token expires.
func TestRefreshTokenWithoutRotation(t *testing.T) {
	r := newTokenRig(t, func(s *Settings) {
		only("refresh_token")(s)
		s.Client.ClientID, s.Client.ClientSecret = []string{"keeps"}, []auth.Secret{"keeps-secret"}
	})
	token := r.refreshToken("keeps", "john")
	good := grantRow{name: "good", header: []string{"X-Refresh-Token", token}, calls: 1, flow: "refresh_token", sub: "john",
		used: []auth.Param{{In: auth.InHeader, Name: "X-Refresh-Token"}}}
	if kept := good.run(t, r).Identity.Tokens.RefreshToken; kept != token {
		t.Errorf("the refresh token is %q, expected the one that was sent", kept)
	}
	r.clock.advance(time.Minute)
	good.calls = 0
	good.run(t, r)
	r.clock.advance(5 * time.Minute)
	good.calls = 1
	good.run(t, r)
}

// grantsOf returns a good credential for a flow, and one for which no response is cached.
func grantsOf(r *tokenRig, flow string) (good grantRow, fresh []string) {
	good = grantRow{calls: 1, flow: flow, used: inAuthorization, sub: "john"}
	switch flow {
	case "password":
		good.header, fresh = []string{"Authorization", basic("john", "doe")}, []string{"Authorization", basic("jane", "doe")}
	case "client_credentials":
		good.header, good.sub, fresh = []string{"Authorization", basic("second", "second-secret")}, "second",
			[]string{"Authorization", basic("keeps", "keeps-secret")}
	case "refresh_token":
		good.header = []string{"X-Refresh-Token", r.refreshToken("app", "john")}
		good.used, fresh = []auth.Param{{In: auth.InHeader, Name: "X-Refresh-Token"}},
			[]string{"X-Refresh-Token", r.refreshToken("app", "jane")}
	}
	return good, fresh
}

// TestGrantsOfAnIssuerInTrouble: a response that is no verdict on the credential is 503 with Retry-After if a later attempt
// may help, or 500 if only the operator can fix the cause. It is no refusal, and is not cached. A refusal is 401, and is
// cached. A cached good response still serves.
func TestGrantsOfAnIssuerInTrouble(t *testing.T) {
	bad, client := away("issuer_unavailable"), notSetUp
	refused := map[string]outcome{"password": refuses("password_refused"), "client_credentials": refuses("client_credentials_refused"),
		"refresh_token": refuses("refresh_token_refused")}
	clientsOnly := map[string]outcome{"password": client, "refresh_token": client,
		"client_credentials": refuses("client_credentials_refused")}
	everywhere := func(o outcome) map[string]outcome {
		return map[string]outcome{"password": o, "refresh_token": o, "client_credentials": o}
	}
	for _, flow := range []string{"password", "client_credentials", "refresh_token"} {
		r := newTokenRig(t, only(flow))
		good, fresh := grantsOf(r, flow)
		good.name = flow + ": good"
		good.run(t, r)
		good.calls, good.name = 0, flow+": kept"
		for _, c := range []struct {
			status int
			body   string
			want   map[string]outcome
		}{
			{500, `{"error":"invalid_grant"}`, everywhere(bad)},
			{503, `{"error":"temporarily_unavailable"}`, everywhere(bad)},
			{429, `{"error":"invalid_grant"}`, everywhere(bad)},
			{400, `{"error":"temporarily_unavailable"}`, everywhere(bad)},
			{400, `{"error":"server_error"}`, everywhere(bad)},
			{408, `<html>`, everywhere(bad)},
			{425, `<html>`, everywhere(bad)},
			{400, `<html>`, everywhere(client)},
			{400, `{"error":["invalid_grant"]}`, everywhere(client)},
			{404, `not found`, everywhere(client)},
			{200, `<html>`, everywhere(bad)},
			{200, `null`, everywhere(bad)},
			{200, `{}`, everywhere(bad)},
			{200, `{"access_token":""}`, everywhere(bad)},
			{200, `{"access_token":["a"]}`, everywhere(bad)},
			{200, `{"access_token":"a","token_type":"mac"}`, everywhere(client)},
			{200, `{"access_token":"a","access_token":"b"}`, everywhere(bad)},
			{200, `{"access_token":"a"} {}`, everywhere(bad)},
			{200, `{"access_token":"` + strings.Repeat("x", 1<<20) + `"}`, everywhere(bad)},
			{307, ``, everywhere(client)},
			{401, `{"error":"invalid_client"}`, clientsOnly},
			{400, `{"error":"unauthorized_client"}`, clientsOnly},
			{400, `{"error":"unsupported_grant_type"}`, everywhere(client)},
			{400, `{"error":"invalid_scope"}`, clientsOnly},
			{200, `{"error":"invalid_scope"}`, clientsOnly},
			{400, `{"error":"invalid_request"}`, refused},
			{400, `{"error":"something_else"}`, everywhere(client)},
			{200, `{"error":"server_error"}`, everywhere(bad)},
			{200, `{"error":1,"access_token":"a"}`, everywhere(client)},
			{200, `{"error":"unsupported_grant_type","access_token":"a"}`, everywhere(client)},
			{400, `{"error":"invalid_grant"}`, refused},
		} {
			answers(r.issuer, provider.Token, c.status, c.body)
			row := grantRow{name: flow + ": " + c.body[:min(60, len(c.body))], header: fresh, want: c.want[flow], calls: 1}
			row.run(t, r)
			r.clock.advance(6 * time.Second) // a refusal is cached no longer
			if flow != "refresh_token" {     // its responses are cached for a moment only
				good.run(t, r)
			}
		}
	}
}

// TestGrantsOfAnIssuerAway: no request is refused or passes while the issuer is down, answers too late or has no keys.
func TestGrantsOfAnIssuerAway(t *testing.T) {
	for _, flow := range []string{"password", "client_credentials", "refresh_token"} {
		for name, away := range map[string]func(*provider.Provider){
			"down": func(p *provider.Provider) { p.Close() },
			"slow": func(p *provider.Provider) { p.Hold(provider.Token) },
			"no metadata": func(p *provider.Provider) {
				answers(p, provider.Discovery, 500, "")
			},
		} {
			r := newTokenRig(t, func(s *Settings) {
				only(flow)(s)
				if name == "slow" {
					s.Client.Timeout = 100 * time.Millisecond
				}
			})
			_, fresh := grantsOf(r, flow)
			away(r.issuer)
			calls := 0
			if name == "slow" {
				calls = 1
			}
			row := grantRow{name: flow + ", " + name, header: fresh, want: unavailable, calls: calls}
			row.run(t, r)
		}
	}
}

var unavailable = away("issuer_unavailable")

// TestGrantedTokensAreVerified: tokens from the token endpoint are verified too.
func TestGrantedTokensAreVerified(t *testing.T) {
	for _, flow := range []string{"password", "refresh_token"} {
		for name, adjust := range map[string]func(*tokenRig) func(claims map[string]any){
			"another client": set("aud", "second"), "azp": set("azp", "second"), "another issuer": set("iss", "https://evil.example"),
			"no sub": set("sub", nil), "expired": set("exp", 1000), "at_hash": set("at_hash", "x"),
		} {
			want := notSetUp // every token of this issuer is invalid
			if name == "at_hash" {
				want = unavailable
			}
			r := newTokenRig(t, only(flow))
			_, fresh := grantsOf(r, flow)
			r.issuer.AdjustIDToken(adjust(r))
			row := grantRow{name: flow + ", " + name, header: fresh, want: want, calls: 1}
			row.run(t, r)
		}
	}
}

// set replaces a claim; nil removes it.
func set(name string, v any) func(*tokenRig) func(map[string]any) {
	return func(*tokenRig) func(map[string]any) {
		return func(claims map[string]any) {
			claims[name] = v
			if v == nil {
				delete(claims, name)
			}
		}
	}
}

// TestBasicOfEither: Basic credentials that can be a user's or a client's are tried as a user's first, unless they were
// accepted as a client's before.
func TestBasicOfEither(t *testing.T) {
	r := newTokenRig(t, func(s *Settings) {
		only("password")(s)
		s.AuthMethods = []Method{"password", "client_credentials"}
	})
	row := func(name, id, secret, flow string, calls int, want outcome) grantRow {
		return grantRow{name: name, header: []string{"Authorization", basic(id, secret)}, flow: flow, sub: id, used: inAuthorization,
			calls: calls, want: want}
	}
	runGrants(t, r, []grantRow{
		row("a person", "john", "doe", "password", 1, passes),
		row("a client", "second", "second-secret", "client_credentials", 2, passes),
		row("the client again", "second", "second-secret", "client_credentials", 0, passes),
		row("nobody", "nobody", "x", "", 2, refuses("client_credentials_refused")),
		{name: "a person in a query", target: "/?username=john&password=wrong", calls: 1, want: refuses("password_refused")},
	})
	r.clock.advance(time.Hour)
	if calls := r.issuer.Grants("password"); calls != 4 {
		t.Fatalf("%d password grants", calls)
	}
	later := row("the client, after its token has expired", "second", "second-secret", "client_credentials", 1, passes)
	later.run(t, r)
	if calls := r.issuer.Grants("password"); calls != 4 {
		t.Errorf("a client's credentials were tried as a person's again")
	}
	answers(r.issuer, provider.Token, 500, "")
	away := row("the issuer in trouble", "jane", "doe", "", 1, unavailable)
	away.run(t, r)
}

// TestGrantsByClientArg: a request chooses the gate's client by its ID or its number.
func TestGrantsByClientArg(t *testing.T) {
	r := newTokenRig(t, func(s *Settings) {
		only("password")(s)
		s.Client.ClientID, s.Client.ClientSecret = []string{"app", "second"}, []auth.Secret{"app-secret", "second-secret"}
	})
	for choice, client := range map[string]string{"": "app", "second": "second", "2": "second", "1": "app", "3": "app", "0": "app",
		"-1": "app", "keeps": "app"} {
		res, err := r.chain.Authenticate(r.ask("GET", "/?client_id="+choice, "Authorization", basic("john", "doe")))
		if err != nil || res.Identity.ClientID != client || res.Identity.AccessToken.String("client_id") != client {
			t.Errorf("client_id=%s: %v, expected a token of %s", choice, err, client)
		}
	}
	if calls := r.issuer.Requests(provider.Token); calls != 2 {
		t.Errorf("%d calls, expected one for each client", calls)
	}
}

// TestGrantCachesAreApart: a cached response serves only requests with the same credential, client and parameters.
func TestGrantCachesAreApart(t *testing.T) {
	r := newTokenRig(t, func(s *Settings) {
		only("password")(s)
		s.TokenPostArgsClient = []string{"tenant"}
	})
	rows := []grantRow{
		{name: "no tenant"}, {name: "blue", target: "/?tenant=blue"}, {name: "red", target: "/?tenant=red"},
	}
	for n := range rows {
		rows[n].header, rows[n].flow, rows[n].sub, rows[n].used = []string{"Authorization", basic("john", "doe")}, "password", "john",
			inAuthorization
		rows[n].calls = 1
		rows[n].run(t, r)
		rows[n].calls = 0
		rows[n].run(t, r)
	}
}
