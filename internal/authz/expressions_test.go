package authz

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

func TestExpressions(t *testing.T) {
	const ten = "[1,2,3,4,5,6,7,8,9,10]"
	session := &auth.Identity{
		Flow: "session", Session: true, Issuer: "https://idp.example.com", ClientID: "app", Subject: "john",
		AccessToken: auth.Claims{"sub": "john", "roles": []any{"user", "editor"}, "level": int64(3),
			"score": 1.5, "active": true, "org": map[string]any{"name": "acme", "tags": []any{"a"}}, "scope": "read write"},
		IDToken:  auth.Claims{"sub": "john", "acr": "gold", "amr": []any{"pwd", "otp"}, "auth_time": time.Now().Unix(), "sid": "s-1"},
		Userinfo: auth.Claims{"email": "john@example.com"},
		Tokens:   auth.Tokens{Expiry: time.Now().Add(time.Hour)},
	}
	session.Tokens.AuthorizationDetails = []any{map[string]any{"type": "payment", "limit": int64(7)}, "no object"}
	for text, want := range map[string]string{
		`token.authorization_details.exists(d, d.type == "payment" && d.limit < 8)`: "",
		`token.authorization_details.size() == 1`:                                   "",
		`token.authorization_details.exists(d, d.type == "account")`:                "allow_false",
		`token.authorization_details[0].missing == 1`:                               "allow_failed",

		`true`:                     "",
		`false`:                    "allow_false",
		`"editor" in claims.roles`: "",
		`"admin" in claims.roles`:  "allow_false",
		`claims.roles.exists(r, r.startsWith("ed"))`:                                                    "",
		`claims.level >= 3 && claims.score < 2 && claims.active`:                                        "",
		`claims.org.name == "acme" && claims["org"]["tags"][0] == "a"`:                                  "",
		`has(claims.missing) && claims.missing == 1`:                                                    "allow_false",
		`claims.missing == 1`:                                                                           "allow_failed",
		`claims.?missing.orValue("x") == "x"`:                                                           "",
		`claims.roles == "editor"`:                                                                      "allow_false",
		`id_token.acr == "gold" && "otp" in id_token.amr`:                                               "",
		`userinfo.email.endsWith("@example.com")`:                                                       "",
		`token.flow == "session" && token.sub == "john" && "write" in token.scopes && !token.presented`: "",
		`token.expires > request.time && token.issuer == "https://idp.example.com"`:                     "",
		`session.present && session.acr == "gold" && session.amr == ["pwd", "otp"]`:                     "",
		`request.time - session.auth_time < duration("1h")`:                                             "",
		`request.method == "GET" && request.host == "app.example.com" && request.scheme == "https"`:     "",
		`request.path.matches("^/reports/[0-9]+$") && request.query.x[0] == "1"`:                        "",
		`request.headers["x-team"] == "blue" && request.client_ip == "192.0.2.7"`:                       "",
		`has(request.headers.authorization) || has(request.headers.cookie)`:                             "allow_false",
		`consumer.username == "John" && "gold" in consumer.groups`:                                      "",
		`consumer.custom_id == claims.sub`:                                                              "allow_false",
		`claims.roles.map(r, r + "x").filter(r, r != "").size() == 2`:                                   "",
		ten + `.all(a, ` + ten + `.all(b, ` + ten + `.all(c, ` + ten + `.all(d, ` + ten + `.all(e, ` + ten + `.all(f, ` +
			`a + b + c + d + e + f > 0))))))`: "allow_failed",
	} {
		s := usual()
		s.ConsumerClaims, s.ConsumerBy = [][]string{{"who"}}, []string{"username"}
		session.AccessToken["who"] = "John"
		rule, err := NewRule(RuleSettings{Allow: text})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		r := request("GET", "https://app.example.com/reports/7?x=1")
		r.Header.Set("X-Team", "blue")
		r.Header.Set("Authorization", "Bearer secret")
		r.Header.Set("Cookie", "a=secret")
		begun := time.Now()
		_, err = NewPolicy(s, ACLSettings{}, NewDirectory(people), []string{"app"}).Authorize(r, session, rule, nil)
		if got := reasonOf(err); got != want {
			t.Errorf("%s: reason %q, expected %q: %v", text, got, want, err)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s took %s", text, took)
		}
	}
}

