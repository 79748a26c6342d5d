package flow

import (
	"net/http/httptest"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// TestDue: an access token is refreshed before it expires, by the leeway earlier, but not in the first half of its lifetime
// because of the leeway.
func TestDue(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		leeway, life, age time.Duration
		due               bool
	}{
		{0, time.Minute, 54 * time.Second, false},
		{0, time.Minute, 56 * time.Second, true},
		{10 * time.Second, time.Minute, 44 * time.Second, false},
		{10 * time.Second, time.Minute, 46 * time.Second, true},
		{time.Hour, time.Minute, 24 * time.Second, false},
		{time.Hour, time.Minute, 26 * time.Second, true},
		{0, 8 * time.Second, 5900 * time.Millisecond, false}, // a quarter of a short life ahead
		{0, 8 * time.Second, 6100 * time.Millisecond, true},
		{time.Hour, 0, time.Hour, false}, // it has no end
	} {
		a := &session.Login{Obtained: start, Identity: &auth.Identity{}}
		if c.life > 0 {
			a.Identity.Tokens.Expiry = start.Add(c.life)
		}
		f := &sessionRefresh{clients: &clients{}, leeway: c.leeway, now: func() time.Time { return start.Add(c.age) }}
		if f.due(a) != c.due {
			t.Errorf("leeway %v, a token for %v, after %v: due is %v", c.leeway, c.life, c.age, !c.due)
		}
	}
}

// TestCertificateReplaced checks when a session is refreshed because its tokens were requested with another client certificate.
func TestCertificateReplaced(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	client := &oidc.Client{ID: "app"} // without a certificate
	brought := func(l *session.Login) { l.Identity.Presented = true }
	for name, c := range map[string]struct {
		tokens auth.Tokens
		age    time.Duration
		login  func(*session.Login)
		due    bool
	}{
		"the same":          {auth.Tokens{}, time.Minute, nil, false},
		"another":           {auth.Tokens{Certificate: "another"}, rebindAfter, nil, true},
		"another, just now": {auth.Tokens{Certificate: "another"}, rebindAfter - 1, nil, false},
		"a client's token":  {auth.Tokens{Certificate: "another"}, time.Minute, brought, false},
		"a refresh failed":  {auth.Tokens{Certificate: "another"}, time.Minute, func(l *session.Login) { l.RefreshFailed = true }, false},
		"of another client": {auth.Tokens{Certificate: "another"}, time.Minute, func(l *session.Login) { l.ClientID = "gone" }, false},
	} {
		l := &session.Login{Obtained: start, ClientID: client.ID, Identity: &auth.Identity{Tokens: c.tokens}}
		if c.login != nil {
			c.login(l)
		}
		f := &sessionRefresh{clients: &clients{list: []*oidc.Client{client}}, now: func() time.Time { return start.Add(c.age) }}
		if f.due(l) != c.due {
			t.Errorf("%s: due is %v", name, !c.due)
		}
	}
}

// TestPlantable: a session begins only with a credential that no other site can put into a browser's request.
func TestPlantable(t *testing.T) {
	in := func(places ...auth.In) (used []auth.Param) {
		for _, p := range places {
			used = append(used, auth.Param{In: p, Name: "token"})
		}
		return used
	}
	for name, c := range map[string]struct {
		used                []auth.Param
		authorization, site string
		forgeable           bool
	}{
		"a header":                  {in(auth.InHeader), "", "cross-site", false},
		"a query":                   {in(auth.InQuery), "", "", true},
		"a body":                    {in(auth.InBody), "", "same-origin", true},
		"a cookie":                  {in(auth.InCookie), "", "", true},
		"a header and a query":      {in(auth.InHeader, auth.InQuery), "", "", true},
		"nowhere":                   {nil, "", "", true},
		"Bearer":                    {inAuthorization, "Bearer x", "cross-site", false},
		"Basic of a program":        {inAuthorization, "Basic x", "", false},
		"Basic of the page's own":   {inAuthorization, "basic x", "same-origin", false},
		"Basic of another site":     {inAuthorization, "basic x", "cross-site", true},
		"Basic of a neighbour host": {inAuthorization, "Basic x", "same-site", true},
	} {
		r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil)}
		r.Header.Set("Authorization", c.authorization)
		r.Header.Set("Sec-Fetch-Site", c.site)
		if mayBeForged(r, c.used) != c.forgeable {
			t.Errorf("%s: forgeable is %v", name, !c.forgeable)
		}
	}
}

// TestClearing: the cookie of a session that has ended is cleared, unless the browser has a newer one of the name or the
// store is unavailable.
func TestClearing(t *testing.T) {
	r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil), Origin: "http://127.0.0.1"}
	f := &sessions{sessionCookies: &sessionCookies{cookies: []cookie{newCookie("s",
		CookieSettings{Path: "/", SameSite: "Lax", HTTPOnly: true})}}}
	for err, clears := range map[error]bool{
		session.ErrNotFound: true, session.ErrEnded: true, errForeign: true, session.ErrReplaced: false, session.ErrUnavailable: false,
	} {
		if got := auth.HeaderOf(f.sessionError(r, 0, err)).Get("Set-Cookie") != ""; got != clears {
			t.Errorf("%v: cleared is %v", err, got)
		}
	}
}
