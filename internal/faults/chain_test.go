package faults

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/provider"
	"sallyport/internal/redis/redistest"
)

const (
	chainTime  = 20 * time.Second // how long the load of two gates in a row runs; access tokens live for tokenLife
	chainUsers = 6
)

// A chain is two gates in a row. The first logs users in, and sends their requests with access tokens that are bound to its key or its
// certificate. Two replicas of the second one accept only bound tokens.
type chain struct {
	t        *testing.T
	provider *provider.Provider
	first    *gate
	ok       atomic.Int64
}

// startSecond starts a replica of the second gate, with more of its listener and of its oidc block.
func (c *chain) startSecond(listen, oidc string) *gate {
	c.t.Helper()
	upstream := startUpstream(c.t)
	return c.start(func(g *gate) string {
		return fmt.Sprintf("listen: {address: %s%s}\nroute: {upstream: %q}\noidc:\n  client_id: second\n  auth_methods: [bearer]\n"+
			"  rediscovery_lifetime: 1\n"+
			"  upstream_headers: [{header: X-User, path: [sub]}]\n  issuer: %q\n%s",
			address(g.url), listen, upstream.URL, c.provider.Issuer(), oidc)
	})
}

// start starts a gate with a configuration.
func (c *chain) start(text func(*gate) string) *gate {
	c.t.Helper()
	g := newGate(c.t)
	g.write(fmt.Sprintf("admin: {listen: %s}\nlog: {access: true, level: info}\n%s", address(g.admin), text(g)))
	g.run()
	return g
}

// load sends requests of users through both gates for chainTime, and replaces the provider's signing keys twice, and what
// replace replaces. Each request must be answered with the user's name.
func (c *chain) load(replace func()) {
	c.t.Helper()
	end := time.Now().Add(chainTime)
	var all sync.WaitGroup
	for n := range chainUsers {
		all.Go(func() { c.use(userName(n), end) })
	}
	for range 2 { // an issuer's new keys are fetched at most every 5 s
		time.Sleep(chainTime * 2 / 5)
		c.provider.RotateKeys(true)
		replace()
	}
	all.Wait()
	refreshed := c.provider.RefreshCount()
	c.t.Logf("%d answers, %d refreshes", c.ok.Load(), refreshed)
	if c.ok.Load() < 100 || refreshed < chainUsers {
		c.t.Errorf("%d answers and %d refreshes, expected more", c.ok.Load(), refreshed)
	}
}

// use is one user.
func (c *chain) use(name string, end time.Time) {
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // the provider's authority is the test's
	if res, err := c.provider.LogIn(browser, c.first.url+"/a", name, "doe"); text(res, err) != name {
		c.t.Errorf("the login of %s: %v %d", name, err, status(res))
		return
	}
	for n := 0; time.Now().Before(end) && !c.t.Failed(); n++ {
		res, err := browser.Get(c.first.url + []string{"/a", "/b"}[n%2])
		if got := text(res, err); err != nil || res.StatusCode != http.StatusOK || got != name {
			c.t.Errorf("a request of %s: %v %d %.200s", name, err, status(res), got)
			return
		}
		c.ok.Add(1)
	}
}

// chainConfig returns the provider's configuration with a client for the first gate.
func chainConfig(client provider.Client) provider.Config {
	client.ID, client.RedirectURIs, client.AccessTokenAudience = "first", []string{"http://127.0.0.1/oauth2/callback"}, []string{"second"}
	return provider.Config{Clients: []provider.Client{client}, AccessTokenLifetime: tokenLife, Users: people(chainUsers)}
}

