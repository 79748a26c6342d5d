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

// A Finding is one thing that Examine has found out.
type Finding struct {
	Verdict Verdict
	Text    string
}

// A Verdict says what a finding means.
type Verdict string

const (
	Good    Verdict = "ok"
	Bad     Verdict = "FAILED"
	Unknown Verdict = "unknown"
)

// Examination is what a client is meant to do at its authorization server.
type Examination struct {
	Login       bool   // people log in: code, PKCE, redirect URI, ID tokens
	Token       bool   // the token endpoint is asked by the client itself
	Introspect  bool   // tokens are introspected
	Userinfo    bool   // userinfo is asked
	RedirectURI string // empty: it depends on the request
}

// And is what two flows want of one authorization server.
func (e Examination) And(other Examination) Examination {
	return Examination{
		Login: e.Login || other.Login, Token: e.Token || other.Token, Introspect: e.Introspect || other.Introspect, Userinfo: e.Userinfo || other.Userinfo,
		RedirectURI: cmp.Or(e.RedirectURI, other.RedirectURI),
	}
}

// Examine asks the authorization server what can be found out without a person and without changing anything, and says what the
// gate needs and what is there. It authenticates the client once, as it is configured.
func (c *Client) Examine(ctx context.Context, e Examination) []Finding {
	if err := c.issuer.Warm(ctx); err != nil {
		return []Finding{{Bad, fmt.Sprintf("metadata and keys: %v", err)}}
	}
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return []Finding{{Bad, fmt.Sprintf("metadata: %v", err)}}
	}
	all := []Finding{c.issuer.examineKeys(e)}
	all = append(all, c.examineMetadata(m, e)...)
	all = append(all, c.examineClient(ctx, m, e))
	if e.Login {
		all = append(all, c.examineRedirect(ctx, e))
	}
	return all
}

// examineKeys counts the keys. Without a login an issuer may have none, for introspection needs none.
func (i *Issuer) examineKeys(e Examination) Finding {
	i.mu.RLock()
	defer i.mu.RUnlock()
	switch {
	case i.keys != nil:
		return Finding{Good, fmt.Sprintf("metadata and keys: %d usable keys", len(i.keys.list))}
	case e.Login:
		return Finding{Bad, "keys: the metadata has no jwks_uri, and ID tokens need keys: write jwks_endpoint"}
	}
	return Finding{Unknown, "keys: the metadata has no jwks_uri, so no token that is a JWT can be verified"}
}

// examineMetadata compares what the metadata announces with what is configured. What isn't announced may still be there.
func (c *Client) examineMetadata(m *Metadata, e Examination) (all []Finding) {
	announced := func(what, key, wanted string, supported []string) {
		if wanted == "" || len(supported) == 0 {
			return
		}
		f := Finding{Good, fmt.Sprintf("%s: %s is announced", what, wanted)}
		is := func(s string) bool { return sameAlgorithm(s, wanted) } // no other value has two names
		if !slices.ContainsFunc(supported, is) {
			f = Finding{Bad, fmt.Sprintf("%s: %s is configured by %s, and the issuer announces %s", what, wanted, key, strings.Join(supported, ", "))}
		}
		all = append(all, f)
	}
	if e.Login || e.Token {
		announced("client authentication", "client_auth", c.auth, m.TokenAuthMethods)
	}
	if e.Login {
		announced("ID tokens", "id_token_signed_response_alg", c.idTokenAlg, m.IDTokenAlgs)
		announced("PKCE", "require_proof_key_for_code_exchange", "S256", m.CodeChallengeMethods)
		for _, scope := range c.settings.Scopes {
			announced("scopes", "scopes", scope, m.Scopes)
		}
	}
	for _, needed := range []struct {
		is  bool
		key string
	}{
		{e.Login, "authorization_endpoint"}, {e.Login || e.Token, "token_endpoint"},
		{e.Introspect, "introspection_endpoint"}, {e.Userinfo, "userinfo_endpoint"},
	} {
		if _, err := m.require(needed.key); needed.is && err != nil {
			all = append(all, Finding{Bad, fmt.Sprintf("%s: %v", needed.key, err)})
		}
	}
	return all
}

