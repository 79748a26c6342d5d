package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// login serves the login page's form. A GET, such as after the browser's back button, is an authorization request again.
func (p *Provider) login(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		p.authorize(w, r)
		return
	}
	if !sameOrigin(w, r) {
		return
	}
	a, refused := p.readAuthorization(w, r.URL.Query(), true)
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
		p.redirectError(w, r, a, refusal("login_required", "Another user than that of id_token_hint has logged in."))
	default:
		p.redirectCode(w, r, a, p.beginSession(w, r, a, user))
	}
}

// sameOrigin rejects forms of other sites, which could log the user out or in as another user (CSRF).
func sameOrigin(w http.ResponseWriter, r *http.Request) bool {
	if http.NewCrossOriginProtection().Check(r) == nil {
		return true
	}
	writeMessage(w, http.StatusForbidden, "Refused", "This form was sent from another site.")
	return false
}

// checkPassword returns the user, or nil. An unknown username takes as long as a wrong password.
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

// beginSession starts a session at the provider and sets its cookie.
func (p *Provider) beginSession(w http.ResponseWriter, r *http.Request, a *authorizationRequest, user *User) *session {
	now := p.now()
	s := session{user: user, authTime: now, acr: p.config.ACRValues[0], expiry: now.Add(p.config.SessionLifetime)}
	if len(a.acr) > 0 {
		s.acr = a.acr[0]
	}
	value := p.state.beginSession(p.cookieValue(r), s)
	p.setCookie(w, value, p.config.SessionLifetime)
	return p.state.session(value, now)
}

// session returns the session of the request's cookie, or nil.
func (p *Provider) session(r *http.Request) *session {
	return p.state.session(p.cookieValue(r), p.now())
}

// cookieName returns a name that depends on the issuer: providers on other ports of the same host share the cookie jar.
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

// setCookie sets the session cookie; an empty value deletes it. SameSite is Lax, because clients on other sites redirect here.
func (p *Provider) setCookie(w http.ResponseWriter, value string, lifetime time.Duration) {
	c := &http.Cookie{
		Name: p.cookieName(), Value: value, Path: p.cookiePath(), MaxAge: int(lifetime / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(p.Issuer(), "https:"),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// loginPage writes the login form, with complaint if it isn't empty. The form's action has the parameters of the
// authorization request, so that the provider needs no state before the login.
func (p *Provider) loginPage(w http.ResponseWriter, a *authorizationRequest, username, complaint string) {
	status := http.StatusOK
	if complaint != "" {
		status = http.StatusForbidden // not 401, which would need a scheme of RFC 9110 §11
	}
	writePage(w, status, "login.html", struct {
		Action, Client, Username, Complaint, Hint string
	}{p.addressPath(Login) + "?" + a.query.Encode(), a.client.Name, username, complaint, p.config.Hint}, cspSource(a.redirectURI))
}

// cspSource returns the Content-Security-Policy source of a redirect URI, for form-action: browsers apply that to the redirect
// after the form, too.
func cspSource(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return ""
	case u.Host == "":
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}