// TestAuthorizationDetails: those of the access token and its introspection count before those of the token response, and only a list does.
func TestAuthorizationDetails(t *testing.T) {
	details := func(kind string) []any { return []any{map[string]any{"type": kind}} }
	claims := func(v any) auth.Claims { return auth.Claims{"sub": "john", "aud": "app", "authorization_details": v} }
	response := auth.Tokens{AuthorizationDetails: details("response")}
	for want, i := range map[string]*auth.Identity{
		"claims":        {AccessToken: claims(details("claims")), Tokens: response},
		"introspection": {Introspection: claims(details("introspection")), Tokens: response},
		"response":      {AccessToken: claims("text"), Tokens: response},
		"none":          {Userinfo: claims(details("userinfo"))},
	} {
		s := &subject{identity: i, claims: i.Judged()}
		got := "none"
		for _, d := range s.token().AuthorizationDetails {
			got, _ = d["type"].(string)
		}
		if got != want {
			t.Errorf("got those of %s, expected those of %s", got, want)
		}
	}
}

// Keycloak's access tokens name their client in azp alone.
func TestExpressionsClientID(t *testing.T) {
	for want, i := range map[string]*auth.Identity{
		"given": {ClientID: "given", AccessToken: auth.Claims{"azp": "other"}},
		"party": {AccessToken: auth.Claims{"azp": "party"}},
	} {
		rule, err := NewRule(RuleSettings{Allow: `token.client_id == "` + want + `"`})
		if err != nil {
			t.Fatal(err)
		}
		p := NewPolicy(usual(), ACLSettings{}, NewDirectory(nil), nil)
		if _, err := p.Authorize(request("GET", "/"), i, rule, nil); err != nil {
			t.Errorf("the client isn't %s: %v", want, err)
		}
	}
}

func TestExpressionsThatArent(t *testing.T) {
	for text, want := range map[string]string{
		`claims.roles.exists(`:                    "column",
		`user.name == "x"`:                        "undeclared reference to 'user'",
		`request.methd == "GET"`:                  "undefined field 'methd'",
		`session.acr + 1`:                         "no matching overload",
		`request.path`:                            "it is string, expected true or false",
		`consumer.groups`:                         "expected true or false",
		strings.Repeat("true && ", 1000) + "true": "longer than",
	} {
		if err := CheckAllow(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, expected %q", text, err, want)
		}
	}
}

// An upstream may use the second of two headers, or parse a malformed query in its own way: an expression sees both headers, and a
// malformed query is refused.
func TestExpressionsSeeAllOfARequest(t *testing.T) {
	p := NewPolicy(usual(), ACLSettings{}, NewDirectory(nil), nil)
	for _, c := range []struct {
		query string
		teams []string
		allow string
		want  string
	}{
		{"team=blue", nil, `request.query.team == ["blue"]`, ""},
		{"team=blue&team=red;", nil, `request.query.team == ["blue"]`, "allow_failed"},
		{"team=blue&team=red%", nil, `request.query.team == ["blue"]`, "allow_failed"},
		{"debug=1;", nil, `!has(request.query.debug)`, "allow_failed"},
		{"debug=1;", nil, `request.method == "GET"`, ""},
		{"", []string{"blue"}, `request.headers["x-team"] == "blue"`, ""},
		{"", []string{"blue", "red"}, `request.headers["x-team"] == "blue"`, "allow_false"},
		{"", []string{"blue", "red"}, `request.headers["x-team"].split(", ") == ["blue", "red"]`, ""},
	} {
		rule, err := NewRule(RuleSettings{Allow: c.allow})
		if err != nil {
			t.Fatal(err)
		}
		r := request("GET", "/")
		r.URL.RawQuery = c.query
		if c.teams != nil {
			r.Header["X-Team"] = c.teams
		}
		if got := reasonOf(p.Precheck(r, rule, nil)); got != c.want {
			t.Errorf("?%s, X-Team: %q: %s: reason %q, expected %q", c.query, c.teams, c.allow, got, c.want)
		}
	}
}

