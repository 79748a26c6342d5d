package authz

import (
	"sallyport/internal/auth"
	"testing"
)

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