// TestTwoGatesWithDPoP sends each tenth proof of the first gate to the other replica of the second, too, which refuses it: the replicas
// remember used proofs in Redis.
func TestTwoGatesWithDPoP(t *testing.T) {
	c := &chain{t: t, provider: provider.Start(t, chainConfig(provider.Client{Secret: clientSecret, DPoP: true}))}
	shared := fmt.Sprintf("  proof_of_possession_dpop: strict\n  cluster_cache_strategy: redis\n  cluster_cache_redis: {port: %d}\n"+
		"  session_secret: %q\n", redistest.Start(t).Port, firstSecret)
	second := []*gate{c.startSecond("", shared), c.startSecond("", shared)}
	var count, replayed atomic.Int64
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := count.Add(1)
		res, body := c.pass(r, second[n%2])
		if n%10 == 0 && res.StatusCode == http.StatusOK {
			again, _ := c.pass(r, second[(n+1)%2])
			challenges := strings.Join(again.Header["Www-Authenticate"], " ")
			if again.StatusCode != http.StatusUnauthorized || !strings.Contains(challenges, "invalid_dpop_proof") {
				t.Errorf("the other replica answers a used proof with %d %s", again.StatusCode, challenges)
			}
			replayed.Add(1)
		}
		w.WriteHeader(res.StatusCode)
		w.Write(body)
	}))
	defer between.Close()
	c.first = c.start(func(g *gate) string {
		return fmt.Sprintf("listen: %s\nroute: {upstream: %q}\noidc:\n  issuer: %q\n  client_id: first\n"+
			"  client_secret: %s\n  client_dpop: true\n  upstream_dpop: true\n  session_secret: %q\n",
			address(g.url), between.URL, c.provider.Issuer(), clientSecret, firstSecret)
	})
	c.load(func() {})
	if replayed.Load() == 0 {
		t.Error("no proof was sent twice")
	}
	t.Logf("%d proofs were refused at the other replica", replayed.Load())
}

// pass sends a request of the first gate to a second one, with the address to which the first sent it.
func (c *chain) pass(r *http.Request, to *gate) (*http.Response, []byte) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", address(to.url), ""
	res, err := http.DefaultClient.Do(out)
	if err != nil {
		c.t.Error(err)
		return &http.Response{StatusCode: http.StatusBadGateway}, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Error(err)
	}
	return res, body
}

// TestTwoGatesWithCertificates replaces the certificate of the first gate, to which its tokens are bound, under load.
func TestTwoGatesWithCertificates(t *testing.T) {
	p := provider.StartTLS(t, chainConfig(provider.Client{AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=first", BoundTokens: true}))
	c, dir := &chain{t: t, provider: p}, t.TempDir()
	write := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		return file
	}
	ca := write("ca.pem", p.CAPEM())
	serverCert, serverKey := provider.CertificatePEM(p.ServerCert("second.local"))
	listen := fmt.Sprintf(", tls: {cert_file: %s, key_file: %s, client_auth: request}",
		write("server.pem", serverCert), write("server.key", serverKey))
	oidc := "  proof_of_possession_mtls: strict\n  ca_file: " + ca + "\n"
	second := []*gate{c.startSecond(listen, oidc), c.startSecond(listen, oidc)}
	cert, key := provider.CertificatePEM(p.ClientCert("first"))
	certFile, keyFile := write("first.pem", cert), write("first.key", key)
	c.first = c.start(func(g *gate) string {
		var b bytes.Buffer
		fmt.Fprintf(&b, "listen: %s\noidc:\n  issuer: %q\n  client_id: first\n  client_auth: tls_client_auth\n  ca_file: %s\n"+
			"  tls_client_auth_cert_file: %s\n  tls_client_auth_key_file: %s\n  session_secret: %q\nroutes:\n",
			address(g.url), p.Issuer(), ca, certFile, keyFile, firstSecret)
		for n, path := range []string{"/", "/b"} {
			fmt.Fprintf(&b, "  - route: {paths: [%s], upstream: {url: \"https://%s\", server_name: second.local, ca_file: %s, "+
				"client_cert_file: %s, client_key_file: %s}}\n", path, address(second[n].url), ca, certFile, keyFile)
		}
		return b.String()
	})
	c.load(func() {
		cert, key := provider.CertificatePEM(p.ClientCert("first"))
		write("first.key", key)
		write("first.pem", cert)
	})
}
