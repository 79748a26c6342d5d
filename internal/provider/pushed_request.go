package provider

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// A pushedRequest is a pushed authorization request (RFC 9126).
type pushedRequest struct {
	client *Client
	params url.Values
	expiry time.Time
	opened bool // the browser has opened the authorization endpoint with it
}

const (
	pushedLifetime = time.Minute
	requestURI     = "urn:ietf:params:oauth:request_uri:" // RFC 9126 §2.2
)

// pushRequest serves the pushed authorization request endpoint (RFC 9126 §2).
func (p *Provider) pushRequest(w http.ResponseWriter, r *http.Request) {
	client, err := p.authenticate(r, PushedRequest)
	var params url.Values
	if err == nil {
		if params, err = p.pushedParams(client, r.PostForm); err == nil {
			a := &authorizationRequest{params: params, client: client, redirectURI: params.Get("redirect_uri")}
			if !a.returnsToClient() {
				err = badRequest("The redirect_uri isn't registered.")
			} else if refused := p.checkAuthorization(a); refused != nil {
				err = refused
			}
		}
	}
	var refused *oauthError
	if errors.As(err, &refused) {
		p.refuse(w, refused)
		return
	}
	answer := map[string]any{
		"request_uri": p.state.addPushed(&pushedRequest{client: client, params: params}, p.now()),
		"expires_in":  int64(pushedLifetime / time.Second),
	}
	p.controls.adjusted(subject(PushedRequest), answer)
	writeJSON(w, http.StatusCreated, answer)
}

// pushedParams returns the parameters of a pushed request. A request object stands alone, beside client_id and the client's authentication.
func (p *Provider) pushedParams(client *Client, form url.Values) (url.Values, error) {
	params := maps.Clone(form)
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		params.Del(name)
	}
	switch {
	case params.Get("client_id") != client.ID:
		return nil, badRequest("The client_id is missing, or another than that of the client authentication.")
	case params.Has("request_uri"):
		return nil, badRequest("A pushed request can't have a request_uri.")
	case !params.Has("request") && client.SignedRequests:
		return nil, badRequest("The client must send a request object.")
	case !params.Has("request"):
		return params, nil
	case len(params) != 2 || len(params["request"]) != 1:
		return nil, badRequest("Another parameter than client_id stands beside the request object.")
	}
	params, refused := p.readRequestObject(client, params.Get("request"), true)
	if refused != nil {
		return nil, refused
	}
	return params, nil
}

// openRequest returns the parameters of an authorization request: those of the query, of a request object or of a pushed request. Nothing
// beside a request object may differ from it, and nothing but client_id may stand beside a request_uri, which is opened once. Again says
// that the login form repeats the request.
func (p *Provider) openRequest(client *Client, query url.Values, again bool) (url.Values, *oauthError) {
	switch {
	case query.Has("request_uri"):
		if len(query) != 2 || len(query["request_uri"]) != 1 {
			return nil, badRequest("Another parameter than client_id stands beside the request_uri.")
		}
		return p.state.openPushed(query.Get("request_uri"), client, again, p.now())
	case client.PushedRequests:
		return nil, badRequest("The client must push its authorization requests.")
	case !query.Has("request") && client.SignedRequests:
		return nil, badRequest("The client must send a request object.")
	case !query.Has("request"):
		return query, nil
	}
	for _, name := range []string{"client_id", "response_type", "scope", "request"} {
		if len(query[name]) != 1 {
			return nil, badRequest("The parameter " + name + " must stand beside the request object once.")
		}
	}
	params, refused := p.readRequestObject(client, query.Get("request"), !again)
	for name := range query {
		if refused == nil && name != "request" && !slices.Equal(query[name], params[name]) {
			refused = badRequest("The parameter " + name + " differs from the request object.")
		}
	}
	return params, refused
}

// addPushed stores a pushed request and returns its request_uri.
func (s *state) addPushed(request *pushedRequest, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	reference := requestURI + rand.Text()
	request.expiry = now.Add(pushedLifetime)
	s.pushed[reference] = request
	return reference
}

// openPushed returns the parameters of a pushed request. Each is opened once; the login form may repeat it after that.
func (s *state) openPushed(reference string, client *Client, again bool, now time.Time) (url.Values, *oauthError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request := s.pushed[reference]
	if request == nil || request.client != client || !now.Before(request.expiry) || request.opened != again {
		return nil, refusal("invalid_request_uri", "The request_uri is unknown, expired, or was used before.")
	}
	request.opened = true
	return request.params, nil
}
