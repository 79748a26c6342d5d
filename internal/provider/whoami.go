package provider

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A WhoamiConfig describes the demo's service.
type WhoamiConfig struct {
	LogoutPath string // default /oauth2/logout
	Title      string // default "Sallyport demo"
	Hint       string // a sentence for the page
	Now        func() time.Time
}

// Whoami is the service behind the gate in the demo: it shows people, and tells programs, what it received. It verifies
// nothing, as a service behind a gate may, and never repeats a whole token, because its answers reach the browser.
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
	// The logout goes on to the provider: form-action can't be said here.
	writeHTML(w, http.StatusOK, "whoami.html", struct {
		WhoamiConfig
		Method, Target string
		Person         *person
		Tokens         []receivedToken
		Headers        []receivedHeader
	}{o, r.Method, shortenJWTs(r.URL.RequestURI()), personOf(tokens), tokens, receivedHeaders(r)}, "")
}

// writeWhoami answers a program.
func writeWhoami(w http.ResponseWriter, r *http.Request, tokens []receivedToken) {
	headers := map[string]string{}
	for _, h := range receivedHeaders(r) {
		headers[h.Name] = h.Value
	}
	answer := map[string]any{
		"method": r.Method, "path": shortenJWTs(r.URL.Path), "query": shortenJWTs(r.URL.RawQuery),
		"headers": headers, "user": nil, "claims": nil,
	}
	if p := personOf(tokens); p != nil {
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

// A person is whose request it is, in the words of the tokens.
type person struct {
	Name, Detail, Initial string
	Groups                []string
}

// personOf returns nil if no token came. An ID token knows a person best; a client has only a sub.
func personOf(tokens []receivedToken) *person {
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
	p := &person{Name: cmp.Or(claim("name", "preferred_username", "email", "sub", "client_id"), "Somebody")}
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
