package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// A Finding is one result of Examine.
type Finding struct {
	Verdict Verdict
	Text    string
}

func finding(v Verdict, format string, args ...any) Finding {
	return Finding{v, fmt.Sprintf(format, args...)}
}

// A Verdict says what a finding means.
type Verdict string

const (
	Good    Verdict = "ok"
	Warning Verdict = "warning"
	Bad     Verdict = "FAILED"
	Unknown Verdict = "unknown"
)

// An Examination says what a client does at its authorization server, and so what Examine checks.
type Examination struct {
	Login       bool   // users log in: code, PKCE, redirect URI, ID tokens
	Token       bool   // the client sends token requests
	Introspect  bool   // tokens are introspected
	Userinfo    bool   // the client sends userinfo requests
	RedirectURI string // empty: it depends on the request
}

// And returns what two flows need of one authorization server.
func (e Examination) And(other Examination) Examination {
	return Examination{
		Login: e.Login || other.Login, Token: e.Token || other.Token,
		Introspect: e.Introspect || other.Introspect, Userinfo: e.Userinfo || other.Userinfo,
		RedirectURI: cmp.Or(e.RedirectURI, other.RedirectURI),
	}
}

// Examine checks whether the authorization server has what the gate needs. It needs no user and changes nothing at the server. It
// authenticates the client once, by its settings.
func (c *Client) Examine(ctx context.Context, e Examination) []Finding {
	if err := c.issuer.Warm(ctx); err != nil {
		return []Finding{finding(Bad, "metadata and keys: %v", err)}
	}
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return []Finding{finding(Bad, "metadata: %v", err)}
	}
	all := []Finding{c.issuer.examineKeys(e)}
	all = append(all, c.examineMetadata(m, e)...)
	all = append(all, c.examineClient(ctx, m, e))
	if e.Login {
		all = append(all, c.examineRedirect(ctx, e))
	}
	return all
}

// examineKeys counts the usable keys. An issuer without keys is fine for introspection, but not for logins.
func (i *Issuer) examineKeys(e Examination) Finding {
	set := i.keys.load().value
	switch {
	case set != nil:
		return finding(Good, "metadata and keys: %d usable keys", len(set.keys))
	case e.Login:
		return Finding{Bad, "keys: the metadata has no jwks_uri, and ID tokens need keys: write jwks_endpoint"}
	}
	return Finding{Unknown, "keys: the metadata has no jwks_uri, so no token that is a JWT can be verified"}
}

// examineMetadata compares the metadata with the settings. A list that the metadata doesn't have contradicts nothing.
func (c *Client) examineMetadata(m *Metadata, e Examination) (all []Finding) {
	announced := func(what, key, wanted string, supported []string) {
		if wanted == "" || len(supported) == 0 {
			return
		}
		f := finding(Good, "%s: %s is announced", what, wanted)
		if !hasAlgorithm(supported, wanted) { // compares other values exactly
			f = finding(Bad, "%s: %s is configured by %s, and the issuer announces %s",
				what, wanted, key, strings.Join(supported, ", "))
		}
		all = append(all, f)
	}
	if e.Login || e.Token {
		announced("client authentication", "client_auth", c.auth, m.TokenAuthMethods)
		if c.settings.ClientDPoP {
			announced("DPoP", "client_dpop", "ES256", m.DPoPAlgorithms)
		}
	}
	if e.Login {
		announced("ID tokens", "id_token_signed_response_alg", commonAlgorithm(c.idTokenAlgs, m.Algorithms), m.Algorithms)
		announced("PKCE", "require_proof_key_for_code_exchange", "S256", m.CodeChallengeMethods)
		for _, scope := range c.settings.Scopes {
			announced("scopes", "scopes", scope, m.Scopes)
		}
	}
	for _, e := range []struct {
		needed  bool
		setting string
	}{
		{e.Login, "authorization_endpoint"}, {e.Login || e.Token, "token_endpoint"},
		{e.Introspect, "introspection_endpoint"}, {e.Userinfo, "userinfo_endpoint"},
	} {
		if _, err := m.require(e.setting); e.needed && err != nil {
			all = append(all, finding(Bad, "%s: %v", e.setting, err))
		}
	}
	return all
}