// An expression that depends only on the request is evaluated before the issuer is asked about its token.
func TestPrecheck(t *testing.T) {
	p := NewPolicy(usual(), ACLSettings{}, NewDirectory(nil), nil)
	for text, want := range map[string]string{
		`request.method == "POST"`:                          "allow_false",
		`request.method == "GET"`:                           "",
		`request.method == "POST" && claims.sub == "john"`:  "", // it also reads a claim: later
		`request.method == "POST" || consumer.id == "john"`: "",
	} {
		rule, err := NewRule(RuleSettings{Allow: text})
		if err != nil {
			t.Fatal(err)
		}
		if got := reasonOf(p.Precheck(request("GET", "/"), rule, nil)); got != want {
			t.Errorf("%s: reason %q, expected %q", text, got, want)
		}
	}
}

// An unknown address is neither internal nor external: an expression that reads it refuses the request.
func TestExpressionsOfAnUnknownAddress(t *testing.T) {
	p := NewPolicy(usual(), ACLSettings{}, NewDirectory(nil), nil)
	for text, refuses := range map[string]bool{
		`request.client_ip == "192.0.2.7"`:                               true,
		`request.client_ip != "192.0.2.7"`:                               true,
		`request.client_ip.startsWith("10.")`:                            true,
		`!request.client_ip.startsWith("10.")`:                           true,
		`request.client_ip.size() == 0`:                                  true,
		`request.client_ip.startsWith("unknown")`:                        true,
		`has(request.client_ip)`:                                         true,
		`!has(request.client_ip)`:                                        true,
		`true || request.client_ip == "10.0.0.1"`:                        true,
		`request.method == "GET" || request.client_ip == "10.0.0.1"`:     true,
		`request.method == "GET" ? true : request.client_ip.size() == 0`: true,
		`["10.0.0.1"].all(a, a != request.client_ip)`:                    true,
		`[request].exists(r, r.client_ip != "10.0.0.1")`:                 true,
		`dyn(request)["client_" + "ip"] != "10.0.0.1"`:                   true,
		`request.?client_ip.orValue("x") != "10.0.0.1"`:                  true,
		`!("x" in claims) && request.client_ip != "10.0.0.1"`:            true,
		`request.method == "GET"`:                                        false,
		`request.headers.all(n, n != "client_ip")`:                       false,
		`!has(claims.client_ip) && !has(claims.request)`:                 false,
		`request.host == "app.example.com" && request.path.size() > 0`:   false,
	} {
		rule, err := NewRule(RuleSettings{Allow: text})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		r := request("GET", "/")
		if _, err := p.Authorize(r, nil, rule, nil); reasonOf(err) == "allow_failed" {
			t.Errorf("%s also refuses a known address: %v", text, err)
		}
		r.ClientAddr = netip.Addr{}
		want := ""
		if refuses {
			want = "allow_failed"
		}
		if _, err = p.Authorize(r, nil, rule, nil); reasonOf(err) != want {
			t.Errorf("%s: reason %q, expected %q: %v", text, reasonOf(err), want, err)
		}
		if err := p.Precheck(r, rule, nil); rule.allow.requestOnly && reasonOf(err) != want {
			t.Errorf("%s: before authentication the reason is %q, expected %q: %v", text, reasonOf(err), want, err)
		}
	}
}
