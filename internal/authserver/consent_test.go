package authserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sallyport/internal/auth"
	"testing"
	"time"
)

// asked expects the consent page, and returns the form's sealed field.
func (g *gate) asked(a *auth.Answer, err error) string {
	g.r.Helper()
	if err != nil || a.Page == nil || len(a.Page.Fields) != 1 || !a.Page.Post || a.Page.Link != base+authorizePath {
		g.r.Fatalf("got %+v, %v, expected the consent page", a, err)
	}
	return a.Page.Fields[0].Value
}

// reply submits the form of the consent page.
func (g *gate) reply(sealed string, pairs ...string) (*auth.Answer, error) {
	res, err := g.serve("authorize", http.MethodPost, "", form(append([]string{"consent", sealed}, pairs...)...).Encode())
	if err != nil {
		return nil, err
	}
	return res.Answer, nil
}

// stale expects the error page for a form that is not valid any more, and returns its link.
func (g *gate) stale(a *auth.Answer, err error) string {
	g.r.Helper()
	var e *auth.Error
	if !errors.As(err, &e) || e.Reason != "oauth2_consent_stale" || e.Status != 400 {
		g.r.Fatalf("got %+v, %v, expected that it is out of date", a, err)
	}
	return e.Link
}

func TestConsent(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		a, err := g.browse(asking())
		sealed := g.asked(a, err)
		page := fmt.Sprintf("%s %s %s %q %s %s", a.Page.Title, a.Page.Text, a.Page.Action, a.Page.Items, a.Page.Link, a.Page.Refuse)
		expected := "Allow access? The App asks for access in your name. If you allow it, you go on to https://app.example.com. " +
			`It asks for: Allow ["read" "write"] /api/oauth2/authorize Don't allow`
		if page != expected {
			r.Errorf("got      %s\nexpected %s", page, expected)
		}
		a, err = g.reply(sealed)
		q := g.redirected(a, err, appURI+"?")
		if q.Get("state") != "the state" {
			r.Errorf("got %v", q)
		}
		if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Referrer-Policy") != "no-referrer" {
			r.Errorf("got %v", a.Header)
		}
		access, _ := g.granted(redeeming(q.Get("code")))
		if i := g.alive(access); i.Subject != "john" || i.Tokens.Scope != "read write" {
			r.Errorf("got %+v", i)
		}

		a, err = g.browse(with(asking(), "scope", "read")) // consent was given before
		g.redirected(a, err, appURI+"?code=")
		a, err = g.browse(with(asking(), "prompt", "none"))
		g.redirected(a, err, appURI+"?code=")
		a, err = g.browse(with(asking(), "prompt", "consent"))
		sealed = g.asked(a, err)
		g.user = &auth.Identity{Issuer: "https://idp.example.com", Subject: "jane"}
		a, err = g.browse(asking()) // another user isn't John
		g.asked(a, err)
		g.user.Subject, g.user.Issuer = "john", "https://other.example.com"
		a, err = g.browse(asking()) // nor is another issuer's John
		g.asked(a, err)
		g.user.Issuer = "https://idp.example.com"
		a, err = g.reply(sealed, "refuse", "1")
		if q := g.redirected(a, err, appURI+"?"); q.Get("error") != "access_denied" ||
			q.Get("state") != "the state" || q.Get("code") != "" {
			r.Errorf("got %v", q)
		}
		a, err = g.browse(asking()) // John has changed his mind
		g.asked(a, err)
	})
}

func TestConsentIsNeverRememberedWhereOthersCanListen(t *testing.T) {
	g := memoryRig(t).gate()
	for target, asks := range map[string]bool{spaURI: false, "http://127.0.0.1:40123/callback": true, "com.example.spa:/callback": true} {
		asked := with(asking(), "client_id", "spa", "redirect_uri", target, "scope", "read")
		a, err := g.browse(with(asked, "prompt", "consent"))
		a, err = g.reply(g.asked(a, err))
		q := g.redirected(a, err, target+"?")
		g.granted(with(redeeming(q.Get("code")), "client_id", "spa", "client_secret", "", "redirect_uri", target))
		a, err = g.browse(asked)
		if asks {
			g.asked(a, err)
		} else {
			g.redirected(a, err, target+"?")
		}
	}
}

func TestNoConsent(t *testing.T) {
	g := memoryRig(t).gate()
	asked := form("response_type", "code", "client_id", "first party", "code_challenge",
		challengeOf(verifier), "code_challenge_method", "S256")
	a, err := g.browse(asked)
	q := g.redirected(a, err, "https://first.example.com/?code=")
	if q.Has("state") {
		t.Errorf("got %v", q)
	}
	redeem := form("grant_type", "authorization_code", "code", q.Get("code"), "code_verifier", verifier)
	g.granted(redeem, basic("first party", appSecret))
	a, err = g.browse(with(asked, "prompt", "consent"))
	g.asked(a, err)
}

// A consent form is accepted only from the user who was asked, and only in time.
func TestAnswersThatAreStale(t *testing.T) {
	r := memoryRig(t)
	g := r.gate()
	john := g.user
	ask := func() string { return g.question(john) }
	sealed := ask()
	g.user = &auth.Identity{Issuer: john.Issuer, Subject: "jane"}
	a, err := g.reply(sealed)
	again := g.stale(a, err)
	g.user = nil
	a, err = g.reply(sealed)
	g.stale(a, err)
	g.user = &auth.Identity{Issuer: "https://other.example.com", Subject: "john"}
	a, err = g.reply(sealed)
	g.stale(a, err)
	g.user = john
	r.clock.offset.Add(int64(consentTimeout - time.Second))
	a, err = g.reply(sealed)
	g.redirected(a, err, appURI)
	r.clock.offset.Add(int64(2 * time.Second))
	a, err = g.reply(sealed)
	g.stale(a, err)
	a, err = g.reply(ask()[:40])
	g.stale(a, err)
	a, err = g.reply("%%")
	g.stale(a, err)
	sealed = ask()
	a, err = memoryRig(t).gate(func(s *Settings) { s.Secret = []auth.Secret{"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"} }).reply(sealed)
	g.stale(a, err)
	res, err := g.serve("authorize", http.MethodPost, "", form("consent", sealed).Encode(), header("Sec-Fetch-Site", "cross-site"))
	if res != nil {
		t.Errorf("another site's form: got %+v", res)
	}
	g.stale(nil, err)
	res, err = g.serve("authorize", http.MethodPost, "", form("consent", sealed).Encode(), header("Sec-Fetch-Site", "same-origin"))
	g.redirected(res.Answer, err, appURI)

	u, err := url.Parse(again)
	if err != nil || u.Scheme+"://"+u.Host+u.Path != origin+base+authorizePath || u.RawQuery != asking().Encode() {
		t.Errorf("it begins anew at %s", again)
	}
	gone := r.gate(func(s *Settings) { s.Clients = s.Clients[1:] })
	if _, err := gone.reply(sealed); auth.AsError(err).Reason != "oauth2_authorization_request" {
		t.Errorf("a client that is gone: got %v", err)
	}
	g.user = &auth.Identity{BuiltIn: true, Subject: "john"}
	a, err = g.reply(ask())
	if q := g.redirected(a, err, appURI); q.Get("error") != "access_denied" {
		t.Errorf("a token of ours: got %v", q)
	}
}

// question returns the sealed field of the consent page for a user.
func (g *gate) question(user *auth.Identity) string {
	g.r.Helper()
	defer func(now *auth.Identity) { g.user = now }(g.user)
	g.user = user
	a, err := g.browse(with(asking(), "prompt", "consent"))
	return g.asked(a, err)
}
