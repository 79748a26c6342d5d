package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"sallyport/internal/provider"
)

// providerConfig is what both providers of a scene know: the gate's clients, callers' own clients, and two people.
func providerConfig(gate string) provider.Config {
	callbacks := []string{"http://127.0.0.1/oauth2/callback", "http://127.0.0.1/app/oauth2/callback", "https://app.example.com/oauth2/callback"}
	return provider.Config{
		Scopes: []string{"read", "write"}, AudienceParameter: true,
		Clients: []provider.Client{
			{ID: "app", Secret: "app-secret", RedirectURIs: callbacks, PostLogoutRedirectURIs: []string{"http://127.0.0.1/bye"}},
			{ID: "second", Secret: "second-secret", AuthMethod: "client_secret_post", RedirectURIs: []string{"http://127.0.0.1/second/callback"}},
			{ID: "service", Secret: "service-secret", AccessTokenAudience: []string{"app"}, NoRefreshToken: true},
			{ID: "opaque", Secret: "opaque-secret", AccessTokenAudience: []string{"app"}, OpaqueAccessTokens: true, AnyAudience: true},
			{ID: "stranger", Secret: "stranger-secret"},
			{ID: "signing", AuthMethod: "private_key_jwt", JWKSURI: "http://" + gate + "/keys", RedirectURIs: callbacks, AnyAudience: true},
			{ID: "hmac", AuthMethod: "client_secret_jwt", Secret: "hmac-secret-of-thirty-two-bytes-0"},
			{ID: "signed", Secret: "signed-secret", UserinfoSignedResponseAlg: "ES256", AnyAudience: true, RedirectURIs: callbacks},
			{ID: "short", Secret: "short-secret", AccessTokenAudience: []string{"app"}, AccessTokenLifetime: 4 * time.Second},
		},
		Users: []provider.User{
			{Username: "john", Password: "doe", Claims: map[string]any{"name": "John Doe", "email": "john@example.com", "roles": []string{"user", "admin"}, "groups": []string{"staff"}}},
			{Username: "jane", Password: "doe", Claims: map[string]any{"name": "Jane Doe", "roles": []string{"user"}}},
			{Username: "dora", Password: "doe", Claims: map[string]any{"roles": []string{"user"}, "groups": []string{"staff"}}, Distributed: []string{"roles"}, Aggregated: []string{"groups"}},
		},
	}
}

// secrets are the clients', for whom a scene asks as.
var secrets = func() map[string]string {
	all := map[string]string{}
	for _, c := range providerConfig("").Clients {
		all[c.ID] = c.Secret
	}
	return all
}()

// grant asks the token endpoint without the gate.
func (s *scene) grant(_ bool, args []string) {
	name, field, client := args[0], args[1], args[2]
	form := url.Values{}
	for _, arg := range args[3:] {
		k, v, _ := strings.Cut(arg, "=")
		form.Add(k, v)
	}
	r, err := http.NewRequest(http.MethodPost, s.provider.URL+string(provider.Token), strings.NewReader(form.Encode()))
	s.ts.Check(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, secrets[client])
	res, err := s.client.Do(r)
	s.ts.Check(err)
	defer res.Body.Close()
	var answer map[string]any
	s.ts.Check(json.NewDecoder(res.Body).Decode(&answer))
	value, _ := answer[field].(string)
	if value == "" {
		s.ts.Fatalf("the provider answered %d %v, expected %s", res.StatusCode, answer, field)
	}
	s.ts.Setenv(name, value)
}

func (s *scene) post(_ bool, args []string) {
	r, err := http.NewRequest(http.MethodPost, "http://"+s.ts.Getenv("GATE")+args[0], strings.NewReader(args[2]))
	s.ts.Check(err)
	r.Header.Set("Content-Type", args[1])
	for _, line := range args[3:] {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	s.ask(r)
}

func (s *scene) capture(_ bool, args []string) {
	var b bytes.Buffer
	s.answer.Header.Write(&b)
	text := strings.ReplaceAll(b.String(), "\r\n", "\n") + s.answerBody
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(text)
	if len(m) < 2 {
		s.ts.Fatalf("nothing matches %s in\n%s", args[1], text)
	}
	s.ts.Setenv(args[0], m[1])
}

func (s *scene) admin(_ bool, args []string) {
	r, err := http.NewRequest(args[0], "http://"+s.ts.Getenv("ADMIN")+args[1], nil)
	s.ts.Check(err)
	for _, line := range args[2:] {
		name, value, _ := strings.Cut(line, ":")
		if name == "Host" {
			r.Host = strings.TrimSpace(value)
			continue
		}
		r.Header.Add(name, strings.TrimSpace(value))
	}
	res, err := http.DefaultClient.Do(r)
	s.ts.Check(err)
	s.keep(res)
}

// issuerMore is what a scene can do to the provider, and learn of it, besides.
func (s *scene) issuerMore(args []string) {
	p := s.provider
	switch args[0] {
	case "id":
		name, value, _ := strings.Cut(args[1], "=")
		p.AdjustIDToken(func(claims map[string]any) { claims[name] = claimValue(value) })
	case "expire":
		p.Expire(args[1])
	case "revoked":
		if !p.Revoked(args[1]) {
			s.ts.Fatalf("the token isn't revoked")
		}
	case "sent":
		var b bytes.Buffer
		for name, values := range p.LastForm(provider.Endpoint(args[1])) {
			fmt.Fprintf(&b, "%s=%s\n", name, strings.Join(values, ","))
		}
		p.LastHeader(provider.Endpoint(args[1])).Write(&b)
		s.match(strings.ReplaceAll(b.String(), "\r\n", "\n"), args[2], "what the provider was sent")
	case "garbage":
		p.Break(provider.Endpoint(args[1]), func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>this is no answer</html>") })
	case "huge":
		p.Break(provider.Endpoint(args[1]), func(w http.ResponseWriter, r *http.Request) {
			chunk := bytes.Repeat([]byte{' '}, 1<<20)
			for range 100 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
	case "slow":
		p.Break(provider.Endpoint(args[1]), func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(30 * time.Second):
			}
		})
	case "mend":
		p.Break(provider.Endpoint(args[1]), nil)
	default:
		s.ts.Fatalf("issuer %s isn't known", args[0])
	}
}

// explained runs the command on the last request, and compares its reason with the log's for that request.
func (s *scene) explained(bool, []string) {
	r := s.answer.Request
	self, err := exec.LookPath("sallyport")
	s.ts.Check(err)
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	args := []string{"explain", "-c", s.file, "-request", r.Method + " http://" + host + r.URL.RequestURI()}
	for name, values := range r.Header {
		for _, v := range values {
			args = append(args, "-header", name+": "+v)
		}
	}
	cmd := exec.Command(self, args...)
	cmd.Env = s.environment()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		s.ts.Fatalf("explain: %v, expected the status 1; it says:\n%s", err, out)
	}
	logged := regexp.MustCompile(`"request_id":"` + regexp.QuoteMeta(s.answer.Header.Get("X-Request-Id")) + `".*"reason":"([^"]+)"`)
	var reason []string
	s.await("the refusal in the log", func() bool { reason = logged.FindStringSubmatch(s.output.String()); return reason != nil })
	want := fmt.Sprintf("refused: %d %s", s.answer.StatusCode, reason[1])
	if !strings.Contains(string(out), want) {
		s.ts.Fatalf("the log says %s, and explain:\n%s", want, out)
	}
}
