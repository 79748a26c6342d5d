package provider

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// An Endpoint is the path of an endpoint.
type Endpoint string

// The endpoints. Their paths are below the path of the issuer, except that ServerMetadata precedes it (RFC 8414 §3.1).
const (
	Discovery         Endpoint = "/.well-known/openid-configuration"
	ServerMetadata    Endpoint = "/.well-known/oauth-authorization-server"
	JWKS              Endpoint = "/jwks"
	Authorization     Endpoint = "/authorize"
	Login             Endpoint = "/login" // for the form of the login page
	Token             Endpoint = "/token"
	PushedRequest     Endpoint = "/par"
	Userinfo          Endpoint = "/userinfo"
	Claims            Endpoint = "/claims" // for distributed claims
	Groups            Endpoint = "/groups" // of a user, as Microsoft Graph lists them
	Introspection     Endpoint = "/introspect"
	Revocation        Endpoint = "/revoke"
	EndSession        Endpoint = "/logout"
	EndSessionConfirm Endpoint = "/logout/confirm" // for the form of the logout page
)

const maxBody = 64 << 10 // the maximum size of a form, in bytes

// routes returns the endpoints' handler and sets p.serve and p.serverMetadata.
func (p *Provider) routes() *http.ServeMux {
	mux := http.NewServeMux()
	p.serve = map[Endpoint]http.Handler{}
	for _, e := range []struct {
		endpoint Endpoint
		methods  string
		serve    http.HandlerFunc
	}{
		{Discovery, "GET HEAD", p.metadata(Discovery)},
		{ServerMetadata, "GET HEAD", p.metadata(ServerMetadata)},
		{JWKS, "GET HEAD", p.jwks},
		{Authorization, "GET HEAD POST", p.authorize},
		{Login, "GET HEAD POST", p.login},
		{Token, "POST", p.token},
		{PushedRequest, "POST", p.pushRequest},
		{Userinfo, "GET HEAD POST", p.userinfo},
		{Claims, "GET HEAD POST", p.claimsEndpoint},
		{Groups, "POST", p.memberGroups},
		{Introspection, "POST", p.introspect},
		{Revocation, "POST", p.revoke},
		{EndSession, "GET HEAD POST", p.endSession},
		{EndSessionConfirm, "POST", p.endSessionConfirmed},
	} {
		serve := p.methods(strings.Fields(e.methods), e.serve)
		p.serve[e.endpoint] = serve
		if e.endpoint == ServerMetadata {
			p.serverMetadata = p.endpoint(e.endpoint, serve)
			continue
		}
		mux.Handle(string(e.endpoint), p.endpoint(e.endpoint, serve))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeMessage(w, http.StatusNotFound, "Not found", "This page doesn't exist.")
	})
	return mux
}

// ServeHTTP serves the endpoints.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := p.path()
	if r.URL.Path == string(ServerMetadata)+path {
		p.serverMetadata.ServeHTTP(w, r)
		return
	}
	if e, ok := p.as().endpointAt(r.URL.Path); ok {
		r = r.Clone(r.Context())
		r.URL.Path = path + string(e)
	}
	http.StripPrefix(path, p.mux).ServeHTTP(w, r)
}

// endpoint parses the form of a request and applies the test controls before serve runs.
func (p *Provider) endpoint(e Endpoint, serve http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		err := r.ParseForm()
		broken := p.controls.recordRequest(e, r)
		switch {
		case broken != nil:
			broken(w, r)
		case err != nil:
			p.refuse(w, badRequest("The parameters can't be parsed."))
		default:
			serve.ServeHTTP(w, r)
		}
	})
}

// methods rejects requests with other methods than allowed.
func (p *Provider) methods(allowed []string, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(allowed, r.Method) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			e := badRequest("This endpoint doesn't support " + r.Method + ".")
			e.Status = http.StatusMethodNotAllowed
			p.refuse(w, e)
			return
		}
		serve(w, r)
	})
}

// An oauthError is an OAuth error response (RFC 6749 §4.1.2.1 and §5.2).
type oauthError struct {
	Status      int // of a direct response; redirects ignore it
	Code        string
	Description string
	Challenge   string // WWW-Authenticate
}

func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

func badRequest(description string) *oauthError { return refusal("invalid_request", description) }

// repeatedParameter returns the error for a parameter that is sent more than once.
func repeatedParameter(name string) *oauthError {
	return badRequest("The parameter " + name + " is sent more than once.")
}

func invalidGrant(description string) *oauthError { return refusal("invalid_grant", description) }

func refusal(code, description string) *oauthError {
	return &oauthError{Status: http.StatusBadRequest, Code: code, Description: description}
}

// refuse sends an error response as JSON (RFC 6749 §5.2).
func (p *Provider) refuse(w http.ResponseWriter, e *oauthError) {
	if e.Challenge != "" {
		w.Header().Set("WWW-Authenticate", e.Challenge)
	}
	writeJSON(w, e.Status, map[string]any{"error": e.Code, "error_description": e.Description})
}

// answer sends the successful JSON response of an endpoint, after AdjustAnswer.
func (p *Provider) answer(w http.ResponseWriter, e Endpoint, answer map[string]any) {
	answer = maps.Clone(answer)
	p.controls.adjusted(subject(e), answer)
	beginJSON(w, http.StatusOK)
	if p.controls.hasBOM(e) {
		io.WriteString(w, "\ufeff")
	}
	encodeJSON(w, answer)
}

// writeJSON writes a JSON response.
func writeJSON(w http.ResponseWriter, status int, body map[string]any) {
	beginJSON(w, status)
	encodeJSON(w, body)
}

// beginJSON writes the header of a JSON response. By default it sets Cache-Control: no-store, which token responses require (RFC 6749
// §5.1).
func beginJSON(w http.ResponseWriter, status int) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
}

func encodeJSON(w io.Writer, body map[string]any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(body) // an error means that the connection failed
}
