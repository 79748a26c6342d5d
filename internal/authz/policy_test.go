package authz

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// usual are the settings' defaults.
func usual() Settings {
	return Settings{
		ScopesClaim: []string{"scope"}, AudienceClaim: []string{"aud"}, GroupsClaim: []string{"groups"}, RolesClaim: []string{"roles"},
		ConsumerSettings: ConsumerSettings{ConsumerBy: []string{"custom_id", "username"}, CredentialClaim: []string{"sub"}},
	}
}

func request(method, target string) *auth.Request {
	r := httptest.NewRequest(method, target, nil)
	return &auth.Request{Request: r, Origin: "https://app.example.com:8443",
		Hostname: "app.example.com", Path: r.URL.Path, ClientAddr: netip.MustParseAddr("192.0.2.7"), ID: "id"}
}

func john(claims auth.Claims) *auth.Identity {
	return &auth.Identity{Flow: "bearer", Issuer: "https://idp.example.com",
		ClientID: "cli", Subject: "john", AccessToken: claims, Presented: true}
}

// reasonOf returns the reason code of a refusal, or "".
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return auth.AsError(err).Reason
}

func decide(t *testing.T, s Settings, a ACLSettings, consumers []Consumer, r RuleSettings, i *auth.Identity) (*Grant, string) {
	t.Helper()
	rule, err := NewRule(r)
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewPolicy(s, a, NewDirectory(consumers), []string{"app", "my client"}).Authorize(request("GET", "/x"), i, rule, nil)
	return g, reasonOf(err)
}

// TestPairs has the examples of AND and OR in the Kong plugin's documentation, and every kind of value that a claim can have.
func TestPairs(t *testing.T) {
	for name, c := range map[string]struct {
		claim    any
		required []string
		want     bool
	}{
		"one word of a string":              {"employee", []string{"employee"}, true},
		"of several":                        {"openid email profile", []string{"email"}, true},
		"a part of a word":                  {"administrator", []string{"admin"}, false},
		"another case":                      {"Admin", []string{"admin"}, false},
		"and, all there":                    {"employee marketing", []string{"employee marketing"}, true},
		"and, in another order":             {"marketing x employee", []string{"employee marketing"}, true},
		"and, one missing":                  {"employee", []string{"employee marketing"}, false},
		"or, the first":                     {"employee marketing", []string{"employee marketing", "super-admins"}, true},
		"or, the second":                    {"super-admins", []string{"employee marketing", "super-admins"}, true},
		"or, half of the first":             {"employee", []string{"employee marketing", "super-admins"}, false},
		"a list":                            {[]any{"employee", "marketing"}, []string{"employee marketing"}, true},
		"a list, or":                        {[]any{"super-admins"}, []string{"employee marketing", "super-admins"}, true},
		"a list's element isn't split":      {[]any{"employee marketing"}, []string{"employee marketing"}, false},
		"a number":                          {int64(7), []string{"7"}, true},
		"a list of numbers":                 {[]any{int64(7), 1.5}, []string{"7 1.5"}, true},
		"a boolean":                         {true, []string{"true"}, true},
		"an object has no words":            {map[string]any{"employee": true}, []string{"employee"}, false},
		"null":                              {nil, []string{"null"}, false},
		"absent":                            {"(absent)", []string{"employee"}, false},
		"empty":                             {"", []string{"employee"}, false},
		"nothing is required":               {"(absent)", nil, true},
		"an entry of spaces requires none":  {"(absent)", []string{"  "}, true},
		"a word that holds the list's sign": {[]any{`["employee"]`}, []string{"employee"}, false},
	} {
		for pair, set := range map[string]func(*RequiredSettings){
			"scopes": func(r *RequiredSettings) { r.ScopesRequired = c.required },
			"groups": func(r *RequiredSettings) { r.GroupsRequired = c.required },
			"roles":  func(r *RequiredSettings) { r.RolesRequired = c.required },
		} {
			claims := auth.Claims{"aud": "app", map[string]string{"scopes": "scope", "groups": "groups", "roles": "roles"}[pair]: c.claim}
			if c.claim == "(absent)" {
				claims = auth.Claims{"aud": "app"}
			}
			onRoute, onRule := usual(), RuleSettings{}
			set(&onRoute.RequiredSettings)
			set(&onRule.RequiredSettings)
			for place, got := range map[string]string{
				"route": second(decide(t, onRoute, ACLSettings{}, nil, RuleSettings{}, john(claims))),
				"rule":  second(decide(t, usual(), ACLSettings{}, nil, onRule, john(claims))),
			} {
				text, _ := c.claim.(string)
				want := c.want && (pair == "scopes" || !strings.Contains(text, " ")) // one string is one group, or one role
				if (got == "") != want || got != "" && got != pair+"_required" {
					t.Errorf("%s: %s of the %s: reason %q", name, pair, place, got)
				}
			}
		}
	}
}

