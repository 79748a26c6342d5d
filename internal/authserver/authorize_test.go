package authserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// browse sends an authorization request as a browser does.
func (g *gate) browse(asked url.Values) (*auth.Answer, error) {
	res, err := g.serve("authorize", http.MethodGet, asked.Encode(), "")
	if err != nil {
		return nil, err
	}
	return res.Answer, nil
}

// redirected expects a redirect to a redirect URI, and returns its parameters.
func (g *gate) redirected(a *auth.Answer, err error, to string) url.Values {
	g.r.Helper()
	if err != nil {
		g.r.Fatal(err)
	}
	target := a.Header.Get("Location")
	u, errURL := url.Parse(target)
	if errURL != nil || a.Status != http.StatusSeeOther || !strings.HasPrefix(target, to) {
		g.r.Fatalf("got %d %q %+v, expected a redirect to %s", a.Status, target, a.Page, to)
	}
	q := u.Query()
	if q.Get("iss") != origin+base {
		g.r.Errorf("iss is %q (RFC 9207)", q.Get("iss"))
	}
	return q
}

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

func TestLogin(t *testing.T) {
	g := memoryRig(t).gate()
	g.user = nil
	if a, err := g.browse(asking()); !errors.Is(err, auth.ErrNoCredential) || a != nil {
		t.Errorf("got %v, %v, expected %v", a, err, auth.ErrNoCredential)
	}
	a, err := g.browse(with(asking(), "prompt", "none"))
	if q := g.redirected(a, err, appURI); q.Get("error") != "login_required" || q.Get("state") != "the state" {
		t.Errorf("got %v", q)
	}
	g.user = &auth.Identity{Subject: ""}
	if _, err := g.browse(asking()); !errors.Is(err, auth.ErrNoCredential) {
		t.Errorf("a user without a name: got %v", err)
	}
	g.user = &auth.Identity{Subject: "john"}
	a, err = g.browse(with(asking(), "prompt", "none"))
	if q := g.redirected(a, err, appURI); q.Get("error") != "consent_required" {
		t.Errorf("got %v", q)
	}
	g.user = &auth.Identity{Flow: Flow, Subject: "john"}
	a, err = g.browse(asking())
	if q := g.redirected(a, err, appURI); q.Get("error") != "access_denied" {
		t.Errorf("a token of ours: got %v", q)
	}
}

func TestNoLoginAtAll(t *testing.T) {
	g := memoryRig(t).gate()
	for _, e := range g.Endpoints(base, nil) {
		g.endpoints[e.Name] = e
	}
	a, err := g.browse(asking())
	if q := g.redirected(a, err, appURI); q.Get("error") != "access_denied" {
		t.Errorf("got %v", q)
	}
	g.code(asking())
}

// If the client or its redirect URI is not valid, the browser is not redirected (RFC 6749 §4.1.2.1).
func TestAuthorizationRequestsThatGoNowhere(t *testing.T) {
	g := memoryRig(t).gate()
	for name, asked := range map[string]url.Values{
		"unknown client":          with(asking(), "client_id", "nobody"),
		"no client":               with(asking(), "client_id", ""),
		"two clients":             {"client_id": {"app", "other"}, "redirect_uri": {appURI}},
		"another redirect_uri":    with(asking(), "redirect_uri", "https://evil.example.com/callback"),
		"a longer redirect_uri":   with(asking(), "redirect_uri", appURI+"/x"),
		"a redirect_uri in caps":  with(asking(), "redirect_uri", strings.ToUpper(appURI)),
		"which of two":            with(asking(), "redirect_uri", ""),
		"two redirect_uris":       {"client_id": {"app"}, "redirect_uri": {appURI, "https://evil.example.com/"}},
		"another's redirect_uri":  with(asking(), "redirect_uri", spaURI),
		"a client without codes":  with(asking(), "client_id", "api"),
		"a port, but not for app": with(asking(), "redirect_uri", "http://127.0.0.1:1234/callback"),
		"another loopback path":   with(asking(), "client_id", "spa", "redirect_uri", "http://127.0.0.1:1234/other"),
		"a name for loopback":     with(asking(), "client_id", "spa", "redirect_uri", "http://localhost:1234/callback"),
		"a user before loopback":  with(asking(), "client_id", "spa", "redirect_uri", "http://127.0.0.1:1@evil.example.com/callback"),
	} {
		a, err := g.browse(asked)
		var e *auth.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Reason != "oauth2_authorization_request" {
			t.Errorf("%s: got %+v, %v, expected a page", name, a, err)
		}
	}
	if _, err := g.serve("authorize", http.MethodGet, "client_id=app&redirect_uri=%zz", ""); auth.AsError(err).Status != 400 {
		t.Errorf("unreadable: got %v", err)
	}
}

