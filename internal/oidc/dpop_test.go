package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/dpop"
	"sallyport/internal/provider"
)

// beginDPoP starts a provider that requires proofs, and returns the gate's client of it. The client is public, so its refresh tokens are
// bound to the key, too (RFC 9449 §5).
func beginDPoP(t *testing.T, change func(*Settings)) (*provider.Provider, *Client) {
	t.Helper()
	now := newClock()
	p := provider.Start(t, provider.Config{
		Clients: []provider.Client{{ID: "app", AuthMethod: "none", DPoP: true, RedirectURIs: []string{"http://127.0.0.1/cb"}}},
		Users:   []provider.User{{Username: "john", Password: "doe"}},
		Now:     now.Now,
	})
	return p, clientOf(t, p, now, func(s *Settings) {
		s.ClientSecret, s.ClientDPoP = nil, true
		s.Scopes, s.CacheTokens = []string{"openid"}, true
		if change != nil {
			change(s)
		}
	})
}

func mustPassword(t *testing.T, c *Client) auth.Tokens {
	t.Helper()
	answered, err := c.Password(t.Context(), "john", "doe", Caller{})
	if err != nil {
		t.Fatal(err)
	}
	return answered.Identity.Tokens
}

// TestOneKey checks that the key of a grant's tokens proves userinfo and refresh, and is the key of the new tokens. The provider refuses
// any other.
func TestOneKey(t *testing.T) {
	_, c := beginDPoP(t, nil)
	first := mustPassword(t, c)
	if first.TokenType != "DPoP" || len(first.DPoPKey) != 32 {
		t.Fatalf("token_type is %q, and the key has %d bytes", first.TokenType, len(first.DPoPKey))
	}
	if again := mustPassword(t, c); string(again.DPoPKey) != string(first.DPoPKey) {
		t.Error("a cached token lost its key")
	}
	if u, err := c.Userinfo(t.Context(), first, Caller{}); err != nil || u.Claims.String("sub") == "" {
		t.Errorf("userinfo: %v", err)
	}
	refreshed, err := c.Refresh(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if string(refreshed.Tokens.DPoPKey) != string(first.DPoPKey) {
		t.Error("a refresh changed the key")
	}
	if _, err := c.RefreshedUserinfo(t.Context(), refreshed.Tokens); err != nil {
		t.Errorf("userinfo after the refresh: %v", err)
	}
	stolen := first
	stolen.DPoPKey = nil
	if _, err := c.RefreshedUserinfo(t.Context(), stolen); !errors.Is(err, ErrInactive) {
		t.Errorf("userinfo without the key: %v, expected a refusal", err)
	}
}

// TestEachGrantHasItsKey checks that tokens of different credentials don't share a key.
func TestEachGrantHasItsKey(t *testing.T) {
	_, c := beginDPoP(t, func(s *Settings) { s.CacheTokens = false })
	if a, b := mustPassword(t, c), mustPassword(t, c); string(a.DPoPKey) == string(b.DPoPKey) {
		t.Error("two grants have one key")
	}
}

// TestKeyIsShared checks that a replica that takes a token from the shared cache has its key.
func TestKeyIsShared(t *testing.T) {
	_, c := beginDPoP(t, nil)
	answered, err := c.Password(t.Context(), "john", "doe", Caller{})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(answered)
	if err != nil {
		t.Fatal(err)
	}
	var read TokenResponse
	if err := json.Unmarshal(stored, &read); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RefreshedUserinfo(t.Context(), read.Identity.Tokens); err != nil {
		t.Errorf("userinfo with the stored token: %v", err)
	}
}

// TestServerNonce checks that a nonce is remembered for its endpoint, and that a request is sent once more for a new one.
func TestServerNonce(t *testing.T) {
	p, c := beginDPoP(t, func(s *Settings) { s.CacheTokens = false })
	var tokens auth.Tokens
	for _, step := range []struct {
		endpoint provider.Endpoint
		nonce    string
		requests int
	}{
		{provider.Token, "", 1},
		{provider.Token, "a", 2}, {provider.Token, "a", 1}, {provider.Token, "b", 2},
		{provider.Userinfo, "", 1},
		{provider.Userinfo, "c", 2}, {provider.Userinfo, "c", 1}, {provider.Userinfo, "d", 2},
		{provider.Token, "b", 1}, // userinfo's nonces haven't replaced it
	} {
		p.RequireDPoPNonce(step.endpoint, step.nonce)
		before := p.Requests(step.endpoint)
		if step.endpoint == provider.Token {
			tokens = mustPassword(t, c)
		} else if _, err := c.RefreshedUserinfo(t.Context(), tokens); err != nil {
			t.Errorf("%s with the nonce %q: %v", step.endpoint, step.nonce, err)
		}
		if got := p.Requests(step.endpoint) - before; got != step.requests {
			t.Errorf("%s with the nonce %q: expected %d requests, got %d", step.endpoint, step.nonce, step.requests, got)
		}
	}
}

// TestNoncesWithoutEnd checks that a server that never accepts a nonce gets two requests at most.
func TestNoncesWithoutEnd(t *testing.T) {
	p, c := beginDPoP(t, nil)
	n := 0
	for name, header := range map[string]func() string{
		"another each time": func() string { n++; return strings.Repeat("x", n) },
		"the same":          func() string { return "same" },
		"none":              func() string { return "" },
	} {
		p.Break(provider.Token, func(w http.ResponseWriter, _ *http.Request) {
			if v := header(); v != "" {
				w.Header().Set("DPoP-Nonce", v)
			}
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"error":"use_dpop_nonce"}`))
		})
		before := p.Requests(provider.Token)
		_, err := c.Password(t.Context(), "john", "doe", Caller{})
		if !errors.Is(err, ErrNotSetUp) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := p.Requests(provider.Token) - before; got > 2 || name == "none" && got > 1 {
			t.Errorf("%s: %d requests", name, got)
		}
	}
}

// TestEachAttemptAuthenticates checks that the request that follows a nonce has an assertion and a proof of its own.
func TestEachAttemptAuthenticates(t *testing.T) {
	p, c := beginDPoP(t, nil)
	var proofs []string
	p.Want(provider.Token, func(r *http.Request) error {
		if len(r.Header["Dpop"]) != 1 || slices.Contains(proofs, r.Header.Get("DPoP")) {
			return errors.New("expected one new proof")
		}
		proofs = append(proofs, r.Header.Get("DPoP"))
		return nil
	})
	p.RequireDPoPNonce(provider.Token, "n")
	mustPassword(t, c)
	if len(proofs) != 2 {
		t.Errorf("%d requests, expected 2", len(proofs))
	}
}

// TestUnboundTokens checks that a client that asked for bound tokens takes no others.
func TestUnboundTokens(t *testing.T) {
	for name, change := range map[string]func(*provider.Provider){
		"Bearer":  func(p *provider.Provider) { answerTokenType(p, "Bearer") },
		"none":    func(p *provider.Provider) { answerTokenType(p, nil) },
		"N_A":     func(p *provider.Provider) { answerTokenType(p, "N_A") },
		"another": func(p *provider.Provider) { answerTokenType(p, "mac") },
	} {
		p, c := beginDPoP(t, nil)
		change(p)
		_, err := c.Password(t.Context(), "john", "doe", Caller{})
		if !errors.Is(err, ErrNotSetUp) || !strings.Contains(err.Error(), "take client_dpop out") {
			t.Errorf("%s: expected a mistake of the operator, got %v", name, err)
		}
	}
	p, c := beginDPoP(t, nil)
	p.AdjustAccessToken(func(claims map[string]any) { claims["cnf"] = map[string]any{"jkt": "another"} })
	if _, err := c.Password(t.Context(), "john", "doe", Caller{}); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("a token that is bound to another key: %v", err)
	}
}

func answerTokenType(p *provider.Provider, kind any) {
	p.AdjustAnswer(provider.Token, func(answer map[string]any) { answer["token_type"] = kind })
}

// TestBoundCode checks that the authorization request names the key (RFC 9449 §10).
func TestBoundCode(t *testing.T) {
	_, c := beginDPoP(t, nil)
	key, err := dpop.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	jkt, err := key.Thumbprint()
	if err != nil {
		t.Fatal(err)
	}
	address, err := c.AuthorizationURL(t.Context(), AuthorizationRequest{
		RedirectURI: "http://127.0.0.1/cb", State: "s", DPoPKey: key,
	}, Caller{})
	if err != nil || !strings.Contains(address, "dpop_jkt="+jkt) {
		t.Errorf("expected dpop_jkt=%s, got %s, %v", jkt, address, err)
	}
}