func second(_ *Grant, reason string) string { return reason }

// All configured pairs must hold, those of the route and those of the rule. Each reads the claim at its path.
func TestAllPairsHold(t *testing.T) {
	s := usual()
	s.RolesClaim = []string{"realm_access", "roles"}
	s.RolesRequired, s.ScopesRequired = []string{"admin"}, []string{"read"}
	roles := func(all ...any) map[string]any { return map[string]any{"roles": all} }
	for name, c := range map[string]struct {
		claims auth.Claims
		want   string
	}{
		"all":       {auth.Claims{"aud": "app", "scope": "read", "realm_access": roles("admin", "dev"), "groups": "staff"}, ""},
		"no scope":  {auth.Claims{"aud": "app", "realm_access": roles("admin", "dev"), "groups": "staff"}, "scopes_required"},
		"no role":   {auth.Claims{"aud": "app", "scope": "read", "realm_access": roles(), "groups": "staff"}, "roles_required"},
		"top level": {auth.Claims{"aud": "app", "scope": "read", "roles": "admin dev", "groups": "staff"}, "roles_required"},
		"dotted": {auth.Claims{"aud": "app", "scope": "read", "realm_access.roles": "admin dev", "groups": "staff"},
			"roles_required"},
		"rule's group": {auth.Claims{"aud": "app", "scope": "read", "realm_access": roles("admin", "dev")}, "groups_required"},
		"rule's role":  {auth.Claims{"aud": "app", "scope": "read", "realm_access": roles("admin"), "groups": "staff"}, "roles_required"},
	} {
		rule := RuleSettings{RequiredSettings: RequiredSettings{GroupsRequired: []string{"staff"}, RolesRequired: []string{"dev"}}}
		if _, got := decide(t, s, ACLSettings{}, nil, rule, john(c.claims)); got != c.want {
			t.Errorf("%s: reason %q, expected %q", name, got, c.want)
		}
	}
}

func TestAudience(t *testing.T) {
	for name, c := range map[string]struct {
		aud       any
		required  []string
		presented bool
		want      string
	}{
		"ours":                              {"app", nil, true, ""},
		"ours among others":                 {[]any{"x", "app"}, nil, true, ""},
		"another's":                         {"other", nil, true, "token_audience"},
		"none":                              {nil, nil, true, "token_audience"},
		"any":                               {"other", []string{"any"}, true, ""},
		"required":                          {"api", []string{"api"}, true, ""},
		"required, and ours doesn't matter": {"app", []string{"api"}, true, "token_audience"},
		"one string is one audience":        {"x app", nil, true, "token_audience"},
		"one element is one audience":       {[]any{"x app"}, nil, true, "token_audience"},
		"a client with a space":             {"my client", nil, true, ""},
		"the words of a client":             {[]any{"my", "client"}, nil, true, "token_audience"},
		"required, one string is one":       {"x api", []string{"api"}, true, "token_audience"},
		"required, both words":              {[]any{"y", "x", "api"}, []string{"x api"}, true, ""},
		"required, one of the words":        {[]any{"api"}, []string{"x api"}, true, "token_audience"},
		"required, the words as one string": {"x api", []string{"x api"}, true, "token_audience"},
		"required, got by the gate":         {"x api", []string{"api"}, false, "audience_required"},
		"got by the gate":                   {"other", nil, false, ""},
		"got by the gate, required":         {"other", []string{"api"}, false, "audience_required"},
	} {
		s, i := usual(), john(auth.Claims{"aud": c.aud})
		s.AudienceRequired, i.Presented = c.required, c.presented
		if _, got := decide(t, s, ACLSettings{}, nil, RuleSettings{}, i); got != c.want {
			t.Errorf("%s: reason %q, expected %q", name, got, c.want)
		}
	}
}

