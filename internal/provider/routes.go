package provider

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// An Endpoint is one of the provider's endpoints, as test controls name it.
type Endpoint string

// The endpoints, with the path of each below the issuer; ServerMetadata's is before the issuer's own path (RFC 8414 §3.1).
const (
	Discovery      Endpoint = "/.well-known/openid-configuration"
	ServerMetadata Endpoint = "/.well-known/oauth-authorization-server"
	JWKS           Endpoint = "/jwks"
	Authorization  Endpoint = "/authorize"
	Login          Endpoint = "/login" // where the login page's form goes
	Token          Endpoint = "/token"
	Userinfo       Endpoint = "/userinfo"
	Claims         Endpoint = "/claims" // where distributed claims are had
	Introspection  Endpoint = "/introspect"
	Revocation     Endpoint = "/revoke"
	EndSession     Endpoint = "/logout"
	EndSessionYes  Endpoint = "/logout/confirm" // where the logout page's form goes
)

const maxBody = 64 << 10 // of a form: no request here has reason for more

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
		{Userinfo, "GET HEAD POST", p.userinfo},
		{Claims, "GET HEAD POST", p.claimsEndpoint},
		{Introspection, "POST", p.introspect},
		{Revocation, "POST", p.revoke},
		{EndSession, "GET HEAD POST", p.endSession},
		{EndSessionYes, "POST", p.endSessionConfirmed},
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
		writeMessage(w, http.StatusNotFound, "Not found", "There is nothing at this address.")
	})
	return mux
}

// ServeHTTP serves the endpoints below the issuer's path, and the one that is before it.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := p.path()
	if r.URL.Path == string(ServerMetadata)+path {
		p.serverMetadata.ServeHTTP(w, r)
		return
	}
	http.StripPrefix(path, p.mux).ServeHTTP(w, r)
}

// endpoint reads a request's form and lets the test controls have their say before it is served.
func (p *Provider) endpoint(e Endpoint, serve http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		err := r.ParseForm()
		broken := p.controls.arrived(e, r)
		switch {
		case broken != nil:
			broken(w, r)
		case err != nil:
			p.refuse(w, badRequest("The parameters can't be read."))
		default:
			serve.ServeHTTP(w, r)
		}
	})
}

func (p *Provider) methods(allowed []string, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(allowed, r.Method) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			e := badRequest("This endpoint doesn't take " + r.Method + ".")
			e.Status = http.StatusMethodNotAllowed
			p.refuse(w, e)
			return
		}
		serve(w, r)
	})
}

// An oauthError is a refusal as RFC 6749 §4.1.2.1 and §5.2 have it.
type oauthError struct {
	Status      int // of a direct answer; a redirected one has none
	Code        string
	Description string
	Challenge   string // WWW-Authenticate
}

func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

func badRequest(description string) *oauthError { return refusal("invalid_request", description) }

func refusal(code, description string) *oauthError {
	return &oauthError{Status: http.StatusBadRequest, Code: code, Description: description}
}

// refuse answers a program (RFC 6749 §5.2).
func (p *Provider) refuse(w http.ResponseWriter, e *oauthError) {
	if e.Challenge != "" {
		w.Header().Set("WWW-Authenticate", e.Challenge)
	}
	writeJSON(w, e.Status, map[string]any{"error": e.Code, "error_description": e.Description})
}

// answer sends an endpoint's answer, after the test's adjustments.
func (p *Provider) answer(w http.ResponseWriter, e Endpoint, answer map[string]any) {
	answer = maps.Clone(answer)
	p.controls.adjust(e, answer)
	if p.controls.marks(e) {
		w = &marked{ResponseWriter: w}
	}
	writeJSON(w, http.StatusOK, answer)
}

// marked begins a body with a byte order mark.
type marked struct {
	http.ResponseWriter
	begun bool
}

func (m *marked) Write(b []byte) (int, error) {
	if !m.begun {
		m.begun = true
		if _, err := m.ResponseWriter.Write([]byte("\xef\xbb\xbf")); err != nil {
			return 0, err
		}
	}
	return m.ResponseWriter.Write(b)
}

// writeJSON forbids keeping what it writes, as RFC 6749 §5.1 asks for tokens; metadata and keys overwrite that.
func writeJSON(w http.ResponseWriter, status int, body map[string]any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(body) // what fails here is the connection
}
