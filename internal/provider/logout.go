package provider

import (
	"errors"
	"net/http"
	"net/url"
)

// A logoutRequest is a valid logout request (RP-Initiated Logout §2).
type logoutRequest struct {
	client *Client // nil if the request has neither client_id nor id_token_hint
	sub    string  // of id_token_hint, or ""
	sid    string  // of id_token_hint, or ""
	next   string  // post_logout_redirect_uri with state, or ""
}

// endSession serves the end session endpoint. It ends the session at once if id_token_hint identifies it, and asks the user
// otherwise.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	if r.Method == http.MethodPost {
		params = r.PostForm
	}
	if translate := p.as().logoutParams; translate != nil {
		params = translate(params)
	}
	e := p.readLogoutRequest(w, params)
	switch {
	case e == nil:
		return
	case p.as().logoutParams != nil:
		p.finishLogout(w, r, e)
		return
	}
	if s := p.session(r); e.sub == "" || s != nil && (s.user.sub() != e.sub || e.sid != "" && s.sid != e.sid) {
		p.confirmLogout(w, s, e, params)
		return
	}
	p.finishLogout(w, r, e, p.endAtClients(session{sid: e.sid, user: p.userWithSub(e.sub)})...)
}

// endSessionConfirmed serves the form of the logout page.
func (p *Provider) endSessionConfirmed(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(w, r) {
		return
	}
	if e := p.readLogoutRequest(w, r.URL.Query()); e != nil {
		p.finishLogout(w, r, e)
	}
}

// endAtClients ends a session here and at its clients. It returns the addresses of the frames that do so in the browser.
func (p *Provider) endAtClients(s session) []string {
	clients := p.state.endSession(s.sid)
	for _, c := range clients {
		if c.BackchannelLogoutURI != "" && s.user != nil {
			p.sendLogoutToken(c, s)
		}
	}
	return p.frontchannelURLs(clients, s.sid)
}

// userWithSub returns the user with this sub, or nil.
func (p *Provider) userWithSub(sub string) *User {
	for i := range p.config.Users {
		if p.config.Users[i].sub() == sub {
			return &p.config.Users[i]
		}
	}
	return nil
}

// readLogoutRequest parses a logout request. If the request is invalid, it writes an error page, without a redirect, and
// returns nil.
func (p *Provider) readLogoutRequest(w http.ResponseWriter, params url.Values) *logoutRequest {
	e := &logoutRequest{client: p.client(params.Get("client_id"))}
	err := e.readHint(p, params)
	if err == nil {
		err = e.readNext(params)
	}
	if err != nil {
		writeMessage(w, http.StatusBadRequest, "Invalid logout request", err.Error())
		return nil
	}
	return e
}

// readHint sets the fields that come from id_token_hint. Its errors are texts for the error page.
func (e *logoutRequest) readHint(p *Provider, params url.Values) error {
	if params.Has("client_id") && e.client == nil {
		return errors.New("The link names an application that isn't registered at this provider.")
	}
	hint := params.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	claims, err := p.idTokenHint(hint)
	if err != nil {
		return errors.New("The link has an id_token_hint that this provider didn't issue.")
	}
	azp, _ := claims["azp"].(string)
	if azp == "" { // some products write only aud
		azp, _ = claims["aud"].(string)
	}
	if e.client != nil && e.client.ID != azp {
		return errors.New("The link names another application than its id_token_hint.")
	}
	e.client = p.client(azp)
	e.sub, _ = claims["sub"].(string)
	e.sid, _ = claims["sid"].(string)
	return nil
}

// readNext sets next from post_logout_redirect_uri, which must be registered (RP-Initiated Logout §3). Its errors are texts for
// the error page.
func (e *logoutRequest) readNext(params url.Values) error {
	uri := params.Get("post_logout_redirect_uri")
	if uri == "" {
		return nil
	}
	if e.client == nil || !registered(e.client.PostLogoutRedirectURIs, uri) || len(params["post_logout_redirect_uri"]) > 1 {
		return errors.New("The link has a post_logout_redirect_uri that isn't registered.")
	}
	query := url.Values{}
	if state := params.Get("state"); state != "" {
		query.Set("state", state)
	}
	e.next = withQuery(uri, query)
	return nil
}

// idTokenHint returns the claims of an ID token that this provider issued, expired or not (RP-Initiated Logout §2).
func (p *Provider) idTokenHint(hint string) (map[string]any, error) {
	claims, err := p.keys.verify(hint)
	if err != nil {
		return nil, err
	}
	_, isAccessToken := claims["client_id"]
	sub, _ := claims["sub"].(string)
	if claims["iss"] != p.iss() && !p.as().manyNames || sub == "" || isAccessToken {
		return nil, errors.New("it isn't an ID token of this issuer")
	}
	return claims, nil
}

// confirmLogout writes a page that asks the user to confirm, so that a link of another site can't log users out.
func (p *Provider) confirmLogout(w http.ResponseWriter, s *session, e *logoutRequest, params url.Values) {
	data := struct{ Action, Username, Client string }{Action: p.addressPath(EndSessionConfirm) + "?" + params.Encode()}
	if s != nil {
		data.Username = s.user.Username
	}
	if e.client != nil {
		data.Client = e.client.Name
	}
	target := ""
	if e.next != "" {
		target = cspSource(e.next)
	}
	writePage(w, http.StatusOK, "logout.html", data, target)
}

// finishLogout ends the browser's session, if it has one, and redirects to e.next or writes a page. With frames it writes a page with
// these, and a link to e.next.
func (p *Provider) finishLogout(w http.ResponseWriter, r *http.Request, e *logoutRequest, frames ...string) {
	if s := p.session(r); s != nil {
		frames = append(frames, p.endAtClients(*s)...)
	}
	p.setCookie(w, "", 0)
	if len(frames) > 0 {
		policy := "; frame-src"
		for _, address := range frames {
			policy += " " + cspSource(address)
		}
		writeHTML(w, http.StatusOK, "logged_out.html", struct {
			Next   string
			Frames []string
		}{e.next, frames}, policy)
		return
	}
	if e.next == "" {
		writeMessage(w, http.StatusOK, "Logged out", "You are logged out.")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, e.next, http.StatusSeeOther)
}
