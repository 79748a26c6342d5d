package authserver

import (
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// find returns the client of a client_id on this route: a configured one, or on an MCP server one that has registered itself, or one whose
// client_id is the URL of a metadata document. Of the last only the ID is known: the authorization endpoint reads the rest. It returns nil
// for an unknown client.
func (s *Site) find(id string) *client {
	if c := s.clients[id]; c != nil {
		return c
	}
	if !s.Route.ByGate() {
		return nil
	}
	if c := s.registered(id); c != nil {
		return c
	}
	if u := documentURL(id); u != nil && s.Route.TakesClient(u) {
		return s.newDynamic(id, &clientMetadata{})
	}
	return nil
}

// newDynamic returns a client that is not configured. It is public, and its users are always asked for consent.
func (s *Site) newDynamic(id string, m *clientMetadata) *client {
	return &client{
		Client: Client{
			ClientID: id, Name: m.Name, RedirectURIs: m.RedirectURIs, Public: true, Consent: true,
			Grants: []string{authorizationCode, refreshToken},
		},
		lifetime: s.settings.TokenExpiration, dynamic: true,
	}
}

// allowedScopes returns the scopes that a client may have here. A client whose scopes aren't configured may have all that are known to an
// MCP server.
func (s *Site) allowedScopes(c *client) []string {
	if s.Route.On && len(c.Scopes) == 0 {
		return s.Route.Known
	}
	return c.Scopes
}

// documentURL parses a client_id that is the URL of a metadata document (Client ID Metadata Document §3). It returns nil for any other.
func documentURL(id string) *url.URL {
	if !strings.HasPrefix(id, "https://") || strings.ContainsAny(id, `#\`) || !isVisible(id) || strings.Contains(authorityOf(id), "%") {
		return nil
	}
	u, err := url.Parse(id)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") == "" || u.Host != strings.ToLower(u.Host) {
		return nil
	}
	dots := func(segment string) bool { return segment == "." || segment == ".." }
	if slices.ContainsFunc(strings.Split(u.Path, "/"), dots) {
		return nil
	}
	return u
}

// asksAlways reports whether users are asked for consent even if they have given it, or the client is configured without consent. Anyone
// can claim to be a client that isn't configured, and on the user's own machine any program can listen where a loopback redirect URI leads.
// So another site can't open the authorization endpoint and get a code without the user's knowledge.
func (s *Site) asksAlways(r *auth.Request, a *authorization) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return a.client.dynamic || s.Route.On && leadsToProgram(a.redirect) && site != "" && site != "none" && site != "same-origin"
}

// leadsToProgram reports whether a redirect URI leads to the user's own machine.
func leadsToProgram(redirect string) bool {
	return strings.HasPrefix(redirect, "http://") && auth.Loopback(redirect)
}

// clientMetadata is what a client says about itself (RFC 7591 §2).
type clientMetadata struct {
	ClientID     string   `json:"client_id"`
	Name         string   `json:"client_name"`
	RedirectURIs []string `json:"redirect_uris"`
	AuthMethod   string   `json:"token_endpoint_auth_method"`
	AuthMethods  []string `json:"token_endpoint_auth_methods_supported"` // in metadata documents
	GrantTypes   []string `json:"grant_types"`
	Secret       string   `json:"client_secret"`
}

const (
	maxClientName   = 100 // characters
	maxRedirectURIs = 20  // of one client
)

// tidy shortens the name, and removes the redirect URIs to which no code may be sent. It returns an error that says what is wrong with the
// first of them if none is left.
func (m *clientMetadata) tidy() error {
	m.Name = strings.Join(strings.FieldsFunc(m.Name, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if name := []rune(m.Name); len(name) > maxClientName {
		m.Name = string(name[:maxClientName]) + "…"
	}
	if len(m.RedirectURIs) == 0 {
		return refuse("invalid_redirect_uri", "The redirect_uris are missing.")
	}
	if len(m.RedirectURIs) > maxRedirectURIs {
		return refuse("invalid_redirect_uri", "There are too many redirect_uris.")
	}
	var first error
	m.RedirectURIs = slices.DeleteFunc(m.RedirectURIs, func(uri string) bool {
		err := checkRedirectURI(uri)
		if first == nil {
			first = err
		}
		return err != nil
	})
	if len(m.RedirectURIs) == 0 {
		return refuse("invalid_redirect_uri", "No code may be sent to these redirect_uris: "+first.Error()+".")
	}
	return nil
}
