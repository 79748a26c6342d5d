package provider

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A WhoamiConfig configures Whoami. All fields are optional.
type WhoamiConfig struct {
	LogoutPath string           // default: /oauth2/logout
	Title      string           // default: Sallyport demo
	Hint       string           // a sentence for the page
	Now        func() time.Time // default: time.Now
}

// Whoami returns the upstream of the demo. It shows the request that it received, as HTML or as JSON. It doesn't verify tokens,
// which the proxy has done, and shortens them, because its responses reach the browser.
func Whoami(o WhoamiConfig) http.Handler {
	o.LogoutPath = cmp.Or(o.LogoutPath, "/oauth2/logout")
	o.Title = cmp.Or(o.Title, "Sallyport demo")
	if o.Now == nil {
		o.Now = time.Now
	}
	return http.HandlerFunc(o.serve)
}

func (o WhoamiConfig) serve(w http.ResponseWriter, r *http.Request) {
	tokens := receivedTokens(r, o.Now())
	w.Header().Set("Vary", "Accept")
	if strings.HasPrefix(r.URL.Path, "/api/") || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		writeWhoami(w, r, tokens)
		return
	}
	// No form-action policy: the logout redirects to the provider, whose address isn't known here.
	writeHTML(w, http.StatusOK, "whoami.html", struct {
		WhoamiConfig
		Method, Target string
		Person         *person
		Tokens         []receivedToken
		Headers        []receivedHeader
	}{o, r.Method, shortenJWTs(r.URL.RequestURI()), newPerson(tokens), tokens, receivedHeaders(r)}, "")
}

// writeWhoami writes the JSON response.
func writeWhoami(w http.ResponseWriter, r *http.Request, tokens []receivedToken) {
	headers := map[string]string{}
	for _, h := range receivedHeaders(r) {
		headers[h.Name] = h.Value
	}
	answer := map[string]any{
		"method": r.Method, "path": shortenJWTs(r.URL.Path), "query": shortenJWTs(r.URL.RawQuery),
		"headers": headers, "user": nil, "claims": nil,
	}
	if p := newPerson(tokens); p != nil {
		answer["user"] = p.Name
	}
	for _, t := range tokens {
		if t.payload != nil {
			answer["claims"] = t.payload
			break
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

// A person is the user of the request, with claims of the tokens.
type person struct {
	Name, Detail, Initial string
	Groups                []string
}

// newPerson returns the user of the tokens, or nil without tokens. It prefers the claims of the ID token.
func newPerson(tokens []receivedToken) *person {
	if len(tokens) == 0 {
		return nil
	}
	claim := func(names ...string) string {
		for _, name := range names {
			for _, t := range slices.Backward(tokens) {
				if s, ok := t.payload[name].(string); ok && s != "" {
					return s
				}
			}
		}
		return ""
	}
	p := &person{Name: cmp.Or(claim("name", "preferred_username", "email", "sub", "client_id"), "Unknown user")}
	p.Detail = claim("email", "preferred_username", "sub")
	if p.Detail == p.Name {
		p.Detail = ""
	}
	p.Initial = strings.ToUpper(string([]rune(p.Name)[:1]))
	for _, t := range tokens {
		for _, row := range t.Claims {
			if row.Name == "groups" || row.Name == "roles" || row.Name == "realm_access.roles" {
				p.Groups = append(p.Groups, row.Values...)
			}
		}
	}
	slices.Sort(p.Groups)
	p.Groups = slices.Compact(p.Groups)
	return p
}