func TestForbiddenAndDomains(t *testing.T) {
	s := usual()
	s.ClaimsForbidden, s.Domains = []string{"guest", "suspended"}, []string{"example.com"}
	for name, c := range map[string]struct {
		claims auth.Claims
		want   string
	}{
		"fine":             {auth.Claims{"aud": "app", "hd": "example.com"}, ""},
		"there, and false": {auth.Claims{"aud": "app", "hd": "example.com", "guest": false}, "claims_forbidden"},
		"there, and null":  {auth.Claims{"aud": "app", "hd": "example.com", "suspended": nil}, "claims_forbidden"},
		"another domain":   {auth.Claims{"aud": "app", "hd": "evil.example.com"}, "domains"},
		"no domain":        {auth.Claims{"aud": "app"}, "domains"},
		"a list":           {auth.Claims{"aud": "app", "hd": []any{"example.com"}}, "domains"},
	} {
		if _, got := decide(t, s, ACLSettings{}, nil, RuleSettings{}, john(c.claims)); got != c.want {
			t.Errorf("%s: reason %q, expected %q", name, got, c.want)
		}
	}
}

// Without an identity pairs are not checked, but the ACL and the expression are. An anonymous consumer is not enough for a rule that
// itself requires an identity.
func TestNobody(t *testing.T) {
	s := usual()
	s.RolesRequired = []string{"admin"}
	optional := RuleSettings{Auth: "optional"}
	if _, got := decide(t, s, ACLSettings{}, nil, optional, nil); got != "" {
		t.Errorf("pairs: reason %q", got)
	}
	if _, got := decide(t, s, ACLSettings{Allow: []string{"staff"}}, nil, optional, nil); got != "acl_not_allowed" {
		t.Errorf("ACL: reason %q", got)
	}
	optional.Allow = `token.sub != ""`
	if _, got := decide(t, s, ACLSettings{}, nil, optional, nil); got != "allow_false" {
		t.Errorf("allow: reason %q", got)
	}
	s.Anonymous = "guest"
	p := NewPolicy(s, ACLSettings{}, NewDirectory(people), nil)
	for name, c := range map[string]struct {
		rule  RuleSettings
		needs bool
	}{
		"a rule that says nothing":  {RuleSettings{}, false},
		"required":                  {RuleSettings{Auth: "required"}, true},
		"a role":                    {RuleSettings{RequiredSettings: RequiredSettings{RolesRequired: []string{"admin"}}}, true},
		"a strong login":            {RuleSettings{ACRValues: []string{"gold"}}, true},
		"optional":                  {RuleSettings{Auth: "optional"}, false},
		"an expression alone":       {RuleSettings{Allow: `request.method == "GET"`}, false},
		"no consumer for nobody":    {RuleSettings{}, false},
		"the ACL judges the group":  {RuleSettings{}, false},
		"whatever it is called":     {RuleSettings{Paths: []string{"/x"}}, false},
		"and reported only is seen": {RuleSettings{Auth: "required", ReportOnly: true}, true},
	} {
		rule, err := NewRule(c.rule)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.NeedsCredential(rule); got != c.needs {
			t.Errorf("%s: needs a credential: %v", name, got)
		}
	}
	rule, _ := NewRule(RuleSettings{})
	g, err := NewPolicy(s, ACLSettings{Allow: []string{"anonymous"}}, NewDirectory(people),
		nil).Authorize(request("GET", "/"), nil, rule, nil)
	if err != nil || !g.Anonymous || g.Consumer.Username != "guest" || g.Credential != "" {
		t.Errorf("the anonymous consumer: %+v, %v", g, err)
	}
}

