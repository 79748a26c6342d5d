package flow

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/provider"
)

// newPart returns a part of a route with several issuers, whose access tokens are JWTs in these places.
func newPart(t *testing.T, p *provider.Provider, methods []Method, places ...string) Part {
	t.Helper()
	s := &Settings{
		AuthMethods: methods, BearerSettings: BearerSettings{BearerTokenParamType: places, CredentialBodyLimit: 1 << 10},
		Client: oidc.Settings{
			IssuerSettings: oidc.IssuerSettings{
				Issuer: p.URL, VerifySignature: true, VerifyClaims: true, CallsPerClient: 32, RediscoveryLifetime: 30 * time.Second,
				HTTPSettings: oidc.HTTPSettings{Timeout: 5 * time.Second, SSLVerify: true, Keepalive: true},
			},
			ClientSettings: oidc.ClientSettings{ClientID: []string{"app"}, IDTokenSignedResponseAlg: []string{"RS256"}},
		},
	}
	issuer, err := oidc.NewIssuer(oidc.Config{IssuerSettings: s.Client.IssuerSettings, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	clients, err := oidc.NewClients(oidc.ClientConfig{Settings: s.Client, Issuer: issuer, HashKey: []byte("of the test")})
	if err != nil {
		t.Fatal(err)
	}
	return Part{Name: p.URL, Settings: s, Deps: Deps{Clients: clients, Base: "/", Now: time.Now, MultiIssuer: true}}
}

// mustRoute returns the flows of a route.
func mustRoute(t testing.TB, parts ...Part) *Route {
	t.Helper()
	r, err := NewRoute(parts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func startProvider(t *testing.T) *provider.Provider {
	return provider.Start(t, provider.Config{
		Clients: []provider.Client{{ID: "app", Secret: "secret"}}, Users: []provider.User{{Username: "john", Password: "doe"}},
	})
}

// TestTokensOfSeveralIssuers: a token is read once, from the places of the first part. The part of its issuer verifies it,
// and that verdict is final: the chain never continues as if there were no token.
func TestTokensOfSeveralIssuers(t *testing.T) {
	one, two, three := startProvider(t), startProvider(t), startProvider(t)
	chain := func(first, second []string) auth.Chain {
		return mustRoute(t, newPart(t, one, []Method{"bearer"}, first...), newPart(t, two, []Method{"bearer"}, second...),
			newPart(t, three, []Method{"password"}, first...)).Chain
	}
	header, query := []string{"header"}, []string{"query", "header"}
	token := func(p *provider.Provider, claims map[string]any) string { return p.AccessToken("john", "app", claims) }
	for name, c := range map[string]struct {
		first, second []string // the places of the two parts; config requires equal ones
		token         string
		in            auth.In
		issuer        string // that verifies the token; empty: it is refused
		unseen        bool   // it isn't read at all
	}{
		"the first's":                        {header, header, token(one, nil), auth.InHeader, one.URL, false},
		"the second's":                       {header, header, token(two, nil), auth.InHeader, two.URL, false},
		"the second looks less far":          {query, header, token(two, nil), auth.InQuery, two.URL, false},
		"the second looks farther":           {header, query, token(two, nil), auth.InQuery, "", true},
		"the second looks less far, expired": {query, header, token(two, map[string]any{"exp": 1000}), auth.InQuery, "", false},
		"expired":                            {header, header, token(two, map[string]any{"exp": 1000}), auth.InHeader, "", false},
		"the second's, signed by the first":  {header, header, token(one, map[string]any{"iss": two.URL}), auth.InHeader, "", false},
		"nobody's": {header, header, token(one, map[string]any{"iss": "https://evil"}), auth.InHeader,
			"", false},
		"of an entry that judges no tokens":     {header, header, token(three, nil), auth.InHeader, "", false},
		"opaque, and no entry judges such":      {header, header, "opaque", auth.InHeader, "", false},
		"no token at all behind the scheme":     {header, header, "", auth.InHeader, "", false},
		"a JWT of nobody, in the first's place": {query, header, "e30.e30.e30", auth.InQuery, "", false},
	} {
		r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil), Origin: "http://127.0.0.1"}
		if c.in == auth.InHeader {
			r.Header.Set("Authorization", "Bearer "+c.token)
		} else {
			r.URL.RawQuery = "access_token=" + c.token
		}
		res, err := chain(c.first, c.second).Authenticate(r)
		if c.unseen != errors.Is(err, auth.ErrNoCredential) {
			t.Errorf("%s: %v, expected that it is read: %v", name, err, !c.unseen)
		}
		if proved := err == nil; proved != (c.issuer != "") || proved && res.Identity.Issuer != c.issuer {
			t.Errorf("%s: %+v, %v, expected the issuer %q", name, res, err, c.issuer)
		}
	}
}

// TestATokenThatNoFlowJudges: a token is refused even if no flow of its part verifies it.
func TestATokenThatNoFlowJudges(t *testing.T) {
	p := startProvider(t)
	part := newPart(t, p, []Method{"bearer"}, "header")
	b, err := part.build(nil)
	if err != nil {
		t.Fatal(err)
	}
	others := tokensByIssuer{{b.tokens, b.issuers(), auth.Chain{{Flow: noCredentialFlow{}}}}}
	judges := b.tokens.verifiers
	for name, c := range map[string]struct {
		token  string
		others *Kind // the kind that verifies opaque tokens
	}{
		"a JWT":                        {p.AccessToken("john", "app", nil), nil},
		"opaque":                       {"opaque", &introspectionKind},
		"opaque, and none judges such": {"opaque", nil},
	} {
		judges.byKind[opaqueTokens] = c.others
		others[0].tokens.verifiers = judges
		r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil)}
		r.Header.Set("Authorization", "Bearer "+c.token)
		_, err := others.Authenticate(r)
		if errors.Is(err, auth.ErrNoCredential) || auth.AsError(err).Reason != "token_not_accepted" {
			t.Errorf("%s: %v, expected the reason token_not_accepted", name, err)
		}
	}
	r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil)}
	if _, err := others.Authenticate(r); !errors.Is(err, auth.ErrNoCredential) {
		t.Errorf("without a token: %v", err)
	}
}

// noCredentialFlow never finds a credential.
type noCredentialFlow struct{}

func (noCredentialFlow) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

// TestTrustedOriginsAreTheEntrys: the trusted_origins of the part of a token in a cookie decide which pages may open a
// WebSocket.
func TestTrustedOriginsAreTheEntrys(t *testing.T) {
	one, two := startProvider(t), startProvider(t)
	parts := []Part{newPart(t, one, []Method{"bearer"}, "cookie"), newPart(t, two, []Method{"bearer"}, "cookie")}
	for n := range parts {
		parts[n].Settings.BearerTokenCookieName = "token"
	}
	parts[1].Settings.TrustedOrigins = []string{"https://partner.example.com"}
	chain := mustRoute(t, parts...).Chain
	for _, c := range []struct {
		issuer *provider.Provider
		passes bool
	}{{one, false}, {two, true}} {
		r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil), Origin: "https://app.example.com"}
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Origin", "https://partner.example.com")
		r.Header.Set("Cookie", "token="+c.issuer.AccessToken("john", "app", nil))
		_, err := chain.Authenticate(r)
		if (err == nil) != c.passes || err != nil && auth.AsError(err).Reason != "upgrade_origin" {
			t.Errorf("a token of issuer %d: %v", slices.Index([]*provider.Provider{one, two}, c.issuer)+1, err)
		}
	}
}
