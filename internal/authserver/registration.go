package authserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/attempts"
	"sallyport/internal/audit"
	"sallyport/internal/auth"
)

// A registered client is described by its client_id alone: what it said about itself, and a MAC over that. So registrations need no store.
// They last as long as the secret, on all replicas; the same metadata gives the same client; and no number of registrations pushes out
// another or takes memory.

const (
	registeredPrefix = "client_" // of the client_id: unlike those of tokens it is no secret
	registeredFormat = "1"       // before the metadata, so that no scanner takes them for a JWT
	maxRegistration  = 8 << 10   // bytes of a request
	registrationKind = "oauth2 client"
)

// registrationRate is how many registrations one network may make: 60 at once, and then one a minute.
var registrationRate = attempts.Rate{Most: 60, Each: time.Minute}

// A registration is the part of a client's metadata that its client_id has.
type registration struct {
	Name         string   `json:"n,omitempty"`
	RedirectURIs []string `json:"r"`
}

// A registrationAnswer is the response of the registration endpoint (RFC 7591 §3.2.1).
type registrationAnswer struct {
	ClientID      string   `json:"client_id"`
	Name          string   `json:"client_name,omitempty"`
	RedirectURIs  []string `json:"redirect_uris"`
	GrantTypes    []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types"`
	AuthMethod    string   `json:"token_endpoint_auth_method"`
	Scope         string   `json:"scope,omitempty"`
}

// register serves the registration endpoint (RFC 7591 §3). Every client becomes a public one, whatever it asks for.
func (s *Site) register(r *auth.Request) (*auth.Result, error) {
	if wait := s.process.registrations.Take(r.ClientAddr); wait > 0 {
		e := tooMany(wait)
		e.description = "Too many clients were registered from this address. Please wait."
		return nil, e
	}
	m, err := readMetadata(r)
	if err != nil {
		return nil, err
	}
	if len(m.GrantTypes) > 0 && !slices.Contains(m.GrantTypes, authorizationCode) {
		return nil, refuse("invalid_client_metadata", "Only clients with the grant type authorization_code can be registered.")
	}
	if err := m.tidy(); err != nil {
		return nil, err
	}
	id := s.registeredID(&registration{m.Name, m.RedirectURIs})
	if len(id) > maxClientID {
		return nil, refuse("invalid_client_metadata", "The redirect_uris and the client_name are too long.")
	}
	s.log.Info("client registered", "request_id", r.ID, "client", r.Client(), "client_name", m.Name, "redirect_uris", m.RedirectURIs)
	s.audit.Write(audit.Event{Event: audit.ClientRegistered, RequestID: r.ID, Client: r.Client(), Endpoint: "register", ClientID: id})
	return answerJSON(http.StatusCreated, registrationAnswer{
		ClientID: id, Name: m.Name, RedirectURIs: m.RedirectURIs, GrantTypes: []string{authorizationCode, refreshToken},
		ResponseTypes: []string{"code"}, AuthMethod: "none", Scope: strings.Join(s.Route.Scopes, " "),
	}), nil
}

// readMetadata reads the JSON of a registration request.
func readMetadata(r *auth.Request) (*clientMetadata, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" || r.Body == nil || r.Header.Get("Content-Encoding") != "" {
		return nil, refuse("invalid_client_metadata", "The request needs a JSON object in its body: application/json.")
	}
	body, err := r.ReadBody(maxRegistration)
	if err != nil {
		e := auth.AsError(err)
		return nil, (&refusal{status: e.Status, code: "invalid_client_metadata", description: e.Description}).because(e.Error())
	}
	m := &clientMetadata{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, refuse("invalid_client_metadata", "The body isn't the metadata of a client (RFC 7591 §2).").because(err.Error())
	}
	return m, nil
}

// registeredID returns the client_id of a registered client.
func (a *Server) registeredID(c *registration) string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings only
	}
	body := base64.RawURLEncoding.EncodeToString(append([]byte(registeredFormat), text...))
	return registeredPrefix + body + "." + a.keyring.Names(registrationKind, body)[0]
}

// registered returns the client of a client_id that registeredID made; nil for any other.
func (s *Site) registered(id string) *client {
	rest, ok := strings.CutPrefix(id, registeredPrefix)
	body, mac, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || !s.Route.Registration || len(id) > maxClientID {
		return nil
	}
	if !slices.ContainsFunc(s.keyring.Names(registrationKind, body), func(own string) bool { return equal(own, mac) }) {
		return nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(body)
	text, ok = bytes.CutPrefix(text, []byte(registeredFormat))
	c := &registration{}
	if err != nil || !ok || json.Unmarshal(text, c) != nil {
		return nil
	}
	return s.newDynamic(id, &clientMetadata{Name: c.Name, RedirectURIs: c.RedirectURIs})
}