func TestStepUp(t *testing.T) {
	at := time.Now()
	now = func() time.Time { return at }
	defer func() { now = time.Now }()
	minute := time.Minute
	for name, c := range map[string]struct {
		claims auth.Claims
		want   string
	}{
		"strong and recent": {auth.Claims{"aud": "app", "acr": "gold", "auth_time": at.Add(-50 * time.Second).Unix()}, ""},
		"weak":              {auth.Claims{"aud": "app", "acr": "bronze", "auth_time": at.Unix()}, "step_up_required"},
		"unknown":           {auth.Claims{"aud": "app", "auth_time": at.Unix()}, "step_up_required"},
		"long ago":          {auth.Claims{"aud": "app", "acr": "gold", "auth_time": at.Add(-2 * time.Minute).Unix()}, "step_up_required"},
		"nobody knows when": {auth.Claims{"aud": "app", "acr": "gold"}, "step_up_required"},
		"no date":           {auth.Claims{"aud": "app", "acr": "gold", "auth_time": "soon"}, "step_up_required"},
	} {
		_, got := decide(t, usual(), ACLSettings{}, nil, RuleSettings{ACRValues: []string{"gold", "platinum"}, MaxAge: &minute},
			john(c.claims))
		if got != c.want {
			t.Errorf("%s: reason %q, expected %q", name, got, c.want)
		}
	}
	rule, _ := NewRule(RuleSettings{ACRValues: []string{"gold"}, MaxAge: &minute})
	_, err := NewPolicy(usual(), ACLSettings{}, NewDirectory(nil), []string{"app"}).Authorize(request("GET", "/"),
		john(auth.Claims{"aud": "app"}), rule, nil)
	if e := auth.AsError(err); e.Status != http.StatusUnauthorized || e.Code != "insufficient_user_authentication" ||
		e.StepUp.ACRValues[0] != "gold" {
		t.Errorf("the refusal is %+v", e)
	}
	_, err = NewPolicy(usual(), ACLSettings{}, NewDirectory(nil), []string{"app"}).Authorize(request("GET", "/"),
		john(auth.Claims{"aud": "app", "acr": "gold"}), rule, nil)
	if want := "auth_time: the time of the login is unknown, max_age is 1m0s"; auth.AsError(err).Err.Error() != want {
		t.Errorf("the log says %q, want %q", auth.AsError(err).Err, want)
	}
}

func TestReportOnly(t *testing.T) {
	rule, err := NewRule(RuleSettings{RequiredSettings: RequiredSettings{RolesRequired: []string{"admin"}}, ReportOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	p := NewPolicy(usual(), ACLSettings{}, NewDirectory(nil), []string{"app"})
	var reported []error
	report := &Observer{Report: func(err error) { reported = append(reported, err) }}
	if _, err := p.Authorize(request("GET", "/"), john(auth.Claims{"aud": "app"}), rule, report); err != nil ||
		len(reported) != 1 || reasonOf(reported[0]) != "roles_required" {
		t.Errorf("got %v, reported %v", err, reported)
	}
	// report_only does not apply to the requirements of the route
	if _, err := p.Authorize(request("GET", "/"), john(auth.Claims{"aud": "other"}), rule, report); reasonOf(err) != "token_audience" {
		t.Errorf("another's token: %v", err)
	}
}

func BenchmarkAllow(b *testing.B) {
	rule, err := NewRule(RuleSettings{Allow: `"editor" in claims.roles && request.method == "GET"`})
	if err != nil {
		b.Fatal(err)
	}
	p, r := NewPolicy(usual(), ACLSettings{}, NewDirectory(nil), []string{"app"}), request("GET", "/")
	i := john(auth.Claims{"aud": "app", "roles": []any{"user", "editor"}})
	r.Request = r.WithContext(context.Background())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Authorize(r, i, rule, nil); err != nil {
			b.Fatal(err)
		}
	}
}
