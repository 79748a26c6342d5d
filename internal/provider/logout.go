package provider

import (
	"errors"
	"net/http"
	"net/url"
)

// An endRequest is a request to log out whose parameters are good (RP-Initiated Logout §2).
type endRequest struct {
	client *Client // nil if the request names none
	sub    string  // of the hint
	sid    string
	next   string // post_logout_redirect_uri with state, or ""
}

// endSession ends a session at the client's request: at once if an ID token shows whose it is, else after asking.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	if r.Method == http.MethodPost {
		params = r.PostForm
	}
	e := p.readEndRequest(w, params)
	if e == nil {
		return
	}
	if s := p.session(r); e.sub == "" || s != nil && (s.user.sub() != e.sub || e.sid != "" && s.sid != e.sid) {
		p.askLogout(w, s, e, params)
		return
	}
	p.state.end(e.sid)
	p.loggedOut(w, r, e)
}

// endSessionConfirmed takes the logout page's form.
func (p *Provider) endSessionConfirmed(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(w, r) {
		return
	}
	if e := p.readEndRequest(w, r.URL.Query()); e != nil {
		p.loggedOut(w, r, e)
	}
}

// readEndRequest reads a request to log out. It returns nil, and has written a page, if the request is wrong: then nobody
// is sent anywhere.
func (p *Provider) readEndRequest(w http.ResponseWriter, params url.Values) *endRequest {
	e := &endRequest{client: p.client(params.Get("client_id"))}
	err := e.readHint(p, params)
	if err == nil {
		err = e.readNext(params)
	}
	if err != nil {
		writeMessage(w, http.StatusBadRequest, "This logout can't be done", err.Error())
		return nil
	}
	return e
}

func (e *endRequest) readHint(p *Provider, params url.Values) error {
	if params.Has("client_id") && e.client == nil {
		return errors.New("The link that led here names no application that is registered at this provider.")
	}
	hint := params.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	claims, err := p.idTokenHint(hint)
	if err != nil {
		return errors.New("The link that led here carries an id_token_hint that this provider didn't issue.")
	}
	azp, _ := claims["azp"].(string)
	if e.client != nil && e.client.ID != azp {
		return errors.New("The link that led here names another application than its id_token_hint.")
	}
	e.client = p.client(azp)
	e.sub, _ = claims["sub"].(string)
	e.sid, _ = claims["sid"].(string)
	return nil
}

// readNext allows only what the client has registered (RP-Initiated Logout §3).
func (e *endRequest) readNext(params url.Values) error {
	uri := params.Get("post_logout_redirect_uri")
	if uri == "" {
		return nil
	}
	if e.client == nil || !registered(e.client.PostLogoutRedirectURIs, uri) || len(params["post_logout_redirect_uri"]) > 1 {
		return errors.New("The link that led here names a post_logout_redirect_uri that isn't registered.")
	}
	query := url.Values{}
	if state := params.Get("state"); state != "" {
		query.Set("state", state)
	}
	e.next = withQuery(uri, query)
	return nil
}

// idTokenHint returns the claims of an ID token of ours, expired or not (RP-Initiated Logout §2).
func (p *Provider) idTokenHint(hint string) (map[string]any, error) {
	claims, err := p.keys.verify(hint)
	if err != nil {
		return nil, err
	}
	_, isAccessToken := claims["client_id"]
	sub, _ := claims["sub"].(string)
	if claims["iss"] != p.Issuer() || sub == "" || isAccessToken {
		return nil, errors.New("it is no ID token of this issuer")
	}
	return claims, nil
}

// askLogout lets the person confirm, so that no other site's link logs anybody out.
func (p *Provider) askLogout(w http.ResponseWriter, s *session, e *endRequest, params url.Values) {
	data := struct{ Action, Username, Client string }{Action: p.path() + string(EndSessionYes) + "?" + params.Encode()}
	if s != nil {
		data.Username = s.user.Username
	}
	if e.client != nil {
		data.Client = e.client.Name
	}
	target := ""
	if e.next != "" {
		target = origin(e.next)
	}
	writePage(w, http.StatusOK, "logout.html", data, target)
}

// loggedOut ends the browser's own session, if it has one, and sends the person on.
func (p *Provider) loggedOut(w http.ResponseWriter, r *http.Request, e *endRequest) {
	if s := p.session(r); s != nil {
		p.state.end(s.sid)
	}
	p.setCookie(w, "", 0)
	if e.next == "" {
		writeMessage(w, http.StatusOK, "Logged out", "You are logged out.")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, e.next, http.StatusSeeOther)
}
