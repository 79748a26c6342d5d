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

var people = []Consumer{
	{Username: "John", CustomID: "c-1", ID: "11111111-0000-0000-0000-000000000000", Groups: []string{"gold"}},
	{Username: "jane", CustomID: "c-2", Groups: []string{"silver", "gold"}},
	{Username: "guest", Groups: []string{"anonymous"}},
}

func TestConsumers(t *testing.T) {
	claims := auth.Claims{"aud": "app", "sub": "c-1", "name": "john", "mail": "", "n": int64(5)}
	for name, c := range map[string]struct {
		change   func(*Settings)
		identity *auth.Identity
		want     string // username
		reason   string
	}{
		"no mapping":              {func(s *Settings) {}, nil, "", ""},
		"by custom_id":            {func(s *Settings) { s.ConsumerClaims = [][]string{{"sub"}} }, nil, "John", ""},
		"the older spelling":      {func(s *Settings) { s.ConsumerClaim = []string{"sub"} }, nil, "John", ""},
		"the first that is there": {func(s *Settings) { s.ConsumerClaims = [][]string{{"absent"}, {"sub"}} }, nil, "John", ""},
		"an empty one is there":   {func(s *Settings) { s.ConsumerClaims = [][]string{{"mail"}, {"sub"}} }, nil, "", "consumer_unknown"},
		"none is there":           {func(s *Settings) { s.ConsumerClaims = [][]string{{"absent"}} }, nil, "", "consumer_unknown"},
		"names nobody":            {func(s *Settings) { s.ConsumerClaims = [][]string{{"n"}} }, nil, "", "consumer_unknown"},
		"a name's case":           {func(s *Settings) { s.ConsumerClaims = [][]string{{"name"}} }, nil, "", "consumer_unknown"},
		"a name's case, ignored": {func(s *Settings) { s.ConsumerClaims, s.ByUsernameIgnoreCase = [][]string{{"name"}}, true },
			nil, "John", ""},
		"not by that": {func(s *Settings) { s.ConsumerClaims, s.ConsumerBy = [][]string{{"sub"}}, []string{"id"} },
			nil, "", "consumer_unknown"},
		"optional":                  {func(s *Settings) { s.ConsumerClaims, s.ConsumerOptional = [][]string{{"n"}}, true }, nil, "", ""},
		"the anonymous one instead": {func(s *Settings) { s.ConsumerClaims, s.Anonymous = [][]string{{"n"}}, "guest" }, nil, "guest", ""},
		"the ID token comes first": {func(s *Settings) { s.ConsumerClaims = [][]string{{"sub"}} },
			&auth.Identity{AccessToken: claims, IDToken: auth.Claims{"sub": "c-2"}}, "jane", ""},
		"of what was exchanged": {func(s *Settings) { s.ConsumerClaims = [][]string{{"sub"}} },
			&auth.Identity{AccessToken: claims, MappedFrom: auth.Claims{"sub": "c-2"}}, "jane", ""},
		"of what was exchanged only": {func(s *Settings) { s.ConsumerClaims = [][]string{{"sub"}} },
			&auth.Identity{AccessToken: claims, MappedFrom: auth.Claims{}}, "", "consumer_unknown"},
	} {
		s, i := usual(), c.identity
		c.change(&s)
		if i == nil {
			i = john(claims)
		}
		g, reason := decide(t, s, ACLSettings{}, people, RuleSettings{}, i)
		got := ""
		if g.Consumer != nil {
			got = g.Consumer.Username
		}
		if got != c.want || reason != c.reason || g.Anonymous != (c.want == "guest") {
			t.Errorf("%s: %q, reason %q, anonymous %v", name, got, reason, g.Anonymous)
		}
	}
}

// The list applies to the groups of the token, of the consumer and of consumer_groups_claim. Deny comes before allow.
func TestACL(t *testing.T) {
	for name, c := range map[string]struct {
		acl    ACLSettings
		groups any
		more   any // consumer_groups_claim
		want   string
	}{
		"allowed":     {ACLSettings{Allow: []string{"staff"}}, []any{"staff", "x"}, nil, ""},
		"not allowed": {ACLSettings{Allow: []string{"staff"}}, []any{"x"}, nil, "acl_not_allowed"},
		"no groups":   {ACLSettings{Allow: []string{"staff"}}, nil, nil, "acl_not_allowed"},
		"denied":      {ACLSettings{Deny: []string{"x"}}, []any{"staff", "x"}, nil, "acl_denied"},
		"denied before allowed": {ACLSettings{Allow: []string{"staff"}, Deny: []string{"x"}},
			[]any{"staff", "x"}, nil, "acl_denied"},
		"not denied":                   {ACLSettings{Deny: []string{"x"}}, "staff", nil, ""},
		"a group of the consumer":      {ACLSettings{Allow: []string{"gold"}}, nil, nil, ""},
		"a group that a claim names":   {ACLSettings{Allow: []string{"silver"}}, nil, "silver", ""},
		"one that nobody has isn't it": {ACLSettings{Allow: []string{"made-up"}}, nil, []any{"made-up", "silver"}, "acl_not_allowed"},
		"one string is one group":      {ACLSettings{Allow: []string{"admin"}}, "staff admin", nil, "acl_not_allowed"},
		"one string denies by a word":  {ACLSettings{Deny: []string{"admin"}}, "staff admin", nil, "acl_denied"},
		"one element denies by a word": {ACLSettings{Deny: []string{"admin"}}, []any{"staff admin"}, nil, "acl_denied"},
		"a denied group with a space":  {ACLSettings{Deny: []string{"staff x"}}, "staff x", nil, "acl_denied"},
		"it stands among others":       {ACLSettings{Deny: []string{"staff x"}}, []any{"a staff  x y"}, nil, "acl_denied"},
		"its first word alone":         {ACLSettings{Deny: []string{"staff x"}}, []any{"staff", "x"}, nil, ""},
		"a part of a word":             {ACLSettings{Deny: []string{"staff x"}}, "staff xy", nil, ""},
		"denied, and nobody has it":    {ACLSettings{Deny: []string{"staff x"}}, nil, []any{"silver", "staff x"}, "acl_denied"},
		"unknown, denied by a word":    {ACLSettings{Deny: []string{"x"}}, nil, []any{"silver", "staff x"}, "acl_denied"},
		"unknown, and not denied":      {ACLSettings{Deny: []string{"y"}}, nil, []any{"silver", "staff x"}, ""},
		"none that is known":           {ACLSettings{}, nil, "made-up", "consumer_groups_unknown"},
	} {
		s := usual()
		s.ConsumerClaims, s.AuthenticatedGroupsClaim = [][]string{{"sub"}}, []string{"groups"}
		claims := auth.Claims{"aud": "app", "sub": "c-1", "groups": c.groups}
		if c.more != nil {
			s.ConsumerGroupsClaim, claims["tiers"] = []string{"tiers"}, c.more
		}
		if _, got := decide(t, s, c.acl, people, RuleSettings{}, john(claims)); got != c.want {
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