// examineClient authenticates the client in a request with a made-up code or token. A server that refuses only that has accepted the
// client.
func (c *Client) examineClient(ctx context.Context, m *Metadata, e Examination) Finding {
	switch {
	case (e.Login || e.Token) && m.TokenURL != "":
		_, err := c.token(ctx, tokenRequest{tokenGrant: codeGrant, form: url.Values{
			"grant_type": {GrantAuthorizationCode}, "code": {"sallyport-check"}, "redirect_uri": {e.RedirectURI},
			"code_verifier": {strings.Repeat("c", 43)},
		}})
		return c.clientFinding(err)
	case e.Introspect && m.IntrospectionEndpoint != "":
		if _, err := c.introspect(ctx, "sallyport-check", Extra{}); err != nil && !errors.Is(err, ErrInactive) {
			return c.clientFinding(err)
		}
		return finding(Good, "client %s: the introspection endpoint accepts it", c.ID)
	}
	return finding(Unknown, "client %s: no flow of this route authenticates it", c.ID)
}

// clientFinding says whether an error of the token endpoint is about the client.
func (c *Client) clientFinding(err error) Finding {
	var refused *oauth2.RetrieveError
	switch {
	case err == nil || errors.Is(err, ErrRefused):
		return finding(Good, "client %s: the token endpoint accepts it", c.ID)
	case !errors.As(err, &refused):
		return finding(Bad, "client %s: %v", c.ID, err)
	case refused.ErrorCode == "invalid_client":
		return finding(Bad, "client %s: the issuer refuses its authentication: "+
			"compare client_id, client_secret and client_auth with what is registered (%v)", c.ID, err)
	case refused.ErrorCode == "unauthorized_client":
		return finding(Bad, "client %s: its client_secret is wrong, or it may not use authorization codes: "+
			"compare it, and allow it that grant (%v)", c.ID, err)
	}
	return finding(Unknown, "client %s: the response doesn't say: %v", c.ID, err)
}

// examineRedirect sends an authorization request with prompt=none. The server redirects it to a registered redirect URI, and shows an error
// page for another one (RFC 6749 §4.1.2.1).
func (c *Client) examineRedirect(ctx context.Context, e Examination) Finding {
	if e.RedirectURI == "" {
		return Finding{Unknown, "redirect URI: it depends on the request: write public_url or redirect_uri to have it checked"}
	}
	address, err := c.AuthorizationURL(ctx, AuthorizationRequest{
		RedirectURI: e.RedirectURI, State: "sallyport-check", Nonce: "sallyport-check", Scopes: c.settings.Scopes,
		CodeChallenge: oauth2.S256ChallengeFromVerifier(strings.Repeat("c", 43)), Args: url.Values{"prompt": {"none"}},
	}, Caller{})
	if err != nil {
		return finding(Bad, "redirect URI: %v", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return finding(Bad, "redirect URI: %v", err)
	}
	r.Header.Set("Accept", "text/html")
	client := *c.issuer.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := c.issuer.do(&client, "authorization", r)
	if err != nil {
		return finding(Bad, "redirect URI: %v", err)
	}
	return redirectFinding(res, e.RedirectURI)
}

// redirectFinding says whether a response redirects to the redirect URI.
func redirectFinding(r *response, redirectURI string) Finding {
	location, err := url.Parse(r.header.Get("Location"))
	if err == nil && r.status/100 == 3 && strings.HasPrefix(location.String(), redirectURI) {
		code := location.Query().Get("error")
		if slices.Contains([]string{"", "login_required", "interaction_required", "consent_required", "account_selection_required"}, code) {
			return finding(Good, "redirect URI: %s is registered", redirectURI)
		}
		return finding(Bad, "login: the issuer answers with %s %s",
			clip(code), clip(location.Query().Get("error_description")))
	}
	if r.status >= 400 {
		return finding(Bad, "redirect URI: the issuer shows an error page (%d): register %s for this client",
			r.status, redirectURI)
	}
	return finding(Unknown, "redirect URI: the response doesn't say (%d): see that %s is registered for this client",
		r.status, redirectURI)
}
