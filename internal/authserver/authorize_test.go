package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// browse sends an authorization request as a browser does.
func (g *gate) browse(asked url.Values) (*auth.Answer, error) {
	res, err := g.serve("authorize", http.MethodGet, asked.Encode(), "", header("Accept", "text/html"))
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
	g.user = &auth.Identity{Flow: "kong_oauth2", BuiltIn: true, Subject: "john"}
	a, err = g.browse(asking())
	if q := g.redirected(a, err, appURI); q.Get("error") != "access_denied" {
		t.Errorf("a token of ours: got %v", q)
	}
}

func TestNoLoginAtAll(t *testing.T) {
	g := memoryRig(t).gate()
	g.use(g.at(base, nil))
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