// examineClient authenticates the client with something that can't be good: an answer about that is one from a server that has
// accepted the client.
func (c *Client) examineClient(ctx context.Context, m *Metadata, e Examination) Finding {
	switch {
	case (e.Login || e.Token) && m.TokenEndpoint != "":
		_, err := c.token(ctx, "authorization_code", url.Values{
			"grant_type": {"authorization_code"}, "code": {"sallyport-check"}, "redirect_uri": {e.RedirectURI}, "code_verifier": {strings.Repeat("c", 43)},
		}, Extra{}, nil)
		return c.clientFinding(err)
	case e.Introspect && m.IntrospectionEndpoint != "":
		if _, err := c.introspect(ctx, "sallyport-check", Extra{}); err != nil && !errors.Is(err, ErrInactive) {
			return c.clientFinding(err)
		}
		return Finding{Good, fmt.Sprintf("client %s: the introspection endpoint accepts it", c.ID)}
	}
	return Finding{Unknown, fmt.Sprintf("client %s: no flow of this route authenticates it", c.ID)}
}

func (c *Client) clientFinding(err error) Finding {
	var refused *oauth2.RetrieveError
	switch {
	case err == nil || errors.Is(err, ErrRefused):
		return Finding{Good, fmt.Sprintf("client %s: the token endpoint accepts it", c.ID)}
	case !errors.As(err, &refused):
		return Finding{Bad, fmt.Sprintf("client %s: %v", c.ID, err)}
	case refused.ErrorCode == "invalid_client":
		return Finding{Bad, fmt.Sprintf("client %s: the issuer refuses its authentication: compare client_id, client_secret and client_auth with what is registered (%v)", c.ID, err)}
	case refused.ErrorCode == "unauthorized_client":
		return Finding{Bad, fmt.Sprintf("client %s: its client_secret is wrong, or it may not use authorization codes: compare it, and allow it that grant (%v)", c.ID, err)}
	}
	return Finding{Unknown, fmt.Sprintf("client %s: the answer doesn't tell: %v", c.ID, err)}
}

// examineRedirect begins a login that no person sees (prompt=none): the server sends the browser back to a redirect URI that is
// registered, and shows a page of its own for another one (RFC 6749 §4.1.2.1).
func (c *Client) examineRedirect(ctx context.Context, e Examination) Finding {
	if e.RedirectURI == "" {
		return Finding{Unknown, "redirect URI: it depends on the request: write public_url or redirect_uri to have it checked"}
	}
	address, err := c.AuthorizationURL(ctx, AuthorizationRequest{
		RedirectURI: e.RedirectURI, State: "sallyport-check", Nonce: "sallyport-check", Scopes: c.settings.Scopes,
		CodeChallenge: oauth2.S256ChallengeFromVerifier(strings.Repeat("c", 43)), Args: url.Values{"prompt": {"none"}},
	})
	if err != nil {
		return Finding{Bad, fmt.Sprintf("redirect URI: %v", err)}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Finding{Bad, fmt.Sprintf("redirect URI: %v", err)}
	}
	r.Header.Set("Accept", "text/html")
	staying := *c.issuer.http
	staying.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a, err := c.issuer.do(&staying, r)
	if err != nil {
		return Finding{Bad, fmt.Sprintf("redirect URI: %v", err)}
	}
	return redirectFinding(a, e.RedirectURI)
}

func redirectFinding(a *answer, redirectURI string) Finding {
	location, err := url.Parse(a.header.Get("Location"))
	if err == nil && a.status/100 == 3 && strings.HasPrefix(location.String(), redirectURI) {
		code := location.Query().Get("error")
		if slices.Contains([]string{"", "login_required", "interaction_required", "consent_required", "account_selection_required"}, code) {
			return Finding{Good, fmt.Sprintf("redirect URI: %s is registered", redirectURI)}
		}
		return Finding{Bad, fmt.Sprintf("login: the issuer answers with %s %s", clip(code), clip(location.Query().Get("error_description")))}
	}
	if a.status >= 400 {
		return Finding{Bad, fmt.Sprintf("redirect URI: the issuer shows an error page (%d): register %s for this client", a.status, redirectURI)}
	}
	return Finding{Unknown, fmt.Sprintf("redirect URI: the answer doesn't tell (%d): see that %s is registered for this client", a.status, redirectURI)}
}
