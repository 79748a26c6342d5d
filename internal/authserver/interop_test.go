package authserver

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"sallyport/internal/auth"
)

// front serves a gate's endpoints over HTTP.
func front(t *testing.T, g *gate) *httptest.Server {
	t.Helper()
	byPath := map[string]auth.Endpoint{}
	for _, e := range g.endpoints {
		byPath[e.Path] = e
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := &auth.Request{
			Request: r, Origin: "http://" + r.Host, Path: r.URL.Path, ClientAddr: netip.MustParseAddr("127.0.0.1"),
		}
		res, err := byPath[r.URL.Path].ServeUser(request, visit{g, request})
		if err != nil {
			http.Error(w, err.Error(), auth.AsError(err).Status)
			return
		}
		maps.Copy(w.Header(), res.Answer.Header)
		w.WriteHeader(res.Answer.Status)
		w.Write(res.Answer.Body)
	}))
	t.Cleanup(s.Close)
	return s
}

// golang.org/x/oauth2 works with this server, with a secret that must be form-encoded.
func TestAnOrdinaryClient(t *testing.T) {
	r, ctx := memoryRig(t), t.Context()
	const secret = "a secret: with +, % and ü"
	g := r.gate(func(s *Settings) {
		s.Clients[0].ClientSecretHash = []auth.Secret{auth.Secret(sha256Line("the old one")), auth.Secret(Hash(secret))}
		s.Clients[0].Consent = false
	})
	at := front(t, g).URL + base
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		endpoint := oauth2.Endpoint{AuthURL: at + authorizePath, TokenURL: at + tokenPath, AuthStyle: style}
		machine := clientcredentials.Config{ClientID: "app", ClientSecret: secret,
			TokenURL: endpoint.TokenURL, Scopes: []string{"read"}, AuthStyle: style}
		token, err := machine.Token(ctx)
		if err != nil {
			t.Fatal(err)
		}
		g.alive(token.AccessToken)

		app := oauth2.Config{ClientID: "app", ClientSecret: secret, Endpoint: endpoint, RedirectURL: appURI, Scopes: []string{"read"}}
		v := oauth2.GenerateVerifier()
		browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := browser.Get(app.AuthCodeURL("the state", oauth2.S256ChallengeOption(v)))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		back, err := url.Parse(res.Header.Get("Location"))
		if err != nil || back.Query().Get("state") != "the state" || back.Query().Get("iss") != at {
			t.Fatalf("got %s to %s, %v", res.Status, back, err)
		}
		if token, err = app.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(v)); err != nil {
			t.Fatal(err)
		}
		g.alive(token.AccessToken)
		first := token.RefreshToken
		token.Expiry = time.Now().Add(-time.Minute)
		if token, err = app.TokenSource(ctx, token).Token(); err != nil || token.RefreshToken == first {
			t.Fatalf("the refreshed token: %v", err)
		}
		g.alive(token.AccessToken)
	}
	if err := g.Ping(ctx); err != nil {
		t.Error(err)
	}
}
