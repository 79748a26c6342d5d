package proxy

import (
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

func token() *string {
	s := "authorization:bearer"
	return &s
}

func TestStripRemovesEverySpelling(t *testing.T) {
	other := &Route{View: View{Headers: HeaderSettings{Upstream: IdentityHeaders{
		Headers: []HeaderMapping{{"X-Tenant", []string{"tenant"}}}, IDTokenHeader: "X-Id-Token",
	}}}}
	p := planFor(t, &Route{View: View{Headers: HeaderSettings{
		UpstreamAccessTokenHeader: token(), Upstream: IdentityHeaders{Headers: []HeaderMapping{{"X-User", []string{"sub"}}}},
	}}}, other)
	for _, name := range []string{
		"X-User", "X_User", "x.user", "X-USER", "X-Tenant", "X_Tenant", "X-Id-Token", "X_Id_Token", "Authorization", "X-Consumer-Id",
		"X_Consumer_Username", "X-Consumer-Anything", "X-Credential-Identifier", "X-Anonymous-Consumer", "X-Authenticated-Groups",
		"Session-Id", "Remote-User", "REMOTE_USER", "Proxy", "Forwarded", "X-Forwarded-For", "X-Forwarded-Anything",
		"X_Forwarded_Proto", "X-Host", "X_Original_Host", "X-Http-Host-Override", "X-Original-Uri", "X-Scheme", "X-Forwarded",
		"True-Client-Ip", "CF-Connecting-IP",
		"X-Forwarded-Client-Cert", "X-Ssl-Client-Cert", "Ssl-Client-Dn", "X-Client-Cert", "Client-Cert", "X-Real-Ip", "X-Request-Id",
		"X+User", "X~user", "X!Consumer!Id", "X'Consumer*Username", "Remote|User", "X#Forwarded^For", "Ssl%Client&Dn", "X$Tenant", "X`User",
	} {
		h := http.Header{name: {"forged"}, "Accept": {"*/*"}}
		p.strip(h)
		if len(h) != 1 {
			t.Errorf("%s passed: %v", name, h)
		}
	}
	h := http.Header{"Authorization": {"Bearer x"}, "X-Users": {"a"}, "X": {"b"}, "Sessionid": {"c"}}
	(&upstreamHeader{plan: p, keepAuthorization: true}).apply(h)
	if len(h) != 4 {
		t.Errorf("too much was removed: %v", h)
	}
}

// TestForUpstream checks that no header that the gate sets or is known to be believed is one for the client, in any spelling.
func TestForUpstream(t *testing.T) {
	is := ForUpstream([]string{"X-User"})
	for _, names := range [][]string{removedNames, methodOverrides, ownNames, consumerNames, forwardedNames, {"X-User", "x_user"}} {
		for _, name := range names {
			if !is(name) || !is(strings.ReplaceAll(strings.ToLower(name), "-", "_")) {
				t.Errorf("%s isn't for the upstream", name)
			}
		}
	}
	if is("X-Mine") || is("Set-Cookie") {
		t.Error("a header for the client is for the upstream")
	}
}

func TestMethodOverridesPassWhereTheRouteSaysSo(t *testing.T) {
	names := []string{
		"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Method-Override", "HTTP-Method-Override", "X-Method",
		"X-Original-Method", "x_http_method_override", "X.HTTP.Method.Override", "X+Method",
	}
	for _, allowed := range []bool{false, true} {
		route := &Route{}
		if allowed {
			route.Allow = []string{"method_override"}
		}
		p := planFor(t, route)
		for _, name := range names {
			h := http.Header{name: {"DELETE"}}
			if p.strip(h); (len(h) == 1) != allowed {
				t.Errorf("%s: allowed is %v, and %v is left", name, allowed, h)
			}
		}
	}
}

func TestOwnCookiesStayHere(t *testing.T) {
	other := &Route{CookieNames: []string{"session_x", "__Host-session_x"}, CookiePrefixes: []string{"authorization_"}}
	p := planFor(t, &Route{}, other) // other's cookies are the gate's, too
	for in, want := range map[string]string{
		"session_x=1":                           "",
		"a=1; session_x=2; b=3":                 "a=1; b=3",
		"session_x=1;__Host-session_x=2; a=b=c": "a=b=c",
		"authorization_12ab=s; session_y=1":     "session_y=1",
		"session_x ; session_x =2; q=\"x;y\"":   "q=\"x; y\"",
	} {
		h := http.Header{"Cookie": {in}}
		stripCookies(h, p.cookies.has)
		if got := h.Get("Cookie"); got != want {
			t.Errorf("%q became %q, expected %q", in, got, want)
		}
	}
}

func TestSetWritesClaims(t *testing.T) {
	mapping := func(name string) HeaderMapping { return HeaderMapping{"X-" + name, []string{name}} }
	r := routeFor(t, &Route{View: View{Headers: HeaderSettings{
		UpstreamAccessTokenHeader: token(), Upstream: IdentityHeaders{IDTokenHeader: "x_id_token", Headers: []HeaderMapping{
			mapping("s"), mapping("n"), mapping("b"), mapping("o"), mapping("l"), mapping("bad"), mapping("long"), mapping("null"),
			{"X-Nested", []string{"o", "k"}}, mapping("idonly"),
		}},
	}}})
	identity := &auth.Identity{
		AccessToken: auth.Claims{"s": "Zoë", "n": int64(7), "b": true, "o": map[string]any{"k": "v"}, "l": []any{"a", "b"},
			"bad": "a\r\nX-Admin: 1", "long": strings.Repeat("a", maxHeaderValue+1), "null": nil},
		IDToken: auth.Claims{"idonly": "yes", "s": "other"},
		Tokens:  auth.Tokens{AccessToken: "at", IDToken: "it"},
	}
	h, refused := r.set(identity)
	want := map[string]string{"Authorization": "Bearer at", "X-Id-Token": "it", "X-S": "Zoë", "X-N": "7", "X-B": "true",
		"X-O": "eyJrIjoidiJ9", "X-L": "WyJhIiwiYiJd", "X-Nested": "v", "X-Idonly": "yes"}
	for name, v := range want {
		if h.Get(name) != v {
			t.Errorf("%s: %q, expected %q", name, h.Get(name), v)
		}
	}
	if len(h) != len(want) || strings.Join(refused, " ") != "X-Bad X-Long" {
		t.Errorf("got %v, refused %v", h, refused)
	}
}

func BenchmarkHeaderPlan(b *testing.B) {
	r := routeFor(b, &Route{View: View{Headers: HeaderSettings{UpstreamAccessTokenHeader: token()}}})
	identity := &auth.Identity{Tokens: auth.Tokens{AccessToken: "at"}}
	b.ReportAllocs()
	for b.Loop() {
		h := http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}, "Authorization": {"Bearer x"}, "Accept-Encoding": {"gzip"}}
		d := &Decision{
			Request: auth.Request{Request: &http.Request{}, Origin: "https://app.example.com"},
			Route:   r, Rule: defaultRule, Identity: identity,
		}
		d.upstreamHeader(h).apply(h)
	}
}
