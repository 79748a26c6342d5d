package flow

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// LoginSettings say what follows a login.
type LoginSettings struct {
	LoginMethods      []Method `yaml:"login_methods"`
	LoginAction       string   `yaml:"login_action" default:"redirect" enum:"redirect,response,upstream"`
	LoginTokens       []string `yaml:"login_tokens" enum:"access_token,id_token,introspection,refresh_token,tokens"` // default: none
	LoginRedirectMode string   `yaml:"login_redirect_mode" default:"fragment" enum:"fragment,query"`
	LoginRedirectURI  []string `yaml:"login_redirect_uri" group:"issuer" per_client:"true"` // default: the requested page
	PreserveQueryArgs bool     `yaml:"preserve_query_args" default:"true"`
}

// A loginAction is what follows a login: a redirect of the browser, a response with tokens, or the request to the upstream.
type loginAction struct {
	LoginSettings
	clients *clients
}

func newLoginAction(b *base) loginAction { return loginAction{*of[LoginSettings](b.view), b.clients} }

// follows reports whether the action is a step after the success of a kind.
func (a *loginAction) follows(k *Kind) bool {
	return a.LoginAction != "upstream" && slices.Contains(a.LoginMethods, k.Name)
}

// finish returns the result of a browser's login.
func (a *loginAction) finish(r *auth.Request, l *login, res *auth.Result) *auth.Result {
	out := *res
	switch a.LoginAction {
	case "upstream":
		_, query := a.page(l)
		out.Query = &query // the parameters of the authorization response, such as the code, do not go to the upstream
		return &out
	case "response":
		out.Answer = a.answer(&out)
		return &out
	}
	if len(a.releasedTokens(res)) == 0 { // without tokens to release the policy decides at the page to which the browser is sent
		out.Identity = nil
	}
	out.Answer = a.redirect(r, a.target(l), res)
	return &out
}

// page returns the path of the page of a login, and its query if that is preserved.
func (a *loginAction) page(l *login) (path, query string) {
	path, query, _ = strings.Cut(l.Return, "?")
	if !a.PreserveQueryArgs {
		query = ""
	}
	return path, query
}

// target returns the address to which a browser is redirected after a login: login_redirect_uri, or the page of the login.
func (a *loginAction) target(l *login) string {
	if uri := oidc.At(a.LoginRedirectURI, max(a.clients.indexOf(l.Client), 0)); uri != "" {
		return uri
	}
	path, query := a.page(l)
	if query != "" {
		path += "?" + query
	}
	return path
}

// step returns the result of a flow other than the login of a browser.
func (a *loginAction) step(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	out := *res
	if a.LoginAction == "response" {
		out.Answer = a.answer(&out)
		return &out, nil
	}
	target := oidc.At(a.LoginRedirectURI, a.clients.chosenIndex(r))
	if target == "" { // the target would be the page itself, and a browser would request it without the credential, in a loop
		return res, nil
	}
	out.Answer = a.redirect(r, target, &out)
	return &out, nil
}

// releasedTokens returns the tokens that login_tokens names, under the names of the token response.
func (a *loginAction) releasedTokens(res *auth.Result) map[string]any {
	t, all := res.Identity.Tokens, map[string]any{}
	for _, name := range a.LoginTokens {
		switch name {
		case "tokens":
			for k, v := range res.Issued {
				all[k] = v
			}
		case "access_token":
			all[name] = t.AccessToken
		case "id_token":
			all[name] = t.IDToken
		case "refresh_token":
			all[name] = t.RefreshToken
		case "introspection":
			all[name] = res.Identity.Introspection
		}
	}
	for name, v := range all {
		if v == "" || v == nil {
			delete(all, name)
		}
	}
	return all
}

// answer returns the released tokens as JSON.
func (a *loginAction) answer(res *auth.Result) *auth.Answer {
	body, err := json.Marshal(a.releasedTokens(res))
	if err != nil {
		body = []byte("{}")
	}
	return &auth.Answer{Status: http.StatusOK, Body: append(body, '\n'), Header: http.Header{
		"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
	}}
}

// redirect redirects the browser to an absolute URL, so that no path can be read as another host. The released tokens are in the fragment,
// which no server receives, or in the query.
func (a *loginAction) redirect(r *auth.Request, target string, res *auth.Result) *auth.Answer {
	args := url.Values{}
	for name, v := range a.releasedTokens(res) {
		if s, ok := auth.Scalar(v); ok {
			args.Set(name, s)
		}
	}
	return seeOther(r, withArgs(target, args, a.LoginRedirectMode))
}

// seeOther redirects the browser to a URL, or to a path on the origin of the request.
func seeOther(r *auth.Request, target string) *auth.Answer {
	if strings.HasPrefix(target, "/") {
		target = r.Origin + target
	}
	return &auth.Answer{Status: http.StatusSeeOther, Header: http.Header{
		"Location": {target}, "Cache-Control": {"no-store"}, "Referrer-Policy": {"no-referrer"}, // the URL of this endpoint holds the code
	}}
}

// withArgs returns target with args in its fragment or its query.
func withArgs(target string, args url.Values, mode string) string {
	if len(args) == 0 {
		return target
	}
	target, fragment, _ := strings.Cut(target, "#")
	if mode == "fragment" {
		return target + "#" + args.Encode()
	}
	sign := "?"
	if strings.Contains(target, "?") {
		sign = "&"
	}
	target += sign + args.Encode()
	if fragment != "" {
		target += "#" + fragment
	}
	return target
}

// check reports mistakes in the settings of what follows a login.
func (s *LoginSettings) check(c check.Checker) {
	c.Each("login_redirect_uri", s.LoginRedirectURI, check.Target)
	c.Must("login_tokens", s.LoginAction != "upstream" || len(s.LoginTokens) == 0,
		"login_action: upstream shows no tokens: write response or redirect, or take it out")
	if len(s.LoginTokens) > 0 && s.LoginAction == "redirect" {
		c.Warn("login_tokens", "tokens in an address end up in histories, and in query mode in logs")
	}
}