func TestAuthorizationRequestsThatAreRefused(t *testing.T) {
	g := memoryRig(t).gate()
	lax := memoryRig(t).gate(func(s *Settings) { s.PKCE = "lax" })
	mandatory := memoryRig(t).gate(func(s *Settings) { s.MandatoryScope = true })
	public := with(asking(), "client_id", "spa", "redirect_uri", spaURI, "scope", "read")
	for name, c := range map[string]struct {
		g        *gate
		asked    url.Values
		expected string
	}{
		"no response_type":        {g, with(asking(), "response_type", ""), "invalid_request"},
		"token":                   {g, with(asking(), "response_type", "token"), "unsupported_response_type"},
		"code token":              {g, with(asking(), "response_type", "code token"), "unsupported_response_type"},
		"response_mode":           {g, with(asking(), "response_mode", "fragment"), "invalid_request"},
		"a scope not its own":     {g, with(asking(), "scope", "admin"), "invalid_scope"},
		"no scope":                {mandatory, with(asking(), "scope", ""), "invalid_scope"},
		"no challenge":            {g, with(asking(), "code_challenge", "", "code_challenge_method", ""), "invalid_request"},
		"no challenge, public":    {lax, with(public, "code_challenge", "", "code_challenge_method", ""), "invalid_request"},
		"a method alone":          {lax, with(asking(), "code_challenge", ""), "invalid_request"},
		"plain":                   {g, with(asking(), "code_challenge_method", "plain"), "invalid_request"},
		"no method, that's plain": {g, with(asking(), "code_challenge_method", ""), "invalid_request"},
		"a short challenge":       {g, with(asking(), "code_challenge", challengeOf("x")[:42]), "invalid_request"},
		"a long challenge":        {g, with(asking(), "code_challenge", challengeOf("x")+"x"), "invalid_request"},
		"a long state":            {g, with(asking(), "state", strings.Repeat("x", maxState+1)), "invalid_request"},
		"a state with controls":   {g, with(asking(), "state", "a\nb"), "invalid_request"},
		"prompt login":            {g, with(asking(), "prompt", "login"), "invalid_request"},
		"prompt none and more":    {g, with(asking(), "prompt", "none consent"), "invalid_request"},
	} {
		target := c.asked.Get("redirect_uri")
		a, err := c.g.browse(c.asked)
		if q := c.g.redirected(a, err, target); q.Get("error") != c.expected || q.Get("error_description") == "" || q.Has("code") {
			t.Errorf("%s: got %v, expected %s", name, q, c.expected)
		}
		status, answer := c.g.post("authorize", with(c.asked, "provision_key", provision, "authenticated_userid", "john"))
		q := strings.HasPrefix(answer.String("redirect_uri"), target) &&
			strings.Contains(answer.String("redirect_uri"), "error="+c.expected)
		if strings.HasPrefix(name, "prompt") { // the external consent page has asked
			continue
		}
		if status != 400 || !q {
			t.Errorf("%s, from the page elsewhere: got %d %v", name, status, answer)
		}
	}
	code := lax.code(with(asking(), "code_challenge", "", "code_challenge_method", ""))
	lax.granted(with(redeeming(code), "code_verifier", ""))
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
	g.user = &auth.Identity{Flow: Flow, Subject: "john"}
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

func TestTheConsentPageElsewhere(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		good := with(asking(), "provision_key", provision, "authenticated_userid", "john@example.com")
		status, answer := g.post("authorize", good)
		target, _ := url.Parse(answer.String("redirect_uri"))
		if status != 200 || len(answer) != 1 || target.Query().Get("state") != "the state" || target.Query().Get("iss") != origin+base {
			r.Errorf("got %d %v", status, answer)
		}
		access, _ := g.granted(redeeming(target.Query().Get("code")))
		if i := g.alive(access); i.Subject != "john@example.com" {
			r.Errorf("got %+v", i)
		}
		for name, c := range map[string]struct {
			form url.Values
			code string
		}{
			"a wrong key": {with(good, "provision_key", provision+"x"), "invalid_provision_key"},
			"no key":      {with(good, "provision_key", ""), "invalid_provision_key"},
			"no user":     {with(good, "authenticated_userid", ""), "invalid_authenticated_userid"},
			"a long user": {with(good, "authenticated_userid", strings.Repeat("x", maxUserID+1)),
				"invalid_authenticated_userid"},
			"an unknown client":        {with(good, "client_id", "nobody"), "invalid_request"},
			"another redirect_uri":     {with(good, "redirect_uri", "https://evil.example.com/"), "invalid_request"},
			"a wrong key and scope":    {with(good, "provision_key", "x", "scope", "admin"), "invalid_provision_key"},
			"a parameter twice":        {url.Values{"provision_key": {provision, provision}}, "invalid_request"},
			"the consent field's name": {with(good, "provision_key", "", "consent", ""), "invalid_provision_key"},
		} {
			if status, answer := g.post("authorize", c.form); status != 400 || answer["error"] != c.code || answer["redirect_uri"] != nil {
				r.Errorf("%s: got %d %v, expected %s", name, status, answer, c.code)
			}
		}
		none := r.gate(func(s *Settings) { s.ProvisionKey = "" })
		if status, answer := none.post("authorize", with(good, "provision_key", "")); status != 400 ||
			answer["error"] != "invalid_provision_key" {
			r.Errorf("without a key in the settings: got %d %v", status, answer)
		}
		if strings.Contains(r.log.String(), provision) || strings.Contains(r.log.String(), "john@") {
			r.Errorf("the log shows a secret or a user: %s", r.log)
		}
	})
}
