package oidc

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"sallyport/internal/provider"
)

// TestAPostIsNotRedirected checks that a token request, which carries secrets, follows no redirect.
func TestAPostIsNotRedirected(t *testing.T) {
	var got atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{
		http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
	} {
		p, c, _ := begin(t, nil)
		p.Break(provider.Token, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		if _, err := c.Password(t.Context(), "john", "doe", Caller{}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%d: %v, expected that the issuer can't be asked", status, err)
		}
	}
	if n := got.Load(); n != 0 {
		t.Errorf("the redirection was followed %d times", n)
	}
}

// TestNoWayOutOfTLS checks that no request to an issuer with https goes to an endpoint without TLS, by its metadata or by a redirect.
func TestNoWayOutOfTLS(t *testing.T) {
	var plain atomic.Int64
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		plain.Add(1)
		io.WriteString(w, `{"keys":[]}`)
	}))
	defer open.Close()
	for _, e := range new(Metadata).endpoints() {
		i := secureIssuer(t, func(m map[string]any, _ string) { announce(m, e.member, open.URL+"/x") }, nil)
		m, err := i.Metadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if address, err := m.require(e.setting); address != "" || !errors.Is(err, ErrUnavailable) ||
			!strings.Contains(err.Error(), "without TLS") {
			t.Errorf("%s: %q, %v", e.member, address, err)
		}
	}
	i := secureIssuer(t, func(m map[string]any, base string) {
		m["jwks_uri"] = base + "/moved"
	}, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, open.URL+"/keys", http.StatusFound)
	})
	i.keys.get(t.Context())
	if n := plain.Load(); n != 0 {
		t.Errorf("%d requests left TLS", n)
	}
}

// secureIssuer returns an issuer with https. Other answers the requests for paths besides that of the metadata.
func secureIssuer(t *testing.T, change func(metadata map[string]any, base string), other http.HandlerFunc) *Issuer {
	t.Helper()
	var base string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/.well-known/") {
			other(w, r)
			return
		}
		metadata := map[string]any{
			"issuer": base, "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token", "jwks_uri": base + "/jwks",
		}
		change(metadata, base)
		json.NewEncoder(w).Encode(metadata)
	}))
	t.Cleanup(server.Close)
	base = server.URL
	i, err := NewIssuer(Config{Log: slog.New(slog.DiscardHandler), IssuerSettings: IssuerSettings{
		Issuer: base, VerifySignature: true, VerifyClaims: true, CallsPerClient: 32, HTTPSettings: HTTPSettings{Timeout: 2 * time.Second},
		// the certificate isn't verified here
	}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestKeysForOtherUses checks that a key for encryption, or for another algorithm, verifies no signature (RFC 7517 §4.2, §4.4).
func TestKeysForOtherUses(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]any
		good   bool
	}{
		"as it is":          {nil, true},
		"to sign":           {map[string]any{"use": "sig"}, true},
		"no use":            {map[string]any{"use": nil}, true},
		"to encrypt":        {map[string]any{"use": "enc"}, false},
		"another algorithm": {map[string]any{"alg": "RS512"}, false},
	} {
		p, client, now := begin(t, nil)
		p.AdjustAnswer(provider.JWKS, func(set map[string]any) {
			for _, k := range set["keys"].([]any) {
				for name, v := range c.change {
					if k.(map[string]any)[name] = v; v == nil {
						delete(k.(map[string]any), name)
					}
				}
			}
		})
		_, err := client.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now())))
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
