package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// login takes the login page's form. Who comes by a link of their own, or by the browser's back button, sees the page again.
func (p *Provider) login(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		p.authorize(w, r)
		return
	}
	if !sameOrigin(w, r) {
		return
	}
	a, refused := p.readAuthorization(w, r.URL.Query())
	if a == nil {
		return
	}
	if refused != nil {
		p.redirectError(w, r, a, refused)
		return
	}
	username := r.PostForm.Get("username")
	user := p.checkPassword(username, r.PostForm.Get("password"))
	switch {
	case user == nil:
		p.loginPage(w, a, username, "The username or the password is wrong.")
	case a.hintedSub != "" && a.hintedSub != user.sub():
		p.redirectError(w, r, a, refusal("login_required", "Somebody else than id_token_hint names has logged in."))
	default:
		p.redirectCode(w, r, a, p.begin(w, r, a, user))
	}
}

// sameOrigin refuses another site's form: it would log a person in as somebody else, or out.
func sameOrigin(w http.ResponseWriter, r *http.Request) bool {
	if http.NewCrossOriginProtection().Check(r) == nil {
		return true
	}
	writeMessage(w, http.StatusForbidden, "Refused", "This form was sent from another site.")
	return false
}

// checkPassword returns the user, or nil. It takes as long for a name that doesn't exist.
func (p *Provider) checkPassword(username, password string) *User {
	user := p.user(username)
	expected := ""
	if user != nil {
		expected = user.Password
	}
	if !equal(expected, password) || expected == "" {
		return nil
	}
	return user
}

// begin begins a session at the provider and sets its cookie.
func (p *Provider) begin(w http.ResponseWriter, r *http.Request, a *authorizationRequest, user *User) *session {
	now := p.now()
	s := session{user: user, authTime: now, acr: p.config.ACRValues[0], expiry: now.Add(p.config.SessionLifetime)}
	if len(a.acr) > 0 {
		s.acr = a.acr[0]
	}
	value := p.state.begin(p.cookieValue(r), s)
	p.setCookie(w, value, p.config.SessionLifetime)
	return p.state.session(value, now)
}

func (p *Provider) session(r *http.Request) *session {
	return p.state.session(p.cookieValue(r), p.now())
}

// cookieName differs between issuers: cookies know no ports, and loopback is one host.
func (p *Provider) cookieName() string {
	sum := sha256.Sum256([]byte(p.Issuer()))
	return "provider_" + hex.EncodeToString(sum[:4])
}

func (p *Provider) cookieValue(r *http.Request) string {
	c, err := r.Cookie(p.cookieName())
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie sets the session's cookie; an empty value clears it. Lax, because clients on other sites lead here.
func (p *Provider) setCookie(w http.ResponseWriter, value string, lifetime time.Duration) {
	c := &http.Cookie{
		Name: p.cookieName(), Value: value, Path: p.path() + "/", MaxAge: int(lifetime / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(p.Issuer(), "https:"),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// loginPage shows the form, with complaint if there was a wrong attempt. The request's parameters travel in the form's
// address, so that nothing is kept for those who never log in.
func (p *Provider) loginPage(w http.ResponseWriter, a *authorizationRequest, username, complaint string) {
	status := http.StatusOK
	if complaint != "" {
		status = http.StatusForbidden // not 401, which would need a scheme of RFC 9110 §11
	}
	writePage(w, status, "login.html", struct {
		Action, Client, Username, Complaint, Hint string
	}{p.path() + string(Login) + "?" + a.params.Encode(), a.client.Name, username, complaint, p.config.Hint}, origin(a.redirectURI))
}

// origin is what Content-Security-Policy calls the place where a redirect URI leads: browsers check form-action for the
// redirect after a form, too.
func origin(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return ""
	case u.Host == "":
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}
