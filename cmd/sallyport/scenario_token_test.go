package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/provider"
)

func (s *scene) lifetime(_ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	s.ts.Check(err)
	s.provider.SetAccessTokenLifetime(d)
}

func (s *scene) token(_ bool, args []string) {
	name, user := args[0], ""
	claims, p, id := map[string]any{}, s.provider, false
	var options []provider.SignOption
	for i := 1; i < len(args); i++ {
		switch key, value, _ := strings.Cut(args[i], "="); {
		case args[i] == "-id":
			id = true
		case strings.HasPrefix(args[i], "-"):
			i++
			options, p = s.option(args[i-1], args[i], options, p)
		case i == 1:
			user = args[i]
		default:
			claims[key] = claimValue(value)
		}
	}
	s.ts.Setenv(name, mint(p, user, claims, id, options))
}

func (s *scene) option(name, value string, options []provider.SignOption, p *provider.Provider) ([]provider.SignOption,
	*provider.Provider) {
	switch name {
	case "-typ", "-kid":
		return append(options, provider.WithHeader(name[1:], value)), p
	case "-header":
		name, text, _ := strings.Cut(value, "=")
		return append(options, provider.WithHeader(name, claimValue(text))), p
	case "-alg":
		return append(options, provider.WithAlg(value)), p
	case "-key":
		if value == "public" {
			return append(options, provider.WithKey(p.PublicKeyPEM())), p
		}
		if value == "stranger" {
			return append(options, provider.WithKey(strangersKey())), p
		}
		return append(options, provider.WithKey([]byte(value))), p
	case "-issuer":
		return options, s.other
	}
	s.ts.Fatalf("token: %s isn't known", name)
	return nil, nil
}

// mint returns an access token or ID token of the provider, signed again if there are options.
func mint(p *provider.Provider, user string, claims map[string]any, id bool, options []provider.SignOption) string {
	token := p.AccessToken(user, "app", claims)
	if id {
		token = p.IDToken(user, "app", claims)
	}
	if len(options) == 0 {
		return token
	}
	return p.SignPayload(payload(token), options...)
}

// claimValue parses the value of a claim: now with a duration, such as now-1h, as a NumericDate; JSON; or plain text.
func claimValue(text string) any {
	if d, relative := strings.CutPrefix(text, "now"); relative {
		if d, err := time.ParseDuration(d); err == nil {
			return time.Now().Add(d).Unix()
		}
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return v
}

// grant sends a token request to the provider and sets a variable to a member of the response.
func (s *scene) grant(_ bool, args []string) {
	name, field, client := args[0], args[1], args[2]
	form := url.Values{}
	for _, arg := range args[3:] {
		k, v, _ := strings.Cut(arg, "=")
		form.Add(k, v)
	}
	r, err := http.NewRequest(http.MethodPost, s.provider.Address(provider.Token), strings.NewReader(form.Encode()))
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

// secrets maps client IDs to the client secrets of providerConfig.
var secrets = func() map[string]string {
	all := map[string]string{}
	for _, c := range providerConfig("").Clients {
		all[c.ID] = c.Secret
	}
	return all
}()
