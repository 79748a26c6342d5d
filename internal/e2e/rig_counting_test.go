package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A countingProxy is a reverse proxy for Keycloak that counts requests. It doesn't change the Host header, so that its URL is
// another issuer.
type countingProxy struct {
	url       string
	refreshes atomic.Int64
	refused   atomic.Int64 // refresh requests that Keycloak has rejected
	asked     sync.Map     // by path: *atomic.Int64

	// granted is called once, after a successful refresh and before the gate receives the response.
	granted atomic.Pointer[func()]

	mu      sync.Mutex
	secrets []string // tokens, codes and verifiers in requests and responses
}

// grantType is the context key of a token request's grant_type.
type grantType struct{}

func startCountingProxy(t *testing.T) *countingProxy {
	t.Helper()
	target, err := url.Parse(keycloak.url)
	if err != nil {
		t.Fatal(err)
	}
	c := &countingProxy{}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ModifyResponse: c.response,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.request(proxy, w, r) }))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *countingProxy) request(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	n, _ := c.asked.LoadOrStore(r.URL.Path, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	if strings.HasSuffix(r.URL.Path, "/protocol/openid-connect/token") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		form, _ := url.ParseQuery(string(body))
		c.saw(form.Get("code"), form.Get("code_verifier"), form.Get("refresh_token"))
		if form.Get("grant_type") == "refresh_token" {
			c.refreshes.Add(1)
		}
		r = r.WithContext(context.WithValue(r.Context(), grantType{}, form.Get("grant_type")))
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	proxy.ServeHTTP(w, r)
}

func (c *countingProxy) response(res *http.Response) error {
	grant := res.Request.Context().Value(grantType{})
	if grant == nil {
		return nil
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	var tokens map[string]any
	json.Unmarshal(body, &tokens)
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		token, _ := tokens[name].(string)
		c.saw(token)
	}
	if grant != "refresh_token" {
		return nil
	}
	if res.StatusCode != http.StatusOK {
		c.refused.Add(1)
	} else if f := c.granted.Swap(nil); f != nil {
		(*f)()
	}
	return nil
}

func (c *countingProxy) saw(secrets ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets = append(c.secrets, secrets...)
}

// seen returns the secrets that must not appear in a gate's log. It returns nil for a nil proxy.
func (c *countingProxy) seen() []string {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.secrets
}

// issuer returns the issuer of a realm behind the proxy.
func (c *countingProxy) issuer(realm string) string { return issuerAt(c.url, realm) }

// count returns the number of requests whose path has this suffix.
func (c *countingProxy) count(end string) (total int) {
	c.asked.Range(func(path, n any) bool {
		if strings.HasSuffix(path.(string), end) {
			total += int(n.(*atomic.Int64).Load())
		}
		return true
	})
	return total
}
